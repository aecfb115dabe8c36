"""Reads the folders of finished stages into what the report shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkd.io import iter_rows, read_rows
from rlkd.reporting.findings import describe_findings
from rlkd.reporting.labels import CHECKPOINT_LABELS
from rlkd.reporting.plots import (
    checkpoints_plot,
    curves_plot,
    difficulty_plot,
    domain_plot,
    loss_plot,
    quadrants_plot,
)
from rlkd.reporting.qualification import qualification_content, qualification_plot, qualification_sentence
from rlkd.reporting.series import RewardCurves, first_of, quadrant, read_ledger, read_metrics
from rlkd.reporting.stage_notes import alarm_sentences, data_notes, training_notes
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import EvalReport, ProblemOutput, SampleProblem
from schemas.report import Plot, Quadrant, QualificationContent, ReportContent, RowCounts
from schemas.trace import TeacherTrace

_REASONS = 12
"""Reasons for rejection that are listed; the rest is summed up."""


def collect(config: PipelineConfig, inputs: Mapping[str, Path]) -> ReportContent:
    """Collects everything that the report shows but the facts of the run. Stages that are absent leave their parts out.

    Args:
        config: The configuration; only its name, description and sections ``report`` and ``qualify`` are read.
        inputs: Folder of each finished stage.
    """
    evaluation = _evaluation(inputs)
    outputs = [row for row in _outputs(inputs) if row.split == "test"]
    ledger = read_ledger(inputs["rl"] / "ledger") if "rl" in inputs else RewardCurves()
    rejected, accepted = _traces(inputs)
    summary = _json(inputs, "data", "summary.json")
    qualification = qualification_content(config, inputs["qualify"]) if "qualify" in inputs else None
    return ReportContent(
        title=config.report.title or config.name,
        description=config.description,
        headline=(
            *(describe_findings(evaluation) if evaluation else ()),
            *alarm_sentences(inputs),
            *(
                (qualification_sentence(qualification),)
                if qualification and not qualification.verdict.passed
                else ()
            ),
        ),
        evaluation=evaluation,
        rows=RowCounts(
            loaded=summary.get("loaded", 0),
            dropped=summary.get("dropped", {}),
            traces_accepted=accepted,
            traces_rejected=sum(rejected.values()),
        ),
        kept=_kept(summary),
        rejected=_most(rejected),
        data_notes=data_notes(inputs, summary),
        training_notes=training_notes(inputs),
        plots=tuple(_plots(inputs, evaluation, outputs, ledger, qualification)),
        quadrants=_quadrants(outputs, ledger),
        rewards=ledger.health,
        samples=_samples(inputs, config.report.samples),
        qualification=qualification,
    )


def _plots(
    inputs: Mapping[str, Path],
    evaluation: EvalReport | None,
    outputs: list[ProblemOutput],
    ledger: RewardCurves,
    qualification: QualificationContent | None,
) -> list[Plot]:
    plots: list[Plot | None] = []
    if "warm_start" in inputs:
        series = read_metrics(inputs["warm_start"] / "metrics.jsonl")
        train = first_of(series, "loss", "train_loss")
        validation = first_of(series, "eval_loss", "validation_loss")
        if train or validation:
            plots.append(loss_plot(train, validation))
    if ledger.curves:
        series = read_metrics(inputs["rl"] / "metrics.jsonl")
        plots.append(curves_plot(ledger.curves, first_of(series, "validation_accuracy", "eval_accuracy")))
    if evaluation is not None:
        plots += [checkpoints_plot(evaluation), difficulty_plot(evaluation), domain_plot(evaluation)]
    names = [
        name
        for name in CHECKPOINT_LABELS
        if any(row.checkpoint == name and row.structure is not None for row in outputs)
    ]
    if names:
        plots.append(quadrants_plot(outputs, names))
    if qualification is not None:
        plots.append(qualification_plot(qualification))
    return [plot for plot in plots if plot is not None]


def _quadrants(outputs: list[ProblemOutput], ledger: RewardCurves) -> tuple[Quadrant, ...]:
    """Of every checkpoint on the test split, then of the training samples, early and late."""
    found = []
    for name, label in CHECKPOINT_LABELS.items():
        rows = [row for row in outputs if row.checkpoint == name]
        made = quadrant(
            f"{label}, test",
            [row.structure for row in rows],
            [None if row.correct is None else float(row.correct) for row in rows],
        )
        if made.n:
            found.append(made)
    found.extend(
        part.model_copy(update={"label": f"Samples, {part.label}"}) for part in ledger.quadrants if part.n
    )
    return tuple(found)


def _evaluation(inputs: Mapping[str, Path]) -> EvalReport | None:
    if "evaluate" not in inputs:
        return None
    return EvalReport.model_validate_json(
        (inputs["evaluate"] / "eval_report.json").read_text(encoding="utf-8")
    )


def _outputs(inputs: Mapping[str, Path]) -> list[ProblemOutput]:
    return read_rows(inputs["evaluate"] / "outputs.jsonl", ProblemOutput) if "evaluate" in inputs else []


def _samples(inputs: Mapping[str, Path], count: int) -> tuple[SampleProblem, ...]:
    if "evaluate" not in inputs or count == 0:
        return ()
    samples = read_rows(inputs["evaluate"] / "samples.jsonl", SampleProblem)
    test = [sample for sample in samples if sample.split == "test"]
    other = [sample for sample in samples if sample.split != "test"]
    # One in four from out of distribution, where there is one.
    outside = min(len(other), count // 4) if test else count
    return (*test[: count - outside], *other[:outside])


def _traces(inputs: Mapping[str, Path]) -> tuple[Counter[str], int]:
    """Rejected traces by reason, and the number of accepted ones."""
    if "traces" not in inputs:
        return Counter(), 0
    folder = inputs["traces"]
    rejected: Counter[str] = Counter()
    if (folder / "rejected.jsonl").exists():
        rejected.update(
            row.reason or "no reason given" for row in iter_rows(folder / "rejected.jsonl", TeacherTrace)
        )
    with (folder / "accepted.jsonl").open("rb") as file:
        accepted = sum(1 for line in file if line.strip())
    return rejected, accepted


def _kept(summary: Mapping[str, Any]) -> dict[str, int]:
    kept: dict[str, int] = dict(summary.get("kept", {}))
    unused = summary.get("unused", 0)
    return {**kept, "unused": unused} if unused else kept


def _most(counts: Counter[str]) -> dict[str, int]:
    """The most frequent reasons, the others summed up: a reason may name its row."""
    common = dict(counts.most_common(_REASONS))
    rest = sum(counts.values()) - sum(common.values())
    return {**common, "other reasons": rest} if rest else common


def _json(inputs: Mapping[str, Path], stage: str, name: str) -> dict[str, Any]:
    if stage not in inputs or not (inputs[stage] / name).exists():
        return {}
    value: dict[str, Any] = json.loads((inputs[stage] / name).read_text(encoding="utf-8"))
    return value
