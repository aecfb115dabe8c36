"""The flow of the first stage family: problems, teacher traces and their structures."""

from __future__ import annotations

from prefect import flow

from flows.session import flow_run_name, run_session
from rlkd.pipeline.names import StageName
from rlkd.pipeline.stages import family
from tasks.stages import make_stages


@flow(
    name="prepare",
    flow_run_name=flow_run_name,
    description="Prepares what a student learns from: data, traces, structures.",
    persist_result=True,
    result_serializer="json",
)
def prepare(
    preset: str = "demo",
    overrides: list[str] | None = None,
    output: str | None = None,
    from_stage: StageName | None = None,
) -> str:
    """Prepares what a student learns from; later runs of the same configuration find it finished.

    Args:
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration.
        overrides: Settings that replace those of the preset, each as `key=value`.
        output: The run folder; by default `runs/<name of the configuration>`.
        from_stage: This stage and all that follow are made again even where they are finished.

    Returns:
        The run folder.
    """
    specs = family("prepare")
    with run_session(preset, overrides or (), output, from_stage, [spec.name for spec in specs]) as run:
        make_stages(run, specs)
    return run.folder
