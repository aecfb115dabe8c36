"""``rlkd decompose`` and ``rlkd score``: JSON lines in, JSON lines out, in the same order.

A malformed row becomes an output row with ``error``; the others are done all the same and the exit code is 1. The
output file appears whole or not at all, and is never the input.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rlkd.answers.conventions import read_any
from rlkd.config.sections import _TOOL_REWARDS
from rlkd.errors import DataError
from rlkd.rewards.components import Rollout
from rlkd.rewards.scoring import Components, combine_rollout, make_components, measure, wait_for_values
from rlkd.rewards.texts import TextSample, TextScorer
from rlkd.structure.backends.cached import last_fault
from rlkd.structure.factory import make_decomposer, make_scorer
from rlkd.structure.interfaces import Decomposer, PathItem
from rlkd.structure.scorer import in_text, path_item, teacher_item
from rlkd.user_files import clean_text, open_input, open_output, parse_json, shown
from schemas.alignment import StepMatch, StructureScore
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig
from schemas.structure import Structure

BATCH = 256
"""Rows that are read, decomposed and judged together."""
_UNKNOWN = ("structure", "format", "length")
"""Components that a missing value of is said otherwise, or that a path alone does not have."""
_STEP_FIELDS = {
    "index",
    "meta",
    "sub_problem",
    "answer",
    "quantities",
    "operation",
    "depends_on",
    "start",
    "end",
}


class _RowError(ValueError):
    """A row that cannot be used; the message says why."""


@dataclass(frozen=True)
class FileResult:
    """What became of a file's rows.

    Attributes:
        rows: How many there were.
        faulty: How many of them were malformed or could not be worked on.
        first: What was wrong with the first of those.
    """

    rows: int = 0
    faulty: int = 0
    first: str = ""

    def with_row(self, row: dict[str, Any]) -> FileResult:
        """This and one more row of output."""
        if row["error"] is None:
            return replace(self, rows=self.rows + 1)
        named = f"row {row['id']!r}: " if row["id"] is not None else ""
        return FileResult(self.rows + 1, self.faulty + 1, self.first or f"{named}{row['error']}")


def decompose_file(source: Path, target: Path, config: StructuresConfig | None = None) -> FileResult:
    """Decomposes every row ``{id, problem, path}`` of a JSON lines file.

    Args:
        source: The input.
        target: The output: rows ``{id, steps, error}``; replaced atomically.
        config: Its decomposer is used; by default rules.

    Returns:
        How many rows there were, and how many were malformed or could not be decomposed.

    Raises:
        DataError: The input cannot be read, or the output cannot be written.
    """
    config = config or StructuresConfig()
    decomposer = make_decomposer(config.decomposer, config.cache)
    return _process(source, target, lambda rows: asyncio.run(_decompose_rows(rows, decomposer)))


def score_file(
    source: Path,
    target: Path,
    structures: StructuresConfig | None = None,
    rewards: RewardsConfig | None = None,
) -> FileResult:
    """Scores every row ``{id, problem, teacher, student, answer?}`` of a JSON lines file.

    Args:
        source: The input; ``teacher`` is a path or a list of paths.
        target: The output: rows ``{id, structure, prefix, outcome, reward, teacher_steps, student_steps, steps, missing,
            error}`` and a column for each of ``rewards.components``; replaced atomically. ``outcome``, these and ``reward``
            are null without ``answer``. ``error`` says what a
            model's fault left out; ``teacher_steps`` is then the longest teacher path's, null where none could be read.
        structures: Decomposer, judge and alignment; by default rules and our alignment.
        rewards: How structure and outcome are combined; by default half and half.

    Returns:
        How many rows there were, and how many were malformed or could not be scored because of a fault.

    Raises:
        DataError: The input cannot be read, or the output cannot be written.
    """
    scorer = TextScorer(make_scorer(structures))
    weights = rewards or _TOOL_REWARDS
    components = make_components(weights)
    return _process(source, target, lambda rows: asyncio.run(_score_rows(rows, scorer, weights, components)))


# -- rows ---------------------------------------------------------------------------------------------

_Row = dict[str, Any] | _RowError


def _process(source: Path, target: Path, work: Callable[[list[_Row]], list[dict[str, Any]]]) -> FileResult:
    found = FileResult()
    with open_output(target, [source]) as out:
        for batch in _batches(source):
            for row in work(batch):
                found = found.with_row(row)
                out.write(_line(row) + "\n")
    return found


def _line(row: dict[str, Any]) -> str:
    """A row as JSON; one whose id holds half a surrogate pair says so as the input did, in ASCII."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return line if clean_text(line) == line else json.dumps(row, allow_nan=False)


def _batches(source: Path) -> Iterator[list[_Row]]:
    try:
        with open_input(source) as file:
            batch: list[_Row] = []
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                batch.append(_parse(line, number))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
            if batch:
                yield batch
    except OSError as error:
        raise DataError(
            f"{shown(source, 'standard input')}: cannot be read ({error.strerror}); give the path of a JSON lines file"
        ) from None


def _parse(line: bytes, number: int) -> _Row:
    try:
        row = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError:
        return _RowError(f"line {number}: not valid JSON in UTF-8")
    except RecursionError:
        return _RowError(f"line {number}: not valid JSON (nested too deeply)")
    except json.JSONDecodeError as error:
        return _RowError(
            f"line {number}: not valid JSON ({error.msg} at column {error.colno}){_hint(line, number)}"
        )
    except ValueError as error:
        return _RowError(f"line {number}: {error}")
    if not isinstance(row, dict):
        return _RowError(
            f"line {number}: a row is a JSON object, not {type(row).__name__}{_hint(line, number)}"
        )
    return row


def _hint(line: bytes, number: int) -> str:
    listed = number == 1 and line.lstrip().startswith(b"[")
    return "; if the file is one JSON list, write each of its objects on a line" if listed else ""


def _text(row: dict[str, Any], field: str, required: bool = True) -> str:
    value = row.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise _RowError(f"{field}: {'is missing' if value is None else 'must be text'}")
    return clean_text(value)


def _row_id(row: _Row) -> Any:
    value = None if isinstance(row, _RowError) else row.get("id")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) else None


# -- decompose ------------------------------------------------------------------------------------------


async def _decompose_rows(rows: list[_Row], decomposer: Decomposer) -> list[dict[str, Any]]:
    items: list[PathItem | str] = []
    for row in rows:
        try:
            items.append(_path_item(row))
        except _RowError as error:
            items.append(str(error))
    structures = iter(await decomposer.decompose([item for item in items if isinstance(item, PathItem)]))
    fault = _because("the decomposer failed on this path", decomposer)
    return [
        {"id": _row_id(row), "steps": None, "error": item}
        if isinstance(item, str)
        else _decomposed(row, item, next(structures), fault)
        for row, item in zip(rows, items, strict=True)
    ]


def _path_item(row: _Row) -> PathItem:
    """What the reward sees of a row's text; what a text states is no step of it."""
    if isinstance(row, _RowError):
        raise row
    return teacher_item(
        _text(row, "problem", required=False),
        _text(row, "path"),
        _text(row, "domain", required=False) or "math",
    )


def _because(what: str, backend: object) -> str:
    """A fault with its reason, as far as it is known."""
    reason = last_fault(backend)
    return f"{what} (last fault: {reason})" if reason else what


def _decomposed(row: _Row, item: PathItem, structure: Structure | None, error: str) -> dict[str, Any]:
    if structure is None:
        return {"id": _row_id(row), "steps": None, "error": error}
    found = in_text(structure, item, "" if isinstance(row, _RowError) else row["path"])
    return {"id": _row_id(row), "steps": _steps_json(found), "error": None}


def _steps_json(structure: Structure) -> Any:
    return TypeAdapter(Structure).dump_python(
        structure, mode="json", include={"steps": {"__all__": _STEP_FIELDS}}
    )["steps"]


# -- score ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Input:
    """A row of ``rlkd score``, checked."""

    problem: str
    teachers: tuple[str, ...]
    student: str
    answer: str | None
    domain: str


@dataclass(slots=True)
class _Found:
    """What became of a row: what was read of it and its score, or why there is none and what is known all the same."""

    rollout: Rollout
    teacher_steps: int | None
    student: Structure | None = None
    error: str | None = None

    @property
    def score(self) -> StructureScore | None:
        """The structure score."""
        return self.rollout.structure


async def _score_rows(
    rows: list[_Row], scorer: TextScorer, rewards: RewardsConfig, components: Components
) -> list[dict[str, Any]]:
    parsed: list[_Input | str] = []
    for row in rows:
        try:
            parsed.append(_score_input(row))
        except _RowError as error:
            parsed.append(str(error))
    inputs = [p for p in parsed if isinstance(p, _Input)]
    found = await _found(inputs, scorer)
    scored = zip(found, await _measured([row.rollout for row in found], components), strict=True)
    return [
        _failed(row, p, rewards) if isinstance(p, str) else _scored(row, *next(scored), rewards)
        for row, p in zip(rows, parsed, strict=True)
    ]


async def _measured(
    rollouts: Sequence[Rollout], components: Components
) -> list[dict[str, float | None] | None]:
    """The components of each student's path; ``None`` where the row has no reference answer."""
    rows = measure([rollout for rollout in rollouts if rollout.reference is not None], components)
    await wait_for_values(rows)
    left = iter(rows)
    return [None if rollout.reference is None else next(left) for rollout in rollouts]


async def _found(inputs: Sequence[_Input], scorer: TextScorer) -> list[_Found]:
    """Scores rows as every other entrance does, and says of those without a score what is known all the same."""
    rollouts = [
        Rollout(r.problem, r.answer, r.student, read_any(r.student), teachers=r.teachers) for r in inputs
    ]
    items = [
        path_item(row.problem, rollout.parsed, row.domain)
        for row, rollout in zip(inputs, rollouts, strict=True)
    ]
    made = await scorer.examine(
        [TextSample(item, row.teachers) for item, row in zip(items, inputs, strict=True)]
    )
    decomposer = scorer.scorer.decomposer
    fault = _because("could not be decomposed", decomposer)
    found: list[_Found] = []
    for rollout, one in zip(rollouts, made, strict=True):
        known = [len(teacher.steps) for teacher in one.teachers if teacher is not None]
        lost = [str(k) for k, teacher in enumerate(one.teachers) if teacher is None]
        error = f"teacher path {', '.join(lost)} {fault}" if lost else None
        found.append(_Found(replace(rollout, structure=one.score), max(known, default=None), error=error))
    # Whoever got no score still has steps, unless the decomposer failed on it: what it read already is remembered.
    rest = [i for i, row in enumerate(found) if row.score is None and row.teacher_steps is not None]
    students = await decomposer.decompose([items[i] for i in rest])
    for i, student in zip(rest, students, strict=True):
        found[i].student = student
        if student is None:
            found[i].error = _because("the student's path could not be decomposed", decomposer)
        elif found[i].teacher_steps:
            found[i].error = _because("the judge gave no verdict on these steps", scorer.scorer.judge)
    return found


def _score_input(row: _Row) -> _Input:
    if isinstance(row, _RowError):
        raise row
    teacher = row.get("teacher")
    paths = teacher if isinstance(teacher, list) else [teacher]
    texts = [path for path in paths if isinstance(path, str)]
    if not paths or len(texts) != len(paths):
        raise _RowError("teacher: must be a path or a list of paths, each a text")
    clean = tuple(clean_text(path) for path in texts)
    domain = _text(row, "domain", required=False) or "math"
    return _Input(_text(row, "problem", required=False), clean, _text(row, "student"), _answer(row), domain)


def _answer(row: dict[str, Any]) -> str | None:
    """The reference answer; ``None`` where the row has none, or an empty one, which says as little."""
    answer = row.get("answer")
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer):
        return str(answer)
    if answer is not None and not isinstance(answer, str):
        raise _RowError("answer: must be text or a finite number")
    return answer if answer is not None and answer.strip() else None


def _failed(row: _Row, error: str, rewards: RewardsConfig) -> dict[str, Any]:
    return {
        "id": _row_id(row), "structure": None, "prefix": None, "outcome": None, **dict.fromkeys(rewards.components),
        "reward": None, "teacher_steps": None, "student_steps": None, "steps": None, "missing": [], "error": error,
    }  # fmt: skip


def _scored(
    row: _Row, made: _Found, values: dict[str, float | None] | None, rewards: RewardsConfig
) -> dict[str, Any]:
    score = made.score
    missing = [] if score is not None else ["structure"]
    if values is not None:  # format and length say nothing of a path alone
        missing += [name for name in values if name not in _UNKNOWN and values[name] is None]
    steps: Sequence[StepMatch] | None = None if score is None else score.steps
    if made.student is not None:
        steps = [
            StepMatch(index=s.index, sub_problem=s.sub_problem, answer=s.answer) for s in made.student.steps
        ]
    return {
        "id": _row_id(row),
        "structure": None if score is None else score.structure,
        "prefix": None if score is None else score.prefix,
        "outcome": None if values is None else values["outcome"],
        **{name: None if values is None else values[name] for name in rewards.components},
        "reward": None if values is None else combine_rollout(values, made.rollout, rewards, 0).reward,
        "teacher_steps": made.teacher_steps if score is None else score.teacher_steps,
        "student_steps": None if steps is None else len(steps),
        "steps": None if steps is None else [asdict(step) for step in steps],
        "missing": missing,
        "error": made.error,
    }
