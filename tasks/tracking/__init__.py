"""MLflow, and the only package that imports it."""

from tasks.tracking.connection import (
    check_tracking,
    client,
    experiment,
    logged_to,
    redact_text,
    tolerated,
    tracking_uri,
)
from tasks.tracking.models import DIGEST_TAG, MODEL_DIGEST_TAG, model_folder, register_student
from tasks.tracking.runs import (
    FLOW_RUN_TAG,
    NOTE_TAG,
    StageRun,
    begin_run,
    end_run,
    flatten,
    log_datasets,
    log_files,
    log_metrics,
    metric_name,
    set_tags,
    stage_run,
    system_metrics,
)

__all__ = [
    "DIGEST_TAG",
    "FLOW_RUN_TAG",
    "MODEL_DIGEST_TAG",
    "NOTE_TAG",
    "StageRun",
    "begin_run",
    "check_tracking",
    "client",
    "end_run",
    "experiment",
    "flatten",
    "log_datasets",
    "log_files",
    "log_metrics",
    "logged_to",
    "metric_name",
    "model_folder",
    "redact_text",
    "register_student",
    "set_tags",
    "stage_run",
    "system_metrics",
    "tolerated",
    "tracking_uri",
]
