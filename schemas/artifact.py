"""A stage's result, from its function to the report.

Four shapes, each with what the one before cannot know: :class:`StageResult` (what the stage's function returns),
:class:`Made` (that, and what the process cost), :class:`StageManifest` (that, and the files: what the store keeps) and
:class:`StageEntry` (where a run finds it: what travels between stages, stands in ``run.json`` and is a report's row).
Names of stages are plain text here; :mod:`rlkd.pipeline.stages` knows which there are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from schemas.base import SCHEMA_VERSION, JsonValue, Schema

StageStatus = Literal["done", "reused", "failed", "skipped"]


class StageResult(Schema):
    """What a stage's library function returns: counts and figures, no rows.

    Attributes:
        rows: Rows of its main table.
        summary: Counts and facts for the report (JSON).
        metrics: Headline numbers for MLflow (names without ``@``).
    """

    rows: int = 0
    summary: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)


class Made(Schema):
    """A stage's result and what making it cost: what a job process leaves behind.

    Attributes:
        result: Counts and figures.
        peak_rss_mb: Largest resident memory of the process.
        peak_gpu_mb: Most memory that PyTorch reserved on a GPU; 0 without one.
        mlflow_run_id: The MLflow run that followed it; empty without tracking.
    """

    result: StageResult
    peak_rss_mb: float
    peak_gpu_mb: float = 0.0
    mlflow_run_id: str = ""


class StageManifest(Schema):
    """Written last into a stage folder; its presence is what makes the stage complete.

    Attributes:
        stage: Name of the stage.
        identity: Hash that names the folder (name, version, configuration, inputs, seed).
        stage_version: Version of the stage's meaning.
        sha256: Digest over ``files``.
        files: Digest of every published file, by path inside the folder.
        inputs: Content digest of every input stage.
        config: The part of the configuration that the identity covers.
        result: Counts and figures.
        seconds: Time that making it took, over all attempts.
        peak_rss_mb: Largest resident memory of the process that made it.
        peak_gpu_mb: Most memory that PyTorch reserved on a GPU in the last attempt (the first process's); 0 without one.
        created_at: UTC time, ISO 8601.
        mlflow_run_id: The MLflow run that made it; empty without tracking.
        run: Name of the run that made it.
    """

    stage: str
    identity: str
    stage_version: int
    sha256: str
    files: dict[str, str]
    inputs: dict[str, str]
    config: dict[str, JsonValue]
    result: StageResult
    seconds: float
    peak_rss_mb: float
    peak_gpu_mb: float = 0.0
    created_at: str
    mlflow_run_id: str = ""
    run: str = ""
    schema_version: int = SCHEMA_VERSION


INTERRUPTED = "stopped before its end (Ctrl-C or SIGTERM)"
"""Error of a stage that nothing went wrong in; its status is ``failed`` all the same, as it is not finished."""


class StageRow(Schema):
    """A stage's cost; a reused stage repeats the figures of the run that made it."""

    name: str
    status: StageStatus
    seconds: float = 0.0
    peak_rss_mb: float = 0.0


class StageEntry(StageRow):
    """One stage as a run saw it: a reference to its folder that travels to the stages that read it.

    Attributes:
        identity: Hash that names its folder.
        uri: Its folder in the store.
        sha256: Digest over the contents of its files; empty where it is not finished.
        peak_gpu_mb: Most memory that it reserved on a GPU.
        mlflow_run_id: The MLflow run that made it.
        made_by: Name of the run that made it.
        error: What it failed of, or what its check refused.
    """

    identity: str = ""
    uri: str = ""
    sha256: str = ""
    peak_gpu_mb: float = 0.0
    mlflow_run_id: str = ""
    made_by: str = ""
    error: str = ""


class RunManifest(Schema):
    """``run.json`` in a run folder: its configuration and pointers into the store.

    ``from_stage`` is the stage that was asked to be made again with all that follows, and ``pending_rebuild`` (``owed`` in files
    of earlier releases) names those of them that are still to be made; both are empty in a usual run.
    """

    name: str
    config: dict[str, JsonValue]
    config_digest: str
    store: str
    stages: tuple[StageEntry, ...] = ()
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    started_at: str = ""
    wall_seconds: float = 0.0
    mlflow_run_id: str = ""
    from_stage: str | None = None
    pending_rebuild: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("pending_rebuild", "owed")
    )
    schema_version: int = SCHEMA_VERSION

    @property
    def finished(self) -> dict[str, StageEntry]:
        """The finished stages by name, made by this run or by another."""
        return {entry.name: entry for entry in self.stages if entry.status in ("done", "reused")}
