"""What every source gives: problems by split, and the rows that could not become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import field_validator

from rlkd.errors import DataError
from rlkd.user_files import clean_json
from schemas.base import JsonValue, Schema
from schemas.problem import Problem, Split

MAX_SHOWN_CHARS = 2000
"""A dropped row is kept up to this many characters."""


class Malformed(Exception):
    """A row is no problem: the reason that ``summary.json`` counts by, and the detail."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class DroppedRow(Schema):
    """A row that was left out: where it stood, why, and what it was.

    Attributes:
        where: File and line, or dataset, split and row.
        reason: Why, in the words that ``summary.json`` counts by.
        detail: What exactly (a parser's message, the id of the row that it repeats).
        row: The row: the problem's id and question, or the text of a line that could not be read.
    """

    where: str
    reason: str
    detail: str = ""
    row: JsonValue = None

    @field_validator("*", mode="before")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        return clean_json(value)


@dataclass
class Loaded:
    """What a source holds.

    Attributes:
        splits: Its problems, by the splits that it has itself.
        dropped: Rows that are no problem.
        rows: Rows read, dropped ones included.
        where: Where each problem came from, by split and position.
        disjoint: Whether the source itself guarantees that no problem occurs twice, and makes all of
            its questions from the same words, so that comparing texts would say nothing.
        notes: What else is to be said of it.
        parts: The part of a mixture that each problem is of, by split and position; empty of a single source.
        alike: Parts whose questions share their wording, by the filter that compares them with other parts only.
    """

    splits: dict[Split, list[Problem]] = field(default_factory=dict)
    dropped: list[DroppedRow] = field(default_factory=list)
    rows: int = 0
    where: dict[Split, list[str]] = field(default_factory=dict)
    disjoint: bool = False
    notes: list[str] = field(default_factory=list)
    parts: dict[Split, list[str]] = field(default_factory=dict)
    alike: dict[Literal["deduplicate", "decontaminate"], frozenset[str]] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """One kind of source."""

    def load(self, seed: int) -> Loaded:
        """Reads everything.

        Args:
            seed: Seed of what is random in making problems; reading files ignores it.

        Raises:
            DataError: The source cannot be read, or too much of it is malformed.
        """


def check_malformed(dropped: list[DroppedRow], rows: int, max_share: float, what: str) -> None:
    """Stops where more rows than the configured share are malformed.

    Raises:
        DataError: With the counts and the first malformed row.
    """
    if dropped and len(dropped) > max_share * rows:
        first = dropped[0]
        detail = f" ({first.detail})" if first.detail else ""
        raise DataError(
            f"{what}: {len(dropped)} of {rows} rows are malformed, more than data.max_malformed_share = {max_share:g} allows; "
            f"the first is {first.where}: {first.reason}{detail}; mend the rows or raise the share"
        )
