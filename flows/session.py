"""The frame of every flow: configuration, run folder, tracking; and what is owed when it ends, however it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

from flows.configure import configure, configure_any, configure_gsrm
from rlkd.errors import RLKDError
from rlkd.io import is_disk_full
from schemas.config.gsrm import GsrmConfig
from schemas.config.run import RunConfig
from tasks import tracking
from tasks.attempts import Attempt, close_killed, written_down
from tasks.cleaning import clean_after_run
from tasks.display import current_display
from tasks.finished import ask_needed_servers
from tasks.launchable import refuse_unlaunchable
from tasks.mirror import open_mirror
from tasks.publishing import publish_report
from tasks.registry import resolve_models
from tasks.runs import CONFIG_FILE, Run, RunRef, default_folder, open_run

_TITLE_CHARS = 180
_SECRET = re.compile(r"key|token=|secret|password", re.IGNORECASE)
RunStatus = Literal["done", "failed", "cancelled"]


def flow_run_name() -> str:
    """Name of the current flow run in Prefect."""
    from prefect.runtime import flow_run

    given = flow_run.parameters
    name, preset, output = (str(given.get(key) or "") for key in ("name", "preset", "output"))
    flow = f"{flow_run.flow_name} {name}".strip()  # `name` is the stage of the flow `stage`
    overrides = given.get("overrides") or ()
    try:
        seed = str(configure_any(preset, overrides).seed)
    except RLKDError:  # the run itself says so
        seed = ""
    return run_title(flow, preset, output, overrides, seed)


def run_title(flow: str, preset: str, output: str, overrides: Sequence[str] = (), seed: str = "") -> str:
    """The flow, the preset or file that it runs, the run folder where that has another name, seed, and what was set."""
    name, folder = Path(preset).stem, Path(output).name
    title = f"{flow} {name}".strip() + (f" in {folder}" if folder not in ("", name) else "")
    hidden = ("seed=", "name=")
    told = [tracking.redact_text(item) for item in overrides if not _SECRET.search(item)]
    settings = [item for item in told if not item.startswith(hidden)]
    return " ".join([title, *([f"seed {seed}"] if seed else []), *settings])[:_TITLE_CHARS]


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
    open_mirror()  # a store that cannot be used is said before anything is made
    config = resolve_models(config, tracking.tracking_uri(folder.resolve().parent))
    if whole or isinstance(config, GsrmConfig):
        refuse_unlaunchable(config, str(folder), from_stage)
    if whole:
        ask_needed_servers(config, str(folder), from_stage)
    with open_run(config, folder, from_stage, whole) as run, _mlflow_log(run), _outbox(run) as box:
        ref = _tracked(run, box)
        attempt = Attempt(
            flow_run_id=ref.flow_run_id,
            mlflow_run_id=ref.mlflow_run_id,
            tracking_uri=tracking.redact_text(ref.tracking_uri),
        )
        close_killed(run.folder, ref.tracking_uri, attempt, current_display().message)
        with (
            written_down(run.folder, attempt),
            tracking.system_metrics(ref.tracking_uri, ref.mlflow_run_id, config.tracking.system_metrics),
        ):
            try:
                yield ref
            except BaseException as error:
                with _beside(error):
                    _finish(ref, "failed" if isinstance(error, Exception) else "cancelled", whole)
                raise
            _finish(ref, "done", whole)
    if whole and config.keep.unused_days is not None:  # after the run has let go of its folder
        clean_after_run(folder.resolve().parent, config.keep.unused_days, current_display().message)


def _outbox(run: Run) -> AbstractContextManager[tracking.Outbox | None]:
    """What MLflow is to get goes through the run folder, where tracking is on."""
    if not run.config.tracking.enabled:
        return nullcontext()
    uri = tracking.tracking_uri(run.folder.parent)
    return tracking.delivering(run.folder / tracking.FOLDER, uri, current_display().message)


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


def _tracked(run: Run, box: tracking.Outbox | None) -> RunRef:
    """The run's reference, with its parent run in MLflow where tracking is on."""
    flow_run_id = _flow_run_id()
    if box is None:
        return RunRef(folder=str(run.folder), flow_run_id=flow_run_id)
    uri = box.uri
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
