"""What a run shows the world beside its stages: report files, headline figures, dataset inputs, the registered student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlkd.reporting.finalise import finalise_report
from schemas.artifact import ArtifactRef, RunManifest
from schemas.report import PipelineReport
from tasks import tracking
from tasks.display import current_display
from tasks.runs import Run, RunRef
from tasks.storage import read_manifest

REPORTS = ("report.html", "report.md", "report.json")


def publish_datasets(ref: RunRef, made: ArtifactRef | None) -> None:
    """Logs the problems as dataset inputs of the parent run."""
    if made is None or not ref.mlflow_run_id:
        return
    manifest, _ = read_manifest(Path(made.uri))
    if manifest is not None:
        name = str(ref.open().config.data.type)
        with tracking.tolerated("the dataset inputs", current_display().message):
            tracking.log_datasets(ref.tracking_uri, ref.mlflow_run_id, Path(made.uri), manifest, name)


def publish_headline(ref: RunRef, evaluation: ArtifactRef | None, student: ArtifactRef | None) -> None:
    """Logs the evaluation's figures on the parent run, and registers the final student with them as tags."""
    if evaluation is None or not ref.mlflow_run_id:
        return
    manifest, _ = read_manifest(Path(evaluation.uri))
    if manifest is None:
        return
    with tracking.tolerated("the headline figures", current_display().message):
        tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, manifest.result.metrics)
        if student is not None:
            _register(ref, student, manifest.result.metrics)


def _register(ref: RunRef, student: ArtifactRef, figures: Mapping[str, float]) -> None:
    """Registers the final student, its evaluation as tags."""
    run = ref.open()
    name = run.config.tracking.registered_model
    model = Path(student.uri) / "model"
    if not name or not model.is_dir():
        return
    tags = {
        "rlkd.stage": student.stage,
        "rlkd.run": run.manifest.name,
        "rlkd.config_digest": run.manifest.config_digest,
        "rlkd.uri": student.uri,
        **{tracking.metric_name(key): f"{value:.4f}" for key, value in figures.items()},
    }
    version, _ = tracking.register_student(
        ref.tracking_uri, ref.mlflow_run_id, name, model, student.sha256, tags
    )
    tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {"rlkd.student": f"{name} version {version}"})


def write_report(run: Run, as_if: RunManifest | None = None) -> PipelineReport:
    """Puts the report into the run folder, with the run's own facts; without a report stage, what there is.

    Args:
        run: The run.
        as_if: Manifest to describe instead of the one on disk.
    """
    manifest = as_if or run.manifest
    made = [e for e in manifest.stages if e.name == "report" and e.status in ("done", "reused")]
    return finalise_report(run.folder, manifest, Path(made[0].uri) if made else None)


def publish_report(ref: RunRef, run: Run) -> None:
    """Writes the final report and logs it and the run's cost to the parent run."""
    report = write_report(run)
    if not ref.mlflow_run_id:
        return
    with tracking.tolerated("the report", current_display().message):
        _log_report(ref, run, report)


def _log_report(ref: RunRef, run: Run, report: PipelineReport) -> None:
    costs = {f"seconds_{row.name}": row.seconds for row in report.stages}
    costs |= {f"peak_rss_mb_{row.name}": row.peak_rss_mb for row in report.stages}
    tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, {**costs, "wall_seconds": report.wall_seconds})
    tracking.log_files(ref.tracking_uri, ref.mlflow_run_id, {run.folder / name: "" for name in REPORTS})
