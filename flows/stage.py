"""One stage alone: it and, only where they are not finished yet, those that it needs."""

from __future__ import annotations

from prefect import flow

from flows.configure import configure
from flows.session import flow_run_name, run_session
from rlkd.pipeline.names import StageName
from rlkd.pipeline.stages import stage_spec, upstream
from tasks.stages import make_stages


@flow(
    name="stage",
    flow_run_name=flow_run_name,
    description="Makes one stage and, only where they are not finished yet, those that it needs.",
    persist_result=True,
    result_serializer="json",
)
def stage(
    name: StageName,
    preset: str = "demo",
    overrides: list[str] | None = None,
    output: str | None = None,
    again: bool = False,
) -> str:
    """Makes one stage and, only where they are not finished yet, those that it needs.

    Args:
        name: The stage.
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration.
        overrides: Settings that replace those of the preset, each as `key=value`.
        output: The run folder; by default `runs/<name of the configuration>`.
        again: Make the stage again even where it is finished.

    Returns:
        The run folder.
    """
    needed = upstream(name, configure(preset, overrides or ()))
    with run_session(preset, overrides or (), output, name if again else None, needed) as run:
        make_stages(run, [stage_spec(item) for item in needed])
    return run.folder
