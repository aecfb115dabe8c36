"""Reads what finished cells left behind: scores of every problem, budget, curve, and how RL ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rlkd.errors import RLKDError
from rlkd.experiments.budgets import read_costs
from rlkd.experiments.cell import Cell
from rlkd.experiments.details import by_domain, cell_scores, final_outputs
from rlkd.io import iter_rows
from rlkd.pipeline.run_folder import RUN_FILE, read_run
from rlkd.reporting.compare import ComparedRun, load_run
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig
from schemas.experiment import CellResult
from schemas.problem import Problem


@dataclass(frozen=True)
class Read:
    """A cell with its scores per problem, where it is finished.

    Attributes:
        result: What the report says of it.
        run: Its last student on the held-out problems; ``None`` where it is not finished.
        data: Folder of its data stage; ``None`` where that is not known.
    """

    result: CellResult
    run: ComparedRun | None = field(default=None, repr=False)
    data: Path | None = None

    def problems(self, split: str) -> Iterator[Problem]:
        """Its held-out problems of a split; none where their file is gone."""
        file = self.data / f"{split}.jsonl" if self.data is not None else None
        return iter_rows(file, Problem) if file is not None and file.is_file() else iter(())


def read_cell(cell: Cell, folder: Path, error: str, split: str) -> Read:
    """Reads a cell of an experiment.

    Args:
        cell: The cell, with the configuration that it should have run with.
        folder: Its run folder.
        error: Why it failed; empty where it did not.
        split: The primary split.
    """
    made = CellResult(
        cell=cell.name, method=cell.method, seed=cell.seed, setting=cell.setting, axes=dict(cell.axes)
    )
    if not (folder / RUN_FILE).is_file():
        return Read(made.model_copy(update={"status": "failed" if error else "missing", "error": error}))
    try:
        manifest = read_run(folder)
        if not _is_whole(manifest, cell):
            why = error or _why(manifest)
            status = "failed" if error or manifest.status in ("failed", "cancelled") else "missing"
            return Read(made.model_copy(update={"status": status, "error": why}))
        return read_finished(made, load_run(str(folder)), manifest, cell.config, split)
    except (RLKDError, OSError, ValueError) as fault:
        return Read(made.model_copy(update={"status": "failed", "error": error or str(fault)}))


def _is_whole(manifest: RunManifest, cell: Cell) -> bool:
    """Whether a run is finished, with the settings that the cell has."""
    return manifest.status == "done" and manifest.config == cell.config.model_dump(mode="json")


def finished_score(cell: Cell, folder: Path, metric: str) -> float | None:
    """Reads one score of a cell, nothing else; ``None`` where it is not finished, or has run with other settings.

    Args:
        cell: The cell.
        folder: Its run folder.
        metric: Split and metric, e.g. ``validation/accuracy``.
    """
    try:
        manifest = read_run(folder)
        if not _is_whole(manifest, cell):
            return None
        return _means(load_run(str(folder))).get(metric)
    except (RLKDError, OSError, ValueError):
        return None


def read_finished(
    made: CellResult, run: ComparedRun, manifest: RunManifest, config: PipelineConfig | None, split: str
) -> Read:
    """Reads a finished run.

    Args:
        made: What is known of it.
        run: Its scores.
        manifest: What it wrote down.
        config: Its configuration; without one there is no budget.
        split: The primary split.
    """
    entries = finished_entries(manifest)
    rows = final_outputs(run.evaluation, run.checkpoint)
    scores = {**_means(run), **cell_scores(rows), **_of_training(entries)}
    update: dict[str, object] = {
        "status": "done",
        "scores": scores,
        "domains": by_domain(rows, split),
    }
    if config is not None:
        update["budget"], curve = read_costs(config, entries)
        update["curve"] = curve
        if curve and curve[0].step == 0:
            update["scores"] = {**scores, "train/start": curve[0].accuracy}
    data = Path(entries["data"].uri) if "data" in entries else None
    return Read(made.model_copy(update=update), run, data)


def finished_entries(manifest: RunManifest) -> dict[str, StageEntry]:
    """The finished stages of a run by name."""
    return {entry.name: entry for entry in manifest.stages if entry.sha256}


def _why(manifest: RunManifest) -> str:
    failed = [entry.error for entry in manifest.stages if entry.status == "failed"]
    if failed:
        return failed[0]
    return "it has run with other settings; run the experiment again" if manifest.status == "done" else ""


def _means(run: ComparedRun) -> dict[str, float]:
    return {
        f"{split}/{metric}": sum(values.values()) / len(values)
        for (split, metric), values in run.values.items()
        if values
    }


def _of_training(entries: Mapping[str, StageEntry]) -> dict[str, float]:
    """How RL ended: the share of groups without a signal in its last tenth, and the alarms of its watch."""
    file = Path(entries["rl"].uri) / "manifest.json" if "rl" in entries else None
    if file is None or not file.is_file():
        return {}
    metrics = json.loads(file.read_text(encoding="utf-8")).get("result", {}).get("metrics", {})
    names = {"train_groups_without_difference": "train/silent", "watch_alarms": "train/alarms"}
    return {ours: float(metrics[name]) for name, ours in names.items() if name in metrics}
