"""What travels between stages: small frozen references; and the manifests that they point at."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, JsonValue, Schema

StageName = Literal["data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate", "report"]
GsrmStageName = Literal["gsrm_paths", "gsrm_annotations", "gsrm_train", "gsrm_evaluate"]
AnyStageName = Literal[StageName, GsrmStageName]
"""A stage of a distillation, or of the training of a GSRM."""
StageStatus = Literal["done", "reused", "failed", "skipped"]


class ArtifactRef(Schema):
    """A finished stage's folder, by content.

    Attributes:
        stage: The stage that made it.
        uri: Its folder in the store.
        sha256: Digest over the contents of its files.
        rows: Rows of its main table, 0 where it has none.
        reused: Whether this run found it finished.
        schema_version: Version of the schemas inside.
    """

    stage: AnyStageName
    uri: str
    sha256: str
    rows: int = 0
    reused: bool = False
    schema_version: int = SCHEMA_VERSION


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

    stage: AnyStageName
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


class StageEntry(Schema):
    """One stage as a run saw it."""

    name: AnyStageName
    status: StageStatus
    identity: str = ""
    uri: str = ""
    sha256: str = ""
    seconds: float = 0.0
    peak_rss_mb: float = 0.0
    peak_gpu_mb: float = 0.0
    mlflow_run_id: str = ""
    made_by: str = ""
    error: str = ""


class RunManifest(Schema):
    """``run.json`` in a run folder: its configuration and pointers into the store.

    ``from_stage`` is the stage that was asked to be made again with all that follows, and ``owed`` names those of
    them that are still to be made; both are empty in a usual run.
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
    from_stage: AnyStageName | None = None
    owed: tuple[AnyStageName, ...] = ()
    schema_version: int = SCHEMA_VERSION
