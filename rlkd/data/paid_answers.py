"""Answers of language models that were paid for, kept for good and for every run.

An append-only file of JSON lines for each model and way of asking, and one for each shard that has asked. A process that is killed can tear its last line only;
a torn line is passed over, and the next one starts on a line of its own. Only the places of the answers are held in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from pydantic import Field, ValidationError

from rlkd.errors import UserError
from rlkd.io import take_lock
from schemas.base import Schema

if TYPE_CHECKING:
    from filelock import BaseFileLock


class PaidAnswer(Schema):
    """What a model answered to one request.

    Attributes:
        key: Digest of the request, of the model and of the number of the sample.
        problem_id: The problem that it was asked for; for people.
        text: The answer.
        reasoning: The thoughts that the server kept apart from it.
        finish: How it ended: by itself, at the limit of tokens, or in a refusal.
        prompt_tokens, completion_tokens: As the server counts them, else estimated.
        estimated: Whether the server counted none.
    """

    key: str = Field(min_length=1)
    problem_id: str
    text: str
    reasoning: str = ""
    finish: Literal["stop", "length", "refused"] = "stop"
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    estimated: bool = False


class PaidAnswers:
    """The answers of one model: a file, and one for each shard that has asked for some; all are read.

    A file is held by one process at a time, and the main one is opened only when no shard asks: two that ask at once would
    both pay. Shards ask for different problems, each into a file of its own.

    Args:
        path: The main file; made if absent.
        waiting: Told once if another process holds the file, before this one waits for it.
        part: Name of the shard that asks; empty for the main file.

    Raises:
        UserError: The file cannot be used.
    """

    def __init__(
        self, path: Path, waiting: Callable[[str], None] = lambda text: None, part: str = ""
    ) -> None:
        self.path = path.with_name(f"{path.stem}.{part}{path.suffix}") if part else path
        self._places: dict[str, tuple[Path, int]] = {}
        self._readers: dict[Path, BinaryIO] = {}
        self._locks: list[BaseFileLock] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shards = f"{path.stem}.shard*{path.suffix}"
            self._hold(path, waiting)
            for shard in [self.path] if part else sorted(path.parent.glob(shards)):
                self._hold(shard, waiting)
            if part:
                self._locks.pop(0).release()  # whoever opens the main file from now on waits for this shard
            self._file = self.path.open("a+b")
            for other in {path, *path.parent.glob(shards)} - {self.path}:
                if other.exists():
                    self._readers[other] = other.open("rb")
                    self._index(other, self._readers[other])
            if not self._index(self.path, self._file).endswith(b"\n"):
                self._file.write(b"\n")
                self._file.flush()
        except OSError as error:
            raise UserError(
                f"{path}: the teacher's answers cannot be kept here ({error.strerror or error}); "
                "name another folder in traces.teacher.answers"
            ) from None

    def _hold(self, path: Path, waiting: Callable[[str], None]) -> None:
        wait = f"another run asks the same teacher; waiting for its answers in {path}"
        self._locks.append(take_lock(Path(f"{path}.lock"), lambda: waiting(wait)))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> PaidAnswer | None:
        """Reads the answer with a key; ``None`` where there is none."""
        found = self._places.get(key)
        if found is None:
            return None
        file = self._readers.get(found[0], self._file)
        file.seek(found[1])
        return PaidAnswer.model_validate_json(file.readline())

    def add(self, answer: PaidAnswer) -> None:
        """Appends an answer in one write, so that a process that is killed leaves it whole or torn, never mixed.

        Raises:
            OSError: The disk is full.
        """
        line = answer.model_dump_json().encode() + b"\n"
        self._file.seek(0, os.SEEK_END)
        place = self._file.tell()
        self._file.write(line)
        self._file.flush()
        self._places[answer.key] = (self.path, place)

    def close(self) -> None:
        """Lets other processes have the files."""
        for file in (self._file, *self._readers.values()):
            file.close()
        for lock in self._locks:
            lock.release()

    def _index(self, path: Path, file: BinaryIO) -> bytes:
        """Notes where each answer of a file stands; returns its last line."""
        file.seek(0)
        place, last = 0, b"\n"
        for line in file:
            key = _key_of(line)
            if key is not None:
                self._places.setdefault(key, (path, place))
            place += len(line)
            last = line
        return last


def _key_of(line: bytes) -> str | None:
    """The key of a whole line; ``None`` for a torn or foreign one."""
    if not line.endswith(b"\n"):
        return None
    try:
        return PaidAnswer.model_validate(json.loads(line)).key
    except (ValueError, ValidationError):
        return None
