"""A row of a table (file or hub) to a problem, by the column mapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.sources.base import MAX_SHOWN_CHARS, DroppedRow, Loaded, Malformed
from rlkd.data.sources.values import paths_of, question_of, text_of
from rlkd.errors import DataError
from rlkd.user_files import clean_text
from schemas.config.data import TableData
from schemas.problem import Problem, Split


@dataclass(frozen=True)
class RawRow:
    """A row as read: ``values`` where it could be read, otherwise ``fault`` and ``text``.

    Attributes:
        where: File and line, or dataset, split and row; for messages.
        number: Its number in its file or split, from 1.
        values: The columns.
        fault: Why it could not be read.
        text: The text that could not be read.
    """

    where: str
    number: int
    values: Mapping[str, Any] | None = None
    fault: str = ""
    text: str = ""


def add_rows(rows: Iterable[RawRow], split: Split, name: str, config: TableData, loaded: Loaded) -> None:
    """Turns the rows of one split into problems.

    Args:
        rows: The rows.
        split: The split that they belong to.
        name: Name of the source, the stem of generated ids.
        config: The column mapping.
        loaded: Where problems and dropped rows are added.

    Raises:
        DataError: A mapped column is in none of the rows.
    """
    problems = loaded.splits.setdefault(split, [])
    places = loaded.where.setdefault(split, [])
    pattern = re.compile(config.answer_pattern) if config.answer_pattern else None
    columns: set[str] = set()
    last = ""
    readable = 0
    halves: list[str] = []
    for raw in rows:
        loaded.rows += 1
        if raw.values is None:
            loaded.dropped.append(
                DroppedRow(
                    where=raw.where, reason="malformed line", detail=raw.fault, row=raw.text[:MAX_SHOWN_CHARS]
                )
            )
            continue
        readable += 1
        columns.update(raw.values)
        last = raw.where
        note_halves(raw, halves)
        try:
            problems.append(_problem(raw, split, name, config, pattern))
            places.append(raw.where)
        except Malformed as fault:
            loaded.dropped.append(
                DroppedRow(where=raw.where, reason=fault.reason, detail=fault.detail, row=shown_row(raw))
            )
    if halves:
        loaded.notes.append(
            f"{len(halves)} rows hold characters that are no Unicode (halves of surrogate pairs), each replaced by U+FFFD; the first is {halves[0]}"
        )
    if readable:
        _check_columns(columns, config, last)


def _check_columns(columns: set[str], config: TableData, where: str) -> None:
    mapping = config.columns
    wanted = {"question": mapping.question, "answer": mapping.answer}
    wanted |= {
        name: value for name in ("id", "domain", "difficulty", "cluster") if (value := getattr(mapping, name))
    }
    wanted |= {f"traces.{i}": column for i, column in enumerate(mapping.traces)}
    missing = [
        f"data.columns.{key} names {column!r}" for key, column in wanted.items() if column not in columns
    ]
    if missing:
        raise DataError(
            f"{where.rsplit(', ', 1)[0]}: {', and '.join(missing)}, which no row has; the columns are {', '.join(sorted(map(str, columns)))}"
        )


def _problem(
    raw: RawRow, split: Split, name: str, config: TableData, pattern: re.Pattern[str] | None
) -> Problem:
    values, columns = raw.values or {}, config.columns
    question = question_of(values.get(columns.question), columns.question)
    if not question:
        raise Malformed("no question", f"column {columns.question!r} is empty")
    answer = text_of(values.get(columns.answer), columns.answer, "no answer")
    if not answer:
        raise Malformed("no answer", f"column {columns.answer!r} is empty")
    if pattern is not None:
        found = list(pattern.finditer(answer))
        answer = (found[-1][1] or "").strip() if found else ""
        if not answer:
            raise Malformed("no answer", f"answer_pattern does not match column {columns.answer!r}")
    number = text_of(values.get(columns.id), columns.id) if columns.id else f"{name}:{raw.number}"
    if not number:
        raise Malformed("no id", f"column {columns.id!r} is empty")
    domain = (text_of(values.get(columns.domain), columns.domain) if columns.domain else "") or config.domain
    cluster = text_of(values.get(columns.cluster), columns.cluster) if columns.cluster else ""
    return Problem(
        id=number,
        question=question,
        answer=answer,
        domain=domain,
        difficulty=_whole(values.get(columns.difficulty), columns.difficulty) if columns.difficulty else None,
        split=split,
        source=name,
        traces=_traces(values, columns.traces),
        metadata={CLUSTER_KEY: cluster} if cluster else {},
    )


def _whole(value: Any, column: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
        if number.is_integer():
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Malformed("difficulty is no whole number", f"column {column!r} holds {str(value)[:40]!r}")


def _traces(values: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Teacher paths, in the order of the columns; empty ones are left out."""
    return tuple(path for column in columns for path in paths_of(values.get(column), column))


def _halves(value: Any) -> bool:
    """Whether a text in a value holds half of a surrogate pair."""
    if isinstance(value, str):
        return clean_text(value) != value
    items = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    return any(_halves(item) for item in items)


def note_halves(raw: RawRow, halves: list[str]) -> None:
    """Notes where a row stands that holds half of a surrogate pair."""
    if _halves(raw.values):
        halves.append(raw.where)


def shown_row(raw: RawRow) -> Any:
    """The row for the record of leaving it out, long values cut."""
    if raw.values is None:
        return raw.text[:MAX_SHOWN_CHARS]
    return {str(key): _shown(value) for key, value in raw.values.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, (bool, int)) or value is None:
        return value
    return clean_text(str(value)[:MAX_SHOWN_CHARS])
