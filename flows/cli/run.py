"""What ``rlkd run`` and ``rlkd stage`` do around a flow: services, display, last words."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from flows.cli.terminal import since, spinner, terminal
from flows.configure import configure
from flows.services.environment import use_local_services
from flows.services.private_server import prefect_server
from rlkd.errors import StageError, UserError
from rlkd.experiments.folder import check_no_experiment
from rlkd.hub import go_offline_if_cut_off
from rlkd.io import is_disk_full
from rlkd.pipeline.jobs import raise_terminated
from rlkd.pipeline.names import named_stage
from rlkd.pipeline.run_folder import make_folder
from rlkd.pipeline.stages import STAGES
from schemas.config.run import RunConfig
from schemas.report import PipelineReport
from tasks.disk import disk_faults
from tasks.display import shown_on
from tasks.mirror import open_mirror
from tasks.runs import default_folder


def run_pipeline(preset: str, overrides: list[str], output: str | None, from_stage: str | None) -> None:
    """Runs the whole chain.

    Raises:
        UserError: Configuration, files or folder cannot be used.
        StageError: A stage failed or refused, or the disk is full.
    """
    config = configure(preset, overrides)
    first = named_stage(from_stage, STAGES) if from_stage is not None else None
    folder = Path(output) if output else default_folder(config)

    def go() -> None:
        from flows.distill import distill

        distill(preset=preset, overrides=overrides, output=str(folder), from_stage=first)

    run_flow(config, folder, go)
    for sentence in _headline(folder / "report.json"):
        print(f"  {sentence}")
    print(f"report: {folder / 'report.html'}")


def _headline(path: Path) -> list[str]:
    """What the report finds, in a few sentences."""
    report = PipelineReport.model_validate_json(path.read_text(encoding="utf-8"))
    found = report.extra.get("headline")
    return [str(sentence) for sentence in found] if isinstance(found, list) else []


def run_one_stage(name: str, preset: str, overrides: list[str], output: str | None, again: bool) -> None:
    """Makes one stage and what it needs.

    Raises:
        UserError: There is no such stage; or as :func:`run_pipeline`.
        StageError: A stage failed or refused.
    """
    config = configure(preset, overrides)
    chosen = named_stage(name, STAGES)
    folder = Path(output) if output else default_folder(config)

    def go() -> None:
        from flows.stage import stage

        stage(name=chosen, preset=preset, overrides=overrides, output=str(folder), again=again)

    run_flow(config, folder, go)


def run_flow(config: RunConfig, folder: Path, go: Callable[[], None], name: str = "") -> None:
    """Runs a flow with its services around it, shows it, and says how long it took, by the configuration's name or another."""
    started = time.monotonic()
    signal.signal(signal.SIGTERM, raise_terminated)  # Prefect passes it on to the handler that it finds
    logging.raiseExceptions = (
        False  # lines that Prefect's log does not take (a full disk) are not worth a traceback each
    )
    check_no_experiment(folder)
    open_mirror()  # a store that cannot be used is said before anything is made
    make_folder(folder)
    with disk_faults(None, folder.resolve()):  # Prefect's and MLflow's databases lie on it too
        _run_with_services(config, folder, go)
    print(f"{name or config.name}: done in {since(started)}")


def _run_with_services(config: RunConfig, folder: Path, go: Callable[[], None]) -> None:
    """Runs a flow with Prefect and MLflow ready, shown on the terminal."""
    if cut_off := go_offline_if_cut_off(config):
        print(cut_off, file=sys.stderr)
    runs = folder.resolve().parent
    home = use_local_services(runs)
    with prefect_server(home) as server:
        if config.tracking.enabled:
            _open_tracking(
                runs
            )  # before anything is done, and in this thread: two that import at once can find half-made modules
        import_module("tasks.stages")  # Prefect and all that it brings; its server starts in the meantime
        if server is not None:
            with spinner("starting Prefect"):
                server.wait()
        with terminal() as display, shown_on(display), _server_faults(runs):
            go()


@contextlib.contextmanager
def _server_faults(runs: Path) -> Iterator[None]:
    """Turns the loss of Prefect's server, which a run uses while its pages are open, into one sentence.

    Raises:
        StageError: The server does not answer any more.
        UserError: It wants a key or a password.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except PrefectHTTPStatusError as error:
        code = error.response.status_code
        if code not in (401, 403):
            raise StageError(
                f"Prefect at {error.request.url.host} answered with status {code} ({error.request.method} {error.request.url.path}); "
                "see to that server; every finished stage is kept, and the same command goes on from there"
            ) from error
        raise UserError(
            f"Prefect at {error.request.url.host} refuses this run (status {code}); set "
            "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
        ) from error
    except httpx.TransportError as error:
        if is_disk_full(error):
            raise
        raise StageError(
            f"Prefect's server does not answer any more ({error}); was `rlkd ui {runs}`, or the server that "
            "PREFECT_API_URL names, stopped? Every finished stage is kept, and the same command goes on from there"
        ) from error


def _open_tracking(runs: Path) -> None:
    """Opens MLflow's database.

    Raises:
        UserError: MLflow does not answer.
    """
    from tasks import tracking

    tracking.client(tracking.tracking_uri(runs))
