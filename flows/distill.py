"""The main path: one flow distils a student, end to end."""

from __future__ import annotations

from prefect import flow

from flows.session import flow_run_name, run_session
from rlkd.pipeline.names import StageName
from rlkd.pipeline.stages import family
from tasks.stages import make_stages


@flow(
    name="distill",
    flow_run_name=flow_run_name,
    description="Distils a student end to end: data, traces, structures, warm start, qualification of the reward, RL, evaluation, report.",
    persist_result=True,
    result_serializer="json",
)
def distill(
    preset: str = "demo",
    overrides: list[str] | None = None,
    output: str | None = None,
    from_stage: StageName | None = None,
) -> str:
    """Distils a student end to end; stages that are finished are reused.

    Args:
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration.
        overrides: Settings that replace those of the preset, each as `key=value`, for example `rl.steps=200`.
        output: The run folder; by default `runs/<name of the configuration>`.
        from_stage: This stage and all that follow are made again even where they are finished.

    Returns:
        The run folder.
    """
    with run_session(preset, overrides or (), output, from_stage) as run:
        prepared = make_stages(run, family("prepare"))  # problems, verified teacher traces, their structures
        trained = make_stages(run, family("train"), prepared)  # warm start, qualification of the reward, RL
        make_stages(run, family("evaluate"), trained)  # every checkpoint on held-out problems, report
    return run.folder
