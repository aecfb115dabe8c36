"""What MLflow is to get, on disk until MLflow has it.

A run writes entries at the end of a file in its folder and goes on at once; a thread of its own delivers them in order. While
MLflow is away they wait: for its return, for the next attempt in the same folder, or for ``rlkd ui``. Every entry can be
delivered twice without harm, as a kill may come between the delivery and the note of it.

Whoever opens an outbox holds the lock of the run folder, so that two never deliver the same entries.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlkd.errors import UserError
from rlkd.io import sha256_text, write_json_atomic
from tasks.tracking.connection import client, probe, reason, redact_text
from tasks.tracking.deliver import deliver, is_busy, is_refusal

FOLDER = "tracking"
"""Folder in a run's folder."""
_EVERY_S = 3.0
_BACK_OFF_S = 15.0
_TRIES = 3
_BATCH = 500
_LAST_TRY_S = 5.0
_STUCK_S = 45.0

Entry = Mapping[str, Any]
Notice = Callable[[str], None]

_open_boxes: list[Outbox] = []


class Outbox:
    """Entries for one MLflow, written now and delivered when it can be.

    Args:
        folder: Where they are kept.
        uri: Tracking URI; only its form without credentials is written down.
        notice: Told when MLflow goes away, comes back, or refuses something.

    Attributes:
        runs: MLflow's ids of the runs that this outbox made, by key; empty for one that MLflow refused.
        away: Why the last delivery failed; empty while all is well.
    """

    def __init__(self, folder: Path, uri: str, notice: Notice) -> None:
        self.uri = uri
        self.notice = notice
        self.path = folder / f"{sha256_text(redact_text(uri))[:12]}.jsonl"
        self.state = self.path.with_suffix(".state.json")
        folder.mkdir(parents=True, exist_ok=True)
        self.offset, self.runs = self._recover()
        self.keys = set(self.runs)
        self.away = ""
        self.told = False
        self._tries = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="mlflow-outbox", daemon=True)

    def _recover(self) -> tuple[int, dict[str, str]]:
        """Where an earlier attempt stopped; a line that a kill has torn is cut off."""
        if not self.path.exists():
            self.state.unlink(missing_ok=True)
            self.path.write_text(json.dumps({"uri": redact_text(self.uri)}) + "\n", encoding="utf-8")
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(self.path, whole)
        start = data.find(b"\n") + 1
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            return min(max(int(state["offset"]), start), whole), dict(state["runs"])
        except (OSError, ValueError, KeyError, TypeError):
            return start, {}

    def start(self) -> None:
        """Begins to deliver."""
        _open_boxes.append(self)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Takes an entry; returns at once.

        Raises:
            OSError: It cannot be written.
        """
        if entry["op"] == "run":
            self.keys.add(str(entry["key"]))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if entry["op"] != "metrics":  # those are gathered for some seconds
            self._wake.set()

    def run_id(self, key: str, wait_s: float = 0.0) -> str:
        """MLflow's id of a run that was put in here; empty where it is not there yet, and MLflow is away or slow."""
        with self._changed:
            self._changed.wait_for(lambda: key in self.runs or bool(self.away), wait_s)
        return self.runs.get(key, "")

    @property
    def waiting(self) -> int:
        """Entries that MLflow does not have yet."""
        return len(self._read())

    def close(self) -> None:
        """Delivers what can be delivered and says what cannot; a server that has gone away is waited for no longer."""
        self._closing.set()
        self._wake.set()
        began, at = time.monotonic(), self.offset
        while self._thread.is_alive():
            self._thread.join(0.05)
            if self.offset != at:
                began, at = time.monotonic(), self.offset
            if time.monotonic() - began > (_LAST_TRY_S if self.away else _STUCK_S):
                break
        _open_boxes.remove(self)
        if left := self.waiting:
            self.notice(
                f"MLflow: {left} entries wait in {self.path.parent} ({self.away or 'it is slow'}); the next run in this "
                "folder delivers them, and so does `rlkd ui`"
            )
        elif not self._thread.is_alive():
            self._remove()

    def _remove(self) -> None:
        for path in (self.path, self.state):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others may be in it
            self.path.parent.rmdir()

    # -- in the thread ---------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            self._wake.wait(min(_BACK_OFF_S, 2.0**self._tries) if self.away else _EVERY_S)
            last = self._closing.is_set()
            if not self.away or last:
                self._wake.clear()
            done = self.drain()
            if last and (self.away or (done and not self._read())):
                return

    def drain(self) -> bool:
        """Delivers until nothing waits (true) or MLflow is away (false)."""
        while entries := self._read():
            group, size = _group(entries)
            try:
                deliver(client(self.uri), self.uri, group, self.runs)
            except Exception as error:  # whatever it is, the run that goes on must not hang on it
                if not self._skips(group, error):
                    return False
            self._tries = 0
            if self.away:
                self.notice("MLflow is back: what has waited is delivered")
            self.away = ""
            with self._changed:
                self.offset += size
                self._changed.notify_all()
            with contextlib.suppress(OSError):  # a full disk; then it is delivered twice
                write_json_atomic(self.state, {"offset": self.offset, "runs": self.runs})
        return True

    def _skips(self, entry: Entry, error: Exception) -> bool:
        """Whether an entry that was not taken is given up; otherwise it is tried again later."""
        self._tries += 1
        fault = probe(self.uri)
        gone = fault or isinstance(error, UserError) or is_busy(error)
        if is_refusal(error) or (not gone and self._tries >= _TRIES):
            if entry["op"] == "run":
                self.runs[str(entry["key"])] = ""
            self.notice(f"MLflow: {_what(entry)} could not be logged ({reason(error)}); the run goes on")
            return True
        with self._changed:
            self.away = redact_text(fault) or reason(error)
            self._changed.notify_all()
        if not self.told:
            self.told = True
            self.notice(
                f"MLflow does not take what the run logs ({self.away}); it is kept in {self.path.parent} and delivered "
                "when MLflow is back; the run goes on"
            )
        return False

    def _read(self) -> list[tuple[Entry, int]]:
        """The next entries, each with its bytes."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        return [(json.loads(line), len(line)) for line in lines]


def _group(entries: list[tuple[Entry, int]]) -> tuple[Entry, int]:
    """The first entry, together with those after it that are figures of the same run; and their bytes."""
    first, size = entries[0]
    if first["op"] != "metrics":
        return first, size
    values = list(first["values"])
    for entry, length in entries[1:]:
        if (
            entry["op"] != "metrics"
            or entry["run"] != first["run"]
            or len(values) + len(entry["values"]) > _BATCH
        ):
            break
        values += entry["values"]
        size += length
    return {**first, "values": values}, size


def _what(entry: Entry) -> str:
    return {
        "run": f"the run {entry.get('name', '')}",
        "metrics": "figures",
        "end": "the end of a run",
        "files": "files",
        "inputs": "the dataset inputs",
        "model": f"the model {entry.get('name', '')}",
        "table": f"the table {entry.get('file', '')}",
    }.get(str(entry["op"]), str(entry["op"]))


@contextmanager
def delivering(folder: Path, uri: str, notice: Notice) -> Iterator[Outbox]:
    """An outbox that delivers while this lasts."""
    box = Outbox(folder, uri, notice)
    box.start()
    try:
        yield box
    finally:
        box.close()


@contextmanager
def outbox_for(uri: str, notice: Notice) -> Iterator[Outbox]:
    """The open outbox for an MLflow; in a process without one, one for the moment."""
    if (found := _outbox_of(uri)) is not None:
        yield found
        return
    with tempfile.TemporaryDirectory() as folder, delivering(Path(folder), uri, notice) as box:
        yield box


def _outbox_of(uri: str, key: str = "") -> Outbox | None:
    """The open outbox that makes the run with a key; otherwise any one for an MLflow."""
    makes = next((box for box in _open_boxes if key in box.keys), None)
    return makes or next((box for box in _open_boxes if box.uri == uri), None)


def send(uri: str, entry: Entry) -> None:
    """Puts an entry into the open outbox; without one it is delivered now."""
    box = _outbox_of(uri, str(entry["run"]))
    if box is not None:
        box.put(entry)
    else:
        deliver(client(uri), uri, entry, {})


def deliver_leftovers(run_folder: Path, uri: str, notice: Notice) -> int:
    """Delivers what earlier attempts in a run folder have left; how many entries. The folder's lock must be held.

    Args:
        run_folder: The run folder.
        uri: The tracking URI in use: that of entries whose address had credentials, which are not written down.
        notice: Told what MLflow refuses.
    """
    count = 0
    for path in sorted((run_folder / FOLDER).glob("*.jsonl")):
        try:
            with path.open(encoding="utf-8") as file:
                address = str(json.loads(file.readline())["uri"])
        except (ValueError, KeyError):
            continue  # not one of ours
        if address != redact_text(uri) and "***@" in address:
            continue
        box = Outbox(path.parent, uri if address == redact_text(uri) else address, notice)
        left = box.waiting
        if box.drain():
            count += left
            box._remove()
    return count
