"""What a run shows the world beside its stages: report files, headline figures, dataset inputs, the registered student."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from rlkd.reporting.finalise import finalise_report
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig
from schemas.report import PipelineReport, ReportContent
from tasks import tracking
from tasks.artifacts import show_alarms, show_report
from tasks.display import current_display
from tasks.gsrm import publish_gsrm
from tasks.runs import Run, RunRef
from tasks.storage import read_manifest

REPORTS = ("report.html", "report.md", "report.json")
NOTHING_MADE = "nothing: every stage was reused"
"""Tag of a run that found all that it asked for."""
_COLUMNS = {
    name: name
    for name in (
        "checkpoint", "split", "problem_id", "completion", "answer", "correct", "structure", "tokens", "finish_reason"
    )
}  # fmt: skip


def publish_datasets(run: Run, ref: RunRef, made: StageEntry, inputs: Mapping[str, StageEntry]) -> None:
    """Logs the problems as dataset inputs of the parent run."""
    manifest, _ = read_manifest(Path(made.uri))
    if manifest is None or not ref.mlflow_run_id:
        return
    name = run.config.data.type if isinstance(run.config, PipelineConfig) else run.config.paths.type
    with tracking.tolerated("the dataset inputs", current_display().message):
        tracking.log_datasets(ref.tracking_uri, ref.mlflow_run_id, Path(made.uri), manifest, name)


def publish_figures(run: Run, ref: RunRef, made: StageEntry, inputs: Mapping[str, StageEntry]) -> None:
    """Logs a stage's figures on the parent run."""
    manifest, _ = read_manifest(Path(made.uri))
    if manifest is None or not ref.mlflow_run_id:
        return
    figures = {_shown_as(name): value for name, value in manifest.result.metrics.items()}
    with tracking.tolerated(f"the figures of {made.name}", current_display().message):
        tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, figures)


def _shown_as(name: str) -> str:
    """A figure's name in MLflow, which sorts by it: what a run is compared by (``test_...``) comes first."""
    group, slash, rest = name.partition("/")
    return f"verdict/{rest}" if slash and group == "qualify" else name


def publish_watch(run: Run, ref: RunRef, made: StageEntry, inputs: Mapping[str, StageEntry]) -> None:
    """Shows the alarms of the watch over RL: as a Prefect artifact, and their number on the parent run."""
    manifest, _ = read_manifest(Path(made.uri))
    if manifest is None:
        return
    alarms = [str(alarm) for alarm in manifest.result.summary.get("alarms") or ()]
    show_alarms(alarms, run.folder.name)
    if ref.mlflow_run_id:
        with tracking.tolerated("the alarms of RL", current_display().message):
            tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, {"watch_alarms": float(len(alarms))})


def publish_headline(run: Run, ref: RunRef, made: StageEntry, inputs: Mapping[str, StageEntry]) -> None:
    """Logs the evaluation's figures on the parent run, and registers the final student with them as tags."""
    publish_figures(run, ref, made, inputs)
    student = inputs.get("rl") or inputs.get("warm_start")
    manifest, _ = read_manifest(Path(made.uri))
    if student is not None and manifest is not None and ref.mlflow_run_id:
        outputs = Path(made.uri) / "outputs.jsonl"
        with tracking.tolerated("the completions", current_display().message):
            tracking.log_table(ref.tracking_uri, ref.mlflow_run_id, outputs, _COLUMNS, "completions.json")
        with tracking.tolerated("the student", current_display().message):
            _register(run, ref, student, manifest.result.metrics)


def _register(run: Run, ref: RunRef, student: StageEntry, figures: Mapping[str, float]) -> None:
    """Registers the final student, its evaluation as tags."""
    name = run.config.tracking.registered_model
    model = Path(student.uri) / "model"
    if not name or not model.is_dir():
        return
    tags = {
        "rlkd.stage": student.name,
        "rlkd.run": run.manifest.name,
        "rlkd.config_digest": run.manifest.config_digest,
        "rlkd.uri": student.uri,
        **{tracking.metric_name(key): f"{value:.4f}" for key, value in figures.items()},
    }
    uri, run_id, about = ref.tracking_uri, ref.mlflow_run_id, _about(run, figures)
    alias = re.sub(r"[^A-Za-z0-9_-]", "-", run.folder.name)
    if re.fullmatch(r"latest|v?\d+", alias, re.IGNORECASE):  # these are versions to MLflow
        alias = f"run-{alias}"
    tracking.log_student(uri, run_id, name, model, student.sha256, tags, about, alias)


def _about(run: Run, figures: Mapping[str, float]) -> str:
    """One line about a student, for the page of its version."""
    known = {"test_accuracy_final": "accuracy {:.1%}", "test_structure_final": "structure score {:.2f}"}
    parts = [text.format(figures[name]) for name, text in known.items() if name in figures]
    measured = f": {', '.join(parts)} on held-out problems" if parts else ""
    return f"The student of run {run.folder.name} (configuration {run.config.name}){measured}."


def write_report(run: Run) -> PipelineReport:
    """Puts the report into the run folder, with the run's own facts; without a report stage, what there is."""
    made = _report_stage(run)
    if made is not None:
        return finalise_report(run.folder, run.manifest, Path(made.uri))
    return finalise_report(run.folder, run.manifest, None, _partial(run, run.manifest))


def _report_stage(run: Run) -> StageEntry | None:
    """The run's finished report stage."""
    return next((e for e in run.manifest.stages if e.name == "report" and e.sha256), None)


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


def publish_report(ref: RunRef, run: Run, whole: bool) -> None:
    """Writes the report of a run that has ended, and logs it and the run's cost to the parent run.

    Args:
        ref: The run's reference.
        run: The run, with how it ended.
        whole: Whether it was to go through the whole chain; a run of some stages has a report only if it made that stage.
    """
    if not whole and _report_stage(run) is None:
        return
    report = write_report(run)
    if run.manifest.status == "done":
        show_report(run.folder / "report.md", beside=_where_in_mlflow(run, ref))
    if ref.mlflow_run_id:
        with tracking.tolerated("the report", current_display().message):
            _log_report(ref, run, report)


def _where_in_mlflow(run: Run, ref: RunRef) -> str:
    """The run's page in MLflow, for its report in Prefect; empty without tracking."""
    if not ref.mlflow_run_id:
        return ""
    if ref.tracking_uri.startswith("http"):
        with tracking.tolerated("the link to MLflow", current_display().message):
            return f"[This run in MLflow]({tracking.run_url(ref.tracking_uri, ref.mlflow_run_id)})"
    return f"This run in MLflow: `{ref.mlflow_run_id}` (`rlkd ui {run.folder.parent}` opens it)"


def _log_report(ref: RunRef, run: Run, report: PipelineReport) -> None:
    made = [
        entry for entry in run.manifest.stages if entry.status in ("done", "failed")
    ]  # this run paid for no other
    costs = {f"usage/seconds_{entry.name}": entry.seconds for entry in made}
    costs |= {f"usage/peak_rss_mb_{entry.name}": entry.peak_rss_mb for entry in made if entry.peak_rss_mb}
    costs |= {f"usage/peak_gpu_mb_{entry.name}": entry.peak_gpu_mb for entry in made if entry.peak_gpu_mb}
    costs["usage/wall_seconds"] = report.wall_seconds
    tracking.log_metrics(ref.tracking_uri, ref.mlflow_run_id, costs)
    names = ", ".join(entry.name for entry in made if entry.name != "report") or NOTHING_MADE
    tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {"rlkd.made": names})
    tracking.log_files(ref.tracking_uri, ref.mlflow_run_id, {run.folder / name: "" for name in REPORTS})
    found = report.extra.get("headline")
    if isinstance(found, list) and found:
        lines = [
            run.config.description,
            *(["This run made nothing: every stage was reused.", ""] if names == NOTHING_MADE else []),
            *(f"- {sentence}" for sentence in found),
            "",
            f"Run folder: `{run.folder}`",
        ]
        if link := tracking.page_of_flow_run(ref.flow_run_id):
            lines.append(f"\n[In Prefect]({link})")
        tracking.set_tags(ref.tracking_uri, ref.mlflow_run_id, {tracking.NOTE_TAG: "\n".join(lines).strip()})


Publish = Callable[[Run, RunRef, StageEntry, Mapping[str, StageEntry]], None]

AFTER: dict[str, Publish] = {
    "data": publish_datasets,
    "qualify": publish_figures,
    "rl": publish_watch,
    "evaluate": publish_headline,
    "gsrm_evaluate": publish_gsrm,
}
"""What is shown of a stage each time it is made or found finished, also where its check then lets nothing pass."""
