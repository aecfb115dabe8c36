"""The flow of the second stage family: the warm start and RL, and before them what they need."""

from __future__ import annotations

from prefect import flow

from flows.session import flow_run_name, run_session
from rlkd.pipeline.names import StageName
from rlkd.pipeline.stages import family
from tasks.stages import make_stages


@flow(
    name="train",
    flow_run_name=flow_run_name,
    description="Trains a student (warm start, qualification of the reward, RL), without evaluation; prepares first what is not finished yet.",
    persist_result=True,
    result_serializer="json",
)
def train(
    preset: str = "demo",
    overrides: list[str] | None = None,
    output: str | None = None,
    from_stage: StageName | None = None,
) -> str:
    """Trains a student; stages that are finished are reused.

    Args:
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration.
        overrides: Settings that replace those of the preset, each as `key=value`.
        output: The run folder; by default `runs/<name of the configuration>`.
        from_stage: This stage and all that follow are made again even where they are finished.

    Returns:
        The run folder.
    """
    before, own = family("prepare"), family("train")
    with run_session(
        preset, overrides or (), output, from_stage, [spec.name for spec in (*before, *own)]
    ) as run:
        prepared = make_stages(run, before)
        make_stages(run, own, prepared)
    return run.folder
