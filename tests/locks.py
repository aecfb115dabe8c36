"""A lock that somebody else holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def held_elsewhere(path: Path, free: threading.Event) -> Iterator[None]:
    """A lock is held by another thread until an event; who waits for it in the thread that holds it is refused by filelock."""
    held = threading.Event()

    def hold() -> None:
        with FileLock(path):
            held.set()
            free.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    try:
        yield
    finally:
        free.set()
        other.join()
