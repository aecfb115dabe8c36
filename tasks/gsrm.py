"""What training a GSRM shows the world: figures, the model's folder, and its name in the registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkd.gsrm.evaluate import MARKDOWN, REPORT, headline_figures
from rlkd.io import write_json_atomic, write_text_atomic
from schemas.artifact import StageEntry
from schemas.config.gsrm import GsrmConfig
from schemas.gsrm import GsrmReport
from tasks import tracking
from tasks.artifacts import show_report
from tasks.display import current_display
from tasks.identity import digest_path
from tasks.runs import Run, RunRef

RESULT = "gsrm.json"


def publish_gsrm(run: Run, ref: RunRef, made: StageEntry, inputs: Mapping[str, StageEntry]) -> None:
    """Puts figures, model folder and registered name into the run folder; MLflow gets the figures and the model."""
    evaluation, trained = Path(made.uri), inputs["gsrm_train"]
    report = GsrmReport.model_validate_json((evaluation / REPORT).read_text(encoding="utf-8"))
    model, figures = Path(trained.uri) / "model", headline_figures(report)
    name = ""
    if ref.mlflow_run_id:
        with tracking.tolerated("the figures and the trained GSRM", current_display().message):
            tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, figures)
            tracking.log_files(ref.tracking_uri, ref.mlflow_run_id, {evaluation / MARKDOWN: ""})
            name = _register(ref, run, model, trained, figures)
    told = {"model": str(model), "registered": name, "figures": figures}
    write_json_atomic(run.folder / RESULT, told)
    text = (evaluation / MARKDOWN).read_text(encoding="utf-8")
    write_text_atomic(run.folder / MARKDOWN, text)
    show_report(run.folder / MARKDOWN, "rlkd-gsrm")


def _register(ref: RunRef, run: Run, model: Path, trained: StageEntry, figures: dict[str, float]) -> str:
    """Registers the model; returns the name to use it by, empty where it is not registered."""
    config = run.config
    if not isinstance(config, GsrmConfig) or not config.register_as.name:
        return ""
    wanted, reached = config.register_as.min_step_f1, figures["step_f1"]
    if reached < wanted:
        current_display().message(
            f"not registered: its step F1 is {reached:.3f}, and register_as.min_step_f1 asks for {wanted:g}"
        )
        return ""
    digest = digest_path(model)
    tags = {
        "rlkd.kind": "gsrm",
        "rlkd.run": run.manifest.name,
        "rlkd.config_digest": run.manifest.config_digest,
        "rlkd.uri": trained.uri,
        tracking.MODEL_DIGEST_TAG: digest,
        **{tracking.metric_name(key): f"{value:.4f}" for key, value in figures.items()},
    }
    name = config.register_as.name
    version, _ = tracking.register_student(
        ref.tracking_uri, ref.mlflow_run_id, name, model, digest, tags, "gsrm"
    )
    tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {"rlkd.gsrm": f"{name} version {version}"})
    return f"models:/{name}/{version}"


def read_result(folder: Path) -> dict[str, Any]:
    """Reads what :func:`publish_gsrm` wrote into a run folder."""
    found: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return found
