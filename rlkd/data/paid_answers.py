"""Answers of language models that were paid for, kept for good and for every run.

One append-only file of JSON lines for each model and way of asking. A process that is killed can tear its last line only;
a torn line is passed over, and the next one starts on a line of its own. Only the places of the answers are held in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from rlkd.errors import UserError
from schemas.base import Schema


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
    """The answers in one file, held by one process at a time: two that ask at once would both pay.

    Args:
        path: The file; made if absent.
        waiting: Told once if another process holds the file, before this one waits for it.

    Raises:
        UserError: The file cannot be used.
    """

    def __init__(self, path: Path, waiting: Callable[[str], None] = lambda text: None) -> None:
        from filelock import FileLock, Timeout

        self.path = path
        self._places: dict[str, int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{path}.lock")
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                waiting(f"another run asks the same teacher; waiting for its answers in {path}")
                self._lock.acquire()
            self._file = path.open("a+b")
            self._index()
        except OSError as error:
            raise UserError(
                f"{path}: the teacher's answers cannot be kept here ({error.strerror or error}); "
                "name another folder in traces.teacher.answers"
            ) from None

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> PaidAnswer | None:
        """Reads the answer with a key; ``None`` where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        self._file.seek(place)
        return PaidAnswer.model_validate_json(self._file.readline())

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
        self._places[answer.key] = place

    def close(self) -> None:
        """Lets other processes have the file."""
        self._file.close()
        self._lock.release()

    def _index(self) -> None:
        """Notes where each answer stands, and ends a torn last line."""
        self._file.seek(0)
        place, last = 0, b"\n"
        for line in self._file:
            key = _key_of(line)
            if key is not None:
                self._places.setdefault(key, place)
            place += len(line)
            last = line
        if not last.endswith(b"\n"):
            self._file.write(b"\n")
            self._file.flush()


def _key_of(line: bytes) -> str | None:
    """The key of a whole line; ``None`` for a torn or foreign one."""
    if not line.endswith(b"\n"):
        return None
    try:
        return PaidAnswer.model_validate(json.loads(line)).key
    except (ValueError, ValidationError):
        return None
