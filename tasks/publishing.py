"""What a run shows the world beside its stages: report files, headline figures, dataset inputs, the registered student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlkd.reporting.finalise import finalise_report
from schemas.artifact import ArtifactRef, RunManifest, StageName
from schemas.config.pipeline import PipelineConfig
from schemas.report import PipelineReport, ReportContent
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
        config = ref.open().config
        name = config.data.type if isinstance(config, PipelineConfig) else config.paths.type
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


def publish_figures(ref: RunRef, stage: StageName) -> None:
    """Logs a finished stage's figures on the parent run, also where its gate lets nothing pass."""
    if not ref.mlflow_run_id:
        return
    entry = next(
        (entry for entry in ref.open().manifest.stages if entry.name == stage and entry.sha256), None
    )
    manifest, _ = read_manifest(Path(entry.uri)) if entry is not None else (None, "")
    if manifest is not None:
        with tracking.tolerated(f"the figures of {stage}", current_display().message):
            tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, manifest.result.metrics)


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
        ref.tracking_uri, ref.mlflow_run_id, name, model, student.sha256, tags, about=_about(run, figures)
    )
    tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {"rlkd.student": f"{name} version {version}"})


def _about(run: Run, figures: Mapping[str, float]) -> str:
    """One line about a student, for the page of its version."""
    known = {"test_accuracy_final": "accuracy {:.1%}", "test_structure_final": "structure score {:.2f}"}
    parts = [text.format(figures[name]) for name, text in known.items() if name in figures]
    measured = f": {', '.join(parts)} on held-out problems" if parts else ""
    return f"The student of run {run.folder.name} (configuration {run.config.name}){measured}."


def write_report(run: Run, as_if: RunManifest | None = None) -> PipelineReport:
    """Puts the report into the run folder, with the run's own facts; without a report stage, what there is.

    Args:
        run: The run.
        as_if: Manifest to describe instead of the one on disk.
    """
    manifest = as_if or run.manifest
    made = [e for e in manifest.stages if e.name == "report" and e.status in ("done", "reused")]
    if made:
        return finalise_report(run.folder, manifest, Path(made[0].uri))
    return finalise_report(run.folder, manifest, None, _partial(run, manifest))


def _partial(run: Run, manifest: RunManifest) -> ReportContent | None:
    """What the finished stages of an unfinished run show, and how far the training stage that failed came."""
    if not isinstance(run.config, PipelineConfig):
        return None
    from rlkd.reporting.collect import collect

    shown = {entry.name: Path(entry.uri) for entry in manifest.stages if entry.sha256}
    shown |= {
        entry.name: Path(entry.uri)
        for entry in manifest.stages
        if entry.status == "failed" and not entry.sha256 and entry.name in ("warm_start", "rl")
    }
    return (
        collect(run.config, {name: folder for name, folder in shown.items() if folder.is_dir()})
        if shown
        else None
    )


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
    costs |= {
        f"peak_gpu_mb_{entry.name}": entry.peak_gpu_mb for entry in run.manifest.stages if entry.peak_gpu_mb
    }
    tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, {**costs, "wall_seconds": report.wall_seconds})
    tracking.log_files(ref.tracking_uri, ref.mlflow_run_id, {run.folder / name: "" for name in REPORTS})
    found = report.extra.get("headline")
    if isinstance(found, list) and found:
        lines = [
            run.config.description,
            *(f"- {sentence}" for sentence in found),
            "",
            f"Run folder: `{run.folder}`",
        ]
        tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {tracking.NOTE_TAG: "\n".join(lines).strip()})
