"""Comparisons that need computer algebra, bounded in time, from any thread.

math-verify bounds its time with signals, which only work in a main thread, while rewards are scored
in others. So the work is done by a child process (:mod:`rlkd.answers.symbolic_worker`) that the system's
timer ends when a request takes too long. Requests are JSON lines; nothing is pickled or forked.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from rlkd.errors import RLKDError

_WORKER = Path(__file__).with_name("symbolic_worker.py")
_START_S = 120.0
_WALL_FACTOR = 10.0
"""The worker ends itself by processor time; by the clock it may take this many times longer."""


class VerifierError(RLKDError, RuntimeError):
    """A verifier could not be started or failed on a request; the answer's value is missing, not wrong."""


class SymbolicWorker:
    """One child process, started when first asked and again after it was ended; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._warm: set[str] = set()
        self._rest = b""

    def ask(self, operation: str, timeout_s: float, **fields: Any) -> bool | float | None:
        """The reply to one request, or ``None`` where it took more than ``timeout_s`` seconds of processor time.

        Raises:
            VerifierError: The worker cannot start, or the operation failed.
        """
        with self._lock:
            if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
                self._start()
            if operation not in self._warm:
                if self._exchange({"warm_up": operation}, _START_S) is None:
                    self._stop()
                    raise VerifierError(
                        f"the verifier process ended while it was loading; try `{sys.executable} {_WORKER}`"
                    )
                self._warm.add(operation)
            reply = self._exchange(
                {"operation": operation, "timeout_s": timeout_s, **fields}, _WALL_FACTOR * timeout_s
            )
            if reply is None:
                self._stop()
                return None
        value = reply["value"]
        return value if isinstance(value, bool) else float(value)

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        # -P: the script's folder must not come before the standard library on sys.path.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._owner, self._warm, self._rest = os.getpid(), set(), b""

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def _exchange(self, request: dict[str, Any], wait_s: float) -> dict[str, Any] | None:
        """Sends a request and reads its line; ``None`` when the process ended or did not answer in time."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._read_line(process.stdout, wait_s)
        if line is None:
            return None
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise VerifierError(reply["error"])
        return reply

    def _read_line(self, pipe: IO[bytes], wait_s: float) -> bytes | None:
        deadline = time.monotonic() + wait_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


WORKER = SymbolicWorker()
"""The worker of this process; it starts with the first request."""

atexit.register(WORKER.close)


@lru_cache(maxsize=8192)
def symbolically_equal(reference: str, answer: str, timeout_s: float = 5.0) -> bool | None:
    """Whether math-verify finds two expressions (LaTeX or plain, without ``$``) equal.

    Verdicts are remembered, missing ones too: a group of completions that state the same hard answer
    costs one time limit, not one each.

    Returns:
        The verdict, or ``None`` where it could not be reached within ``timeout_s`` seconds.

    Raises:
        VerifierError: The worker cannot start, or failed on this pair.
    """
    value = WORKER.ask("compare", timeout_s, reference=reference, answer=answer)
    return None if value is None else bool(value)
