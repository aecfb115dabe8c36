"""The frame of every flow: configuration, run folder, tracking; and what is owed when it ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

from flows.configure import configure, configure_gsrm
from rlkd.io import is_disk_full
from schemas.config.run import RunConfig
from tasks import tracking
from tasks.display import current_display
from tasks.publishing import publish_report
from tasks.registry import resolve_models
from tasks.runs import CONFIG_FILE, Run, RunRef, default_folder, open_run

RunStatus = Literal["done", "failed", "cancelled"]


def flow_run_name() -> str:
    """Name of the current flow run in Prefect."""
    from prefect.runtime import flow_run

    given = flow_run.parameters
    return run_title(str(flow_run.flow_name), str(given.get("preset", "")), str(given.get("output") or ""))


def run_title(flow: str, preset: str, output: str) -> str:
    """The flow, the preset or file that it runs, and the run folder where that has another name."""
    name, folder = Path(preset).stem, Path(output).name
    return f"{flow} {name}".strip() + (f" in {folder}" if folder not in ("", name) else "")


@contextmanager
def run_session(
    preset: str,
    overrides: Sequence[str] = (),
    output: str | None = None,
    from_stage: str | None = None,
    whole: bool = True,
    suffix: str = "",
) -> Iterator[RunRef]:
    """Opens a run for a flow's stages.

    Args:
        preset: Name of a preset, or path of a YAML file.
        overrides: ``key=value`` settings.
        output: The run folder; by default ``runs/<name of the configuration>``.
        from_stage: This stage and what follows are made again even where they are finished.
        whole: Whether the flow goes through the whole chain, to the report.
        suffix: Put behind the configuration's name, for a flow that does something else with it.

    Raises:
        UserError: Configuration, folder or tracking cannot be used.
    """
    config = configure(preset, overrides)
    if suffix:
        config = config.model_copy(update={"name": config.name + suffix})
    with _session(config, output, from_stage, whole) as ref:
        yield ref


@contextmanager
def gsrm_session(
    preset: str,
    overrides: Sequence[str] = (),
    output: str | None = None,
    from_stage: str | None = None,
) -> Iterator[RunRef]:
    """Opens a run that trains a GSRM; see :func:`run_session`.

    Raises:
        UserError: Configuration, folder or tracking cannot be used.
    """
    with _session(configure_gsrm(preset, overrides), output, from_stage, whole=False) as ref:
        yield ref


@contextmanager
def _session(config: RunConfig, output: str | None, from_stage: str | None, whole: bool) -> Iterator[RunRef]:
    folder = Path(output) if output else default_folder(config)
    config = resolve_models(config, tracking.tracking_uri(folder.resolve().parent))
    with open_run(config, folder, from_stage, whole) as run, _mlflow_log(run):
        ref = _tracked(run)
        with tracking.system_metrics(ref.tracking_uri, ref.mlflow_run_id, config.tracking.system_metrics):
            try:
                yield ref
            except BaseException as error:
                with _beside(error):
                    _finish(ref, "failed" if isinstance(error, Exception) else "cancelled", whole)
                raise
            _finish(ref, "done", whole)


def _mlflow_log(run: Run) -> AbstractContextManager[None]:
    """Where MLflow is used, what it prints goes to the run folder."""
    return tracking.logged_to(run.log("mlflow")) if run.config.tracking.enabled else nullcontext()


@contextmanager
def _beside(error: BaseException) -> Iterator[None]:
    """What fails while a failure is being reported is told, and does not hide it."""
    try:
        yield
    except Exception as second:
        if is_disk_full(second) and is_disk_full(error):
            return
        text = f"the report of the failed run could not be finished ({type(second).__name__}: {second})"
        error.add_note(text)
        current_display().message(text)


def _tracked(run: Run) -> RunRef:
    """The run's reference, with its parent run in MLflow where tracking is on."""
    flow_run_id = _flow_run_id()
    if not run.config.tracking.enabled:
        return RunRef(folder=str(run.folder), flow_run_id=flow_run_id)
    uri = tracking.tracking_uri(run.folder.parent)
    parent = tracking.begin_run(
        uri, run.config, run.manifest.config_digest, flow_run_id, run.folder / CONFIG_FILE
    )
    run.update(mlflow_run_id=parent)
    return RunRef(folder=str(run.folder), flow_run_id=flow_run_id, mlflow_run_id=parent, tracking_uri=uri)


def _finish(ref: RunRef, status: RunStatus, whole: bool) -> None:
    """Writes down how the run ended, and its report."""
    run = ref.open()
    run.update(status=status, wall_seconds=run.elapsed())
    try:
        publish_report(ref, run, whole)
    finally:
        if ref.mlflow_run_id:
            ended = {"done": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}[status]
            with tracking.tolerated("the end of the run", current_display().message):
                tracking.end_run(ref.tracking_uri, ref.mlflow_run_id, ended)


def _flow_run_id() -> str:
    from prefect.runtime import flow_run

    return str(flow_run.id or "")
