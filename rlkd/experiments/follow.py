"""Cells that take a setting from what other cells came to: the best value tried, as many operations, or a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlkd.config.layers import overlay
from rlkd.errors import RLKDError, StageError
from rlkd.experiments.budgets import matching_epochs, read_costs
from rlkd.experiments.cell import Cell
from rlkd.experiments.finished import finished_entries, finished_score
from rlkd.experiments.plan import nested
from rlkd.pipeline.run_folder import RUN_FILE, read_run
from schemas.artifact import StageEntry
from schemas.base import JsonValue
from schemas.config.pipeline import PipelineConfig


def settled(cell: Cell, root: Path) -> Cell:
    """Fills in what a cell takes from others: the value chosen for it, then what it takes of the cell that it follows.

    A cell that takes nothing stays as it is.

    Args:
        cell: The cell.
        root: The experiment's folder.

    Raises:
        StageError: A cell that it takes something from is not finished.
    """
    if cell.tuned is not None:
        cell = _changed(cell, nested(cell.tuned.key, _chosen(cell, root)))
    if not cell.follows:
        return cell
    folder = root / cell.follows
    manifest = read_run(folder) if (folder / RUN_FILE).is_file() else None
    if manifest is None or manifest.status != "done":
        raise StageError(f"it follows cell {cell.follows}, which is not finished")
    config = PipelineConfig.model_validate(manifest.config)
    entries = finished_entries(manifest)
    values = _epochs(config, entries) if cell.takes == "flops_of" else _student(config, entries)
    return _changed(cell, values)


def _changed(cell: Cell, values: Mapping[str, Any]) -> Cell:
    found = PipelineConfig.model_validate(overlay(cell.config.model_dump(mode="json"), values))
    return replace(cell, config=found)


def _chosen(cell: Cell, root: Path) -> JsonValue:
    """The best of the values that were tried for a cell; every one must have been tried."""
    assert cell.tuned is not None
    tried = read_trials(cell.tuned.cells, cell.tuned.metric, root)
    missing = next((trial for trial, score in tried if score is None), None)
    if missing is not None:
        raise StageError(
            f"its {cell.tuned.key} is not chosen yet: {missing.name}, which tries a value, is not finished"
        )
    return best_value(
        [(trial.trial.value, score) for trial, score in tried if trial.trial and score is not None]
    )


def read_trials(cells: Sequence[Cell], metric: str, root: Path) -> list[tuple[Cell, float | None]]:
    """Reads the validation score of every cell that tries a value; ``None`` where it is not finished.

    Args:
        cells: The cells.
        metric: The score, e.g. ``validation/accuracy``.
        root: The experiment's folder.
    """
    found: list[tuple[Cell, float | None]] = []
    for cell in cells:
        try:
            ready = settled(cell, root)
        except (RLKDError, OSError, ValueError):
            found.append((cell, None))
            continue
        found.append((ready, finished_score(ready, root / cell.name, metric)))
    return found


def best_value(scores: Sequence[tuple[JsonValue, float]]) -> JsonValue:
    """Chooses the value with the highest mean over its seeds; of equal ones the first that was named.

    Args:
        scores: A value and its score for each trial; the trials of one value may be several seeds.
    """
    sums: list[tuple[JsonValue, list[float]]] = []
    for value, score in scores:
        mine = next((kept for known, kept in sums if known == value), None)
        if mine is None:
            sums.append((value, [score]))
        else:
            mine.append(score)
    # The mean of equal scores may differ in its last digit with their order: that makes no winner.
    means = [round(sum(kept) / len(kept), 12) for _, kept in sums]
    return sums[means.index(max(means))][0]


def _epochs(config: PipelineConfig, entries: Mapping[str, StageEntry]) -> dict[str, Any]:
    """SFT for as many operations as a run cost, its own SFT and sampling among them."""
    budget, _ = read_costs(config, entries)
    if budget.flops is None:
        raise StageError("its operations cannot be told: the student's weights are not known")
    return {"warm_start": {"max_epochs": matching_epochs(budget.flops, config, entries)}}


def _student(config: PipelineConfig, entries: Mapping[str, StageEntry]) -> dict[str, Any]:
    """The student that a run ended with as the one that writes the traces."""
    last = next((entries[name] for name in ("rl", "warm_start") if name in entries), None)
    if last is None:
        raise StageError("it trained no student")
    model = {"type": "checkpoint", "path": str(Path(last.uri) / "model")}
    student = {**config.student.model_dump(mode="json"), "model": model}
    return {"traces": {"teacher": {"student": student}}}
