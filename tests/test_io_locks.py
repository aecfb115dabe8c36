"""Locks between processes: who has to wait says so, once."""

from __future__ import annotations

import threading
from pathlib import Path

from filelock import FileLock

from rlkd.io import held_lock, take_lock

from .locks import held_elsewhere


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    with held_lock(tmp_path / "lock", lambda: said.append("waiting")):
        pass
    lock = take_lock(tmp_path / "lock", lambda: said.append("waiting"))
    lock.release()
    assert said == []


def test_who_waits_says_so_and_goes_on_when_it_is_free(tmp_path: Path) -> None:
    said: list[str] = []
    free = threading.Event()

    def waiting() -> None:
        said.append("waiting")
        free.set()

    with held_elsewhere(tmp_path / "lock", free), held_lock(tmp_path / "lock", waiting):
        said.append("held")
    assert said == ["waiting", "held"]
    with FileLock(tmp_path / "lock", timeout=0):  # it was released
        pass
