"""``report.json``: the versioned contract that other tools may read; and ``content.json``, which it is made from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.artifact import StageRow
from schemas.base import SCHEMA_VERSION, JsonValue, Schema
from schemas.benchmarks import BenchmarkDifference, BenchmarkFigures
from schemas.evaluation import EvalReport, Interval, SampleProblem
from schemas.qualification import Qualification, Verdict


class CheckpointSummary(Schema):
    """Greedy accuracy and structure score of one checkpoint, as fractions; word F1 where the benchmark is scored by it (CoQA)."""

    accuracy: Interval
    structure: Interval | None
    f1: Interval | None = None


class CheckpointTable(Schema):
    """One summary per checkpoint; ``None`` for a checkpoint that the run does not have."""

    base: CheckpointSummary | None = None
    warm_start: CheckpointSummary | None = None
    rlkd: CheckpointSummary | None = None


class PairedRow(Schema):
    """diff = b - a on the test split, with its interval."""

    a: str
    b: str
    metric: str
    diff: float
    low: float
    high: float


class RowCounts(Schema):
    """What happened to the rows."""

    loaded: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    traces_accepted: int = 0
    traces_rejected: int = 0


class QualificationContent(Schema):
    """What the qualification of the structure reward measured, and the verdict under the run's thresholds."""

    figures: Qualification
    verdict: Verdict


class PipelineReport(Schema):
    """The contract. ``checkpoints`` is the test split, ``ood`` the same out of distribution, ``domains`` the test split by domain where it
    has several.

    ``qualification`` is ``None`` where the run has none. ``benchmarks`` are the figures of each checkpoint on each of
    ``evaluate.benchmarks``, ``benchmark_differences`` the paired ones between checkpoints.

    ``extra`` holds what is useful but not promised: ``status`` and ``headline`` of the run, ``paired_ood``,
    ``rejected`` traces by reason, and ``undecided`` answers by split, checkpoint and reason.
    """

    name: str
    checkpoints: CheckpointTable
    ood: CheckpointTable
    domains: dict[str, CheckpointTable] = Field(default_factory=dict)
    paired: tuple[PairedRow, ...]
    stages: tuple[StageRow, ...]
    rows: RowCounts
    wall_seconds: float
    seed: int
    config_digest: str
    mlflow_run_id: str
    qualification: QualificationContent | None = None
    benchmarks: tuple[BenchmarkFigures, ...] = ()
    benchmark_differences: tuple[BenchmarkDifference, ...] = ()
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


class Sentence(Schema):
    """One finding in plain words. ``tone`` says how to read it: a gain, a loss, undecided, or plain information."""

    text: str
    tone: Literal["good", "bad", "unsure", "plain"] = "plain"


class Plot(Schema):
    """A plot as inline SVG whose colours are the page's CSS variables."""

    name: str
    title: str
    caption: str
    svg: str


class Quadrant(Schema):
    """Shares of completions by answer (right or wrong) and structure (at least 0.5, or less); they sum to 1."""

    label: str
    n: int
    right_structured: float
    right_unstructured: float
    wrong_structured: float
    wrong_unstructured: float


class RewardHealth(Schema):
    """What the reward gave the training to learn from, over a share of its steps.

    Attributes:
        label: Which steps.
        completions: Scored completions.
        groups: Groups of completions.
        no_difference: Groups without a signal: every completion earned the same reward, nothing to learn.
        missing: Completions without a reward (a component was missing).
        truncated: Completions that hit the length limit.
        reward, structure, outcome: Means over the completions that have them.
    """

    label: str
    completions: int
    groups: int
    no_difference: int
    missing: int
    truncated: int
    reward: float | None = None
    structure: float | None = None
    outcome: float | None = None


class ReportContent(Schema):
    """Everything that a report shows but the facts of the run itself (``content.json``).

    The facts of the run (which stages it reused, how long it took) come from its manifest when the report
    is put into the run folder, so that a finished report stage serves every run that shares it.
    """

    title: str
    description: str = ""
    headline: tuple[Sentence, ...] = ()
    evaluation: EvalReport | None = None
    rows: RowCounts = RowCounts()
    kept: dict[str, int] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)
    data_notes: tuple[str, ...] = ()
    training_notes: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    quadrants: tuple[Quadrant, ...] = ()
    rewards: tuple[RewardHealth, ...] = ()
    samples: tuple[SampleProblem, ...] = ()
    qualification: QualificationContent | None = None
    schema_version: int = SCHEMA_VERSION
