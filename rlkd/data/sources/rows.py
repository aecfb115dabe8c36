"""A row of a table (file or hub) to a problem, by the column mapping."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlkd.data.sources.base import MAX_SHOWN_CHARS, DroppedRow, Loaded
from rlkd.errors import DataError
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


class _Malformed(Exception):
    """A row is no problem: reason and detail."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


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
        try:
            problems.append(_problem(raw, split, name, config, pattern))
            places.append(raw.where)
        except _Malformed as fault:
            shown = {str(key): _shown(value) for key, value in raw.values.items()}
            loaded.dropped.append(
                DroppedRow(where=raw.where, reason=fault.reason, detail=fault.detail, row=shown)
            )
    if readable:
        _check_columns(columns, config, last)


def _check_columns(columns: set[str], config: TableData, where: str) -> None:
    mapping = config.columns
    wanted = {"question": mapping.question, "answer": mapping.answer}
    wanted |= {name: value for name in ("id", "domain", "difficulty") if (value := getattr(mapping, name))}
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
    question = _text(values.get(columns.question))
    if not question:
        raise _Malformed("no question", f"column {columns.question!r} is empty or no text")
    answer = _text(values.get(columns.answer))
    if not answer:
        raise _Malformed("no answer", f"column {columns.answer!r} is empty or no text")
    if pattern is not None:
        found = list(pattern.finditer(answer))
        answer = (found[-1][1] or "").strip() if found else ""
        if not answer:
            raise _Malformed("no answer", f"answer_pattern does not match column {columns.answer!r}")
    number = _text(values.get(columns.id)) if columns.id else f"{name}:{raw.number}"
    if not number:
        raise _Malformed("no id", f"column {columns.id!r} is empty")
    domain = (_text(values.get(columns.domain)) if columns.domain else "") or config.domain
    return Problem(
        id=number,
        question=question,
        answer=answer,
        domain=domain,
        difficulty=_whole(values.get(columns.difficulty), columns.difficulty) if columns.difficulty else None,
        split=split,
        source=name,
        traces=_traces(values, columns.traces),
    )


def _text(value: Any) -> str:
    """A scalar as text: yes or no for booleans, numbers without a trailing ``.0``; empty for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return (
            ""
            if not math.isfinite(value)
            else str(int(value))
            if value.is_integer() and abs(value) < 1e15
            else repr(value)
        )
    return str(value) if isinstance(value, int) else ""


def _whole(value: Any, column: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
        if number.is_integer():
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _Malformed("difficulty is no whole number", f"column {column!r} holds {str(value)[:40]!r}")


def _traces(values: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Teacher paths, in the order of the columns; empty ones are left out."""
    found: list[str] = []
    for column in columns:
        value = values.get(column)
        found += [_path(item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    return tuple(path for path in found if path)


def _path(item: Any) -> str:
    """A teacher path: text, or an object that holds it as ``text`` (``{"model": "gpt4", "text": "..."}``); else empty."""
    if isinstance(item, Mapping):
        item = item.get("text")
    return item.strip() if isinstance(item, str) else ""


def _shown(value: Any) -> Any:
    if isinstance(value, (bool, int)) or value is None:
        return value
    return str(value)[:MAX_SHOWN_CHARS]
