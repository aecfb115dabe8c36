"""``report.json``: the versioned contract that other tools may read."""

from __future__ import annotations

from pydantic import Field

from schemas.artifact import StageStatus
from schemas.base import SCHEMA_VERSION, JsonValue, Schema
from schemas.evaluation import Interval


class CheckpointSummary(Schema):
    """Greedy accuracy and structure score of one checkpoint, as fractions."""

    accuracy: Interval
    structure: Interval | None


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


class StageRow(Schema):
    """A stage's cost; a reused stage repeats the figures of the run that made it."""

    name: str
    status: StageStatus
    seconds: float
    peak_rss_mb: float


class RowCounts(Schema):
    """What happened to the rows."""

    loaded: int
    dropped: dict[str, int] = Field(default_factory=dict)
    traces_accepted: int = 0
    traces_rejected: int = 0


class PipelineReport(Schema):
    """The contract. ``checkpoints`` is the test split, ``ood`` the same out of distribution."""

    name: str
    checkpoints: CheckpointTable
    ood: CheckpointTable
    paired: tuple[PairedRow, ...]
    stages: tuple[StageRow, ...]
    rows: RowCounts
    wall_seconds: float
    seed: int
    config_digest: str
    mlflow_run_id: str
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
