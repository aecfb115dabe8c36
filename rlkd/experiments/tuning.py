"""What equal tuning found: every value tried for every method, its validation score, and which one was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkd.errors import RLKDError
from rlkd.experiments.cell import Cell, Tuned
from rlkd.experiments.finished import Read, read_cell
from rlkd.experiments.follow import best_value, settled
from schemas.base import JsonValue
from schemas.experiment import TuningRow


def read_tuning(cells: Sequence[Cell], root: Path, errors: Mapping[str, str]) -> tuple[TuningRow, ...]:
    """Reads what was tried for the cells that are compared, once for each method and setting of the grid.

    Args:
        cells: Cells of the experiment that are compared.
        root: The experiment's folder.
        errors: Why cells failed, by name.
    """
    rows: list[TuningRow] = []
    seen: set[tuple[str, str]] = set()
    any_tuned = any(cell.tuned is not None for cell in cells)
    for cell in cells:
        if (cell.setting, cell.method) in seen or not any_tuned:
            continue
        seen.add((cell.setting, cell.method))
        if cell.tuned is None:
            rows.append(TuningRow(method=cell.method, setting=cell.setting))
        else:
            rows += _rows(cell, cell.tuned, root, errors)
    return tuple(rows)


def _rows(cell: Cell, tuned: Tuned, root: Path, errors: Mapping[str, str]) -> list[TuningRow]:
    read = [(trial, _read(trial, root, errors.get(trial.name, ""))) for trial in tuned.cells]
    values: list[JsonValue] = []
    for trial, _ in read:
        if trial.trial is not None and trial.trial.value not in values:
            values.append(trial.trial.value)
    scores = [
        (trial.trial.value, found.result.scores.get(tuned.metric)) for trial, found in read if trial.trial
    ]
    known = [(value, score) for value, score in scores if score is not None]
    chosen = [best_value(known)] if known and len(known) == len(scores) else []
    return [
        _row(
            cell,
            tuned,
            value,
            [item for item in read if item[0].trial and item[0].trial.value == value],
            values,
            chosen,
        )
        for value in values
    ]


def _row(
    cell: Cell,
    tuned: Tuned,
    value: JsonValue,
    read: Sequence[tuple[Cell, Read]],
    values: Sequence[JsonValue],
    chosen: Sequence[JsonValue],
) -> TuningRow:
    per_seed = {
        str(trial.seed): found.result.scores[tuned.metric]
        for trial, found in read
        if tuned.metric in found.result.scores
    }
    budgets = [found.result.budget for _, found in read if found.result.budget is not None]
    flops = [budget.flops for budget in budgets if budget.flops is not None]
    numbers = [item for item in values if isinstance(item, int | float) and not isinstance(item, bool)]
    is_chosen = value in chosen
    return TuningRow(
        method=cell.method,
        setting=cell.setting,
        tuned=tuned.key,
        value=value,
        per_seed=per_seed,
        score=sum(per_seed.values()) / len(per_seed) if len(per_seed) == len(read) else None,
        chosen=is_chosen,
        at_edge=is_chosen and len(numbers) == len(values) and value in (min(numbers), max(numbers)),
        missing=tuple(trial.name for trial, found in read if tuned.metric not in found.result.scores),
        error=next((found.result.error for _, found in read if found.result.error), ""),
        seconds=sum(budget.seconds for budget in budgets),
        flops=sum(flops) if len(flops) == len(read) else None,
    )


def _read(trial: Cell, root: Path, error: str) -> Read:
    try:
        trial = settled(trial, root)
    except (RLKDError, OSError, ValueError) as fault:
        error = error or str(fault)
    return read_cell(trial, root / trial.name, error, "validation")
