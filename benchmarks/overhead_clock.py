"""Clocks for one process of a run: how long its imports and its stage functions take. Loaded by ``overhead.py``.

Copied as ``sitecustomize.py`` into a folder on ``PYTHONPATH``, so that every Python process of the run has it. Only the
outermost import of the main thread is timed, so that nothing counts twice; when the process ends, one JSON file is
left in ``$RLKD_CLOCKS``.
"""

from __future__ import annotations

import atexit
import builtins
import functools
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()


class Clocks:
    """Seconds of imports and of stage functions in this process."""

    def __init__(self) -> None:
        self.imports = 0.0
        self.stages: list[dict[str, Any]] = []
        self.depth = 0
        self.patched = False

    def timed_import(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """An import function whose outermost calls are timed."""

        @functools.wraps(load)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread() or self.depth:
                return load(*args, **kwargs)
            self.depth = 1
            began = time.perf_counter()
            try:
                return load(*args, **kwargs)
            finally:
                self.imports += time.perf_counter() - began
                self.depth = 0
                self.patch_stages()

        return timed

    def patch_stages(self) -> None:
        """Times the stage functions, once the table of stages is there."""
        stages = sys.modules.get("rlkd.pipeline.stages")
        if self.patched or stages is None or not hasattr(stages, "load_function"):
            return
        self.patched = True
        load = stages.load_function

        def timed_load(path: str) -> Callable[..., Any]:
            function = load(path)

            @functools.wraps(function)
            def timed(*args: Any, **kwargs: Any) -> Any:
                began, imports = time.perf_counter(), self.imports
                try:
                    return function(*args, **kwargs)
                finally:
                    seconds = time.perf_counter() - began
                    self.stages.append(
                        {"function": path, "seconds": seconds, "imports": self.imports - imports}
                    )

            return timed

        stages.load_function = timed_load  # type: ignore[attr-defined]

    def leave(self, folder: str) -> None:
        """Writes what was measured."""
        found = {
            "process": " ".join(sys.orig_argv[1:4]),
            "seconds": time.perf_counter() - _STARTED,
            "imports": self.imports,
            "stages": self.stages,
        }
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(found), encoding="utf-8")


def install() -> None:
    """Starts the clocks of this process."""
    folder = os.environ.get("RLKD_CLOCKS")
    if not folder:
        return
    clocks = Clocks()
    builtins.__import__ = clocks.timed_import(builtins.__import__)
    importlib.import_module = clocks.timed_import(importlib.import_module)
    atexit.register(clocks.leave, folder)


install()
