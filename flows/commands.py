"""What ``rlkd run`` and ``rlkd stage`` do around a flow: services, display, last words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast, get_args

from flows.environment import use_local_services
from flows.session import configure
from flows.terminal import since, terminal
from rlkd.errors import UserError
from schemas.artifact import StageName
from schemas.config.pipeline import PipelineConfig
from tasks.display import shown_on
from tasks.runs import default_folder


def run_pipeline(preset: str, overrides: list[str], output: str | None, from_stage: str | None) -> None:
    """Runs the whole chain.

    Raises:
        UserError: Configuration, files or folder cannot be used.
        StageError: A stage failed or refused.
    """
    config = configure(preset, overrides)
    first = _stage_name(from_stage) if from_stage is not None else None
    folder = Path(output) if output else default_folder(config)

    def go() -> None:
        from flows.distill import distill

        distill(preset=preset, overrides=overrides, output=str(folder), from_stage=first)

    _run(config, folder, go)
    report = folder / "report.html"
    print(f"report: {report}" if report.exists() else f"run: {folder}")


def run_one_stage(name: str, preset: str, overrides: list[str], output: str | None, again: bool) -> None:
    """Makes one stage and what it needs.

    Raises:
        UserError: There is no such stage; or as :func:`run_pipeline`.
        StageError: A stage failed or refused.
    """
    config = configure(preset, overrides)
    chosen = _stage_name(name)
    folder = Path(output) if output else default_folder(config)

    def go() -> None:
        from flows.stage import stage

        stage(name=chosen, preset=preset, overrides=overrides, output=str(folder), again=again)

    _run(config, folder, go)


def _run(config: PipelineConfig, folder: Path, go: Callable[[], None]) -> None:
    started = time.monotonic()
    use_local_services(folder.resolve().parent)
    with _tracking_ready(config, folder), terminal() as display, shown_on(display):
        go()
    print(f"{config.name}: done in {since(started)}")


@contextmanager
def _tracking_ready(config: PipelineConfig, folder: Path) -> Iterator[None]:
    """Opens MLflow's database in the background, while Prefect's server starts."""
    if not config.tracking.enabled:
        yield
        return
    from tasks import tracking

    def warm_up() -> None:
        try:
            tracking.client(tracking.tracking_uri(folder.resolve().parent))
        except UserError:
            return  # the run itself meets it again, and says so

    threading.Thread(target=warm_up, daemon=True, name="tracking").start()
    yield


def _stage_name(text: str) -> StageName:
    names = get_args(StageName)
    if text not in names:
        raise UserError(f"there is no stage {text!r}; the stages are {', '.join(names)}")
    return cast(StageName, text)
