"""The report's tables as rows of text, for HTML and Markdown alike; and the contract, ``report.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlkd.reporting.labels import (
    CHECKPOINT_LABELS,
    CHECKPOINT_NOTES,
    METRIC_LABELS,
    SPLIT_LABELS,
    duration,
    interval,
    memory,
    percent,
    points,
    signed,
)
from schemas.artifact import RunManifest, StageEntry, StageRow
from schemas.evaluation import CheckpointMetrics, EvalReport, PairedDifference, SplitMetrics
from schemas.report import (
    CheckpointSummary,
    CheckpointTable,
    PairedRow,
    PipelineReport,
    ReportContent,
)

Tone = Literal["good", "bad", "unsure", "plain"]


@dataclass(frozen=True)
class CheckpointRow:
    """A row of the table of checkpoints."""

    checkpoint: str
    label: str
    note: str
    accuracy: str
    structure: str
    f1: str
    pass_at: dict[str, str]
    format: str
    tokens: str
    truncated: str
    n: int


@dataclass(frozen=True)
class DifferenceRow:
    """A paired difference, with the places of its interval on a shared scale (percent of the width)."""

    label: str
    metric: str
    split: str
    text: str
    span: str
    n: int
    tone: Tone
    low: float
    high: float
    middle: float
    zero: float


@dataclass(frozen=True)
class StageView:
    """A stage's row: cost and what happened; ``share`` is its time against the longest stage's, in percent."""

    name: str
    status: str
    seconds: str
    memory: str
    share: float
    note: str


@dataclass(frozen=True)
class Figure:
    """A figure at the top of the page."""

    label: str
    value: str
    note: str
    delta: str = ""
    against: str = ""
    tone: Tone = "plain"


def checkpoint_rows(report: EvalReport, split: str) -> list[CheckpointRow]:
    """Lists the checkpoints on a split, in training order."""
    rows = []
    for found in report.checkpoints:
        if found.split != split:
            continue
        overall = found.overall
        rows.append(
            CheckpointRow(
                checkpoint=found.checkpoint,
                label=CHECKPOINT_LABELS[found.checkpoint],
                note=CHECKPOINT_NOTES[found.checkpoint],
                accuracy=interval(overall.accuracy),
                structure=interval(overall.structure, as_percent=False),
                f1=interval(overall.f1, as_percent=False),
                pass_at={k: interval(value) for k, value in overall.pass_at.items()},
                format=percent(overall.format.mean),
                tokens=f"{overall.tokens.mean:.0f}",
                truncated=percent(overall.truncated),
                n=overall.accuracy.n,
            )
        )
    return rows


def pass_columns(report: EvalReport) -> list[str]:
    """Lists the k of pass@k that any checkpoint has, ascending."""
    return sorted({k for m in report.checkpoints for k in m.overall.pass_at}, key=int)


def difference_rows(report: EvalReport) -> list[DifferenceRow]:
    """Lists the paired differences, on one scale per metric that holds 0."""
    scales = {}
    for metric in METRIC_LABELS:
        pairs = [pair for pair in report.paired if pair.metric == metric]
        low, high = min((p.low for p in pairs), default=0), max((p.high for p in pairs), default=0)
        scales[metric] = _Scale(min(low, 0.0), max(high, 0.0))
    return [_difference_row(pair, scales[pair.metric]) for pair in report.paired]


def tone_of(pair: PairedDifference) -> Tone:
    """Returns ``good`` or ``bad`` where the interval leaves 0 out, else ``unsure``."""
    return "good" if pair.low > 0 else "bad" if pair.high < 0 else "unsure"


def figures(content: ReportContent, run: RunManifest) -> list[Figure]:
    """Lists the figures at the top: accuracy and structure of the last checkpoint, accuracy out of distribution, time."""
    found: list[Figure] = []
    report = content.evaluation
    for split, metric in (
        ("test", "accuracy"),
        ("test", "structure"),
        ("ood", "accuracy"),
        ("ood", "structure"),
        ("validation", "accuracy"),
    ):
        parts = [m for m in report.checkpoints if m.split == split] if report else []
        if not parts or report is None:
            continue
        value = _figure(parts[-1], metric)
        if value is None:
            continue
        pair = _last_step(report, parts, metric)
        where = METRIC_LABELS[metric] + ("" if split == "test" else f", {SPLIT_LABELS[split].lower()}")
        found.append(
            Figure(
                label=where,
                value=value,
                note=f"{CHECKPOINT_LABELS[parts[-1].checkpoint]}, {parts[-1].overall.accuracy.n} problems",
                delta="" if pair is None else _size(pair),
                against="" if pair is None else f"vs. {CHECKPOINT_LABELS[pair.a].lower()}",
                tone="plain" if pair is None else tone_of(pair),
            )
        )
    return found


def _memory_text(entry: StageEntry) -> str:
    text = memory(entry.peak_rss_mb)
    return f"{text}, GPU {memory(entry.peak_gpu_mb)}" if entry.peak_gpu_mb else text


def stage_views(run: RunManifest) -> list[StageView]:
    """Lists the stages with their cost, as the run saw them."""
    longest = max((entry.seconds for entry in run.stages), default=0) or 1.0
    return [
        StageView(
            name=entry.name,
            status=entry.status,
            seconds="\N{EN DASH}" if entry.status == "skipped" else duration(entry.seconds),
            memory=_memory_text(entry),
            share=100 * entry.seconds / longest,
            note=_stage_note(entry, run.name),
        )
        for entry in run.stages
    ]


def pipeline_report(content: ReportContent, run: RunManifest) -> PipelineReport:
    """Builds the contract ``report.json`` for a run."""
    report = content.evaluation
    paired = report.paired if report else ()
    return PipelineReport(
        name=run.name,
        checkpoints=_table(report, "test"),
        ood=_table(report, "ood"),
        domains=_domains(report),
        paired=tuple(_paired_row(pair) for pair in paired if pair.split == "test"),
        stages=tuple(
            StageRow(
                name=entry.name, status=entry.status, seconds=entry.seconds, peak_rss_mb=entry.peak_rss_mb
            )
            for entry in run.stages
        ),
        rows=content.rows,
        wall_seconds=run.wall_seconds,
        seed=int(run.config.get("seed", 0)),
        config_digest=run.config_digest,
        mlflow_run_id=run.mlflow_run_id,
        qualification=content.qualification,
        benchmarks=report.benchmarks if report else (),
        benchmark_differences=report.benchmark_differences if report else (),
        extra={
            "status": run.status,
            "headline": [sentence.text for sentence in content.headline],
            "peak_gpu_mb": {entry.name: entry.peak_gpu_mb for entry in run.stages if entry.peak_gpu_mb},
            "paired_ood": [_paired_row(pair).model_dump() for pair in paired if pair.split == "ood"],
            "rejected": dict(content.rejected),
            "undecided": _undecided(content.evaluation),
        },
    )


def _undecided(report: EvalReport | None) -> dict[str, dict[str, dict[str, int]]]:
    """Undecided answers by split, checkpoint and reason; a checkpoint without any is left out."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for part in report.checkpoints if report else ():
        if part.overall.undecided:
            found.setdefault(part.split, {})[part.checkpoint] = dict(part.overall.undecided)
    return found


@dataclass(frozen=True)
class _Scale:
    """Places of values on an axis, in percent of its width, with a margin at both ends."""

    low: float
    high: float

    def place(self, value: float) -> float:
        return round(4 + 92 * (value - self.low) / ((self.high - self.low) or 1.0), 2)


def _difference_row(pair: PairedDifference, scale: _Scale) -> DifferenceRow:
    show = points if pair.metric == "accuracy" else signed
    return DifferenceRow(
        label=f"{CHECKPOINT_LABELS[pair.a]} \N{RIGHTWARDS ARROW} {CHECKPOINT_LABELS[pair.b]}",
        metric=METRIC_LABELS[pair.metric],
        split=SPLIT_LABELS[pair.split],
        text=_size(pair),
        span=f"{show(pair.low)} to {show(pair.high)}",
        n=pair.n,
        tone=tone_of(pair),
        low=scale.place(pair.low),
        high=scale.place(pair.high),
        middle=scale.place(pair.diff),
        zero=scale.place(0.0),
    )


def _size(pair: PairedDifference) -> str:
    return f"{points(pair.diff)} points" if pair.metric == "accuracy" else signed(pair.diff)


def _figure(found: CheckpointMetrics, metric: str) -> str | None:
    if metric == "accuracy":
        return percent(found.overall.accuracy.mean)
    return None if found.overall.structure is None else f"{found.overall.structure.mean:.2f}"


def _last_step(report: EvalReport, parts: list[CheckpointMetrics], metric: str) -> PairedDifference | None:
    """The difference that the last stage made."""
    if len(parts) < 2:
        return None
    key = (parts[-1].split, parts[-2].checkpoint, parts[-1].checkpoint, metric)
    return next((p for p in report.paired if (p.split, p.a, p.b, p.metric) == key), None)


def _stage_note(entry: StageEntry, run: str) -> str:
    if entry.status == "failed":
        return entry.error.removeprefix(f"stage {entry.name}: ")
    if entry.status == "skipped":
        return "switched off, or not reached" if not entry.error else entry.error
    if entry.status == "reused":
        return (
            f"made by the run {entry.made_by}"
            if entry.made_by not in ("", run)
            else "made earlier by this run"
        )
    return ""


def _paired_row(pair: PairedDifference) -> PairedRow:
    return PairedRow(a=pair.a, b=pair.b, metric=pair.metric, diff=pair.diff, low=pair.low, high=pair.high)


def _table(report: EvalReport | None, split: str) -> CheckpointTable:
    found = [m for m in report.checkpoints if m.split == split] if report else []
    return CheckpointTable(**{m.checkpoint: _summary(m.overall) for m in found})


def _domains(report: EvalReport | None) -> dict[str, CheckpointTable]:
    """The test split by domain, where there are several."""
    parts: dict[str, dict[str, CheckpointSummary]] = {}
    for found in report.checkpoints if report else ():
        for domain, metrics in found.by_domain.items() if found.split == "test" else ():
            parts.setdefault(domain, {})[found.checkpoint] = _summary(metrics)
    return {domain: CheckpointTable(**by) for domain, by in parts.items()} if len(parts) > 1 else {}


def _summary(metrics: SplitMetrics) -> CheckpointSummary:
    return CheckpointSummary(accuracy=metrics.accuracy, structure=metrics.structure, f1=metrics.f1)
