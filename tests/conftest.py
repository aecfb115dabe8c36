"""Settings that all tests share."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

PIPELINES = {"services", "lonely_cli"}
"""Fixtures that start a Prefect server or a whole run: a test that takes one is slow, marked or not."""
_prefect_home = Path(tempfile.gettempdir()) / f"rlkd-tests-prefect-{os.getpid()}"


def pytest_configure(config: pytest.Config) -> None:
    """Gives this process its own Prefect, and hears Ctrl-C again where a shell made the tests deaf to it.

    Workers of pytest-xdist run side by side: two that migrate one Prefect database lose one of the two. A shell that
    starts the tests in the background makes them, and their children, ignore SIGINT.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ["PREFECT_HOME"] = str(_prefect_home)
    # Hypothesis would fail an example that takes over 200 ms: on a busy machine that says nothing about the code. In CI it
    # tries the same examples every time: a new counterexample is found by a developer, not by somebody's pull request.
    examples = 25 if _is_fast(config) else 100
    settings.register_profile("house", deadline=None, max_examples=examples, derandomize="CI" in os.environ)
    settings.load_profile("house")


def pytest_unconfigure() -> None:
    shutil.rmtree(_prefect_home, ignore_errors=True)


_SLOW_FILE = re.compile(r"^pytestmark = .*pytest\.mark\.slow", re.M)
_LIBRARIES = {
    "torch": re.compile(r"\b(torch|transformers|trl)\b|\brlkd\.(student|training|demo)\b"),
    "prefect": re.compile(r"\b(prefect|mlflow)\b|^from (tasks|flows)\b", re.M),
}
"""What takes seconds to import, and how a test file that needs it reads."""


@cache
def _library(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return next((name for name, needs in _LIBRARIES.items() if needs.search(text)), "")


def _is_fast(config: pytest.Config) -> bool:
    return "not slow" in config.option.markexpr


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals out the fast tests by file, those that import one slow library to one worker: elsewhere any order will do."""
    if not _is_fast(config):
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByLibrary(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return _library(config.rootpath / file) or file

    return ByLibrary(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves files that are slow as a whole unread by `make fast`: importing trainers and servers would take half its time."""
    if not _is_fast(config) or collection_path.suffix != ".py":
        return None
    return True if _SLOW_FILE.search(collection_path.read_text(encoding="utf-8")) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what starts a pipeline as slow, and skips the tests that need a GPU where there is none."""
    for item in items:
        if PIPELINES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting:
        import torch

        if not torch.cuda.is_available():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _stay_on_this_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses connections to other machines, so that no test passes or fails by the state of the network."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise OSError(f"a test reached out to {address[0]}; mark it `network` if it must")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def _keep_denormals() -> Iterator[None]:
    """Takes back that training sets denormal floats to zero, which hypothesis refuses to work under."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("localhost", "")
