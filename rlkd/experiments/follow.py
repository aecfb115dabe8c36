"""Cells that take a setting from what another cell came to: as many operations, or the student that it ended with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlkd.config.load import overlay
from rlkd.errors import StageError
from rlkd.experiments.budgets import matching_epochs, read_costs
from rlkd.experiments.plan import Cell
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig


def settled(cell: Cell, root: Path) -> Cell:
    """Fills in what a cell takes from the one that it follows; a cell that follows none stays as it is.

    Args:
        cell: The cell.
        root: The experiment's folder.

    Raises:
        StageError: The cell that it follows is not finished.
    """
    if not cell.follows:
        return cell
    file = root / cell.follows / "run.json"
    manifest = RunManifest.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
    if manifest is None or manifest.status != "done":
        raise StageError(f"it follows cell {cell.follows}, which is not finished")
    config = PipelineConfig.model_validate(manifest.config)
    entries = {entry.name: entry for entry in manifest.stages if entry.sha256}
    values = _epochs(config, entries) if cell.takes == "flops_of" else _student(config, entries)
    found = PipelineConfig.model_validate(overlay(cell.config.model_dump(mode="json"), values))
    return replace(cell, config=found)


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
