"""The flow of the third stage family: how good a student is as it stands, without training it."""

from __future__ import annotations

from prefect import flow

from flows.session import flow_run_name, run_session
from rlkd.pipeline.names import StageName
from rlkd.pipeline.stages import family
from tasks.stages import make_stages


@flow(
    name="evaluate",
    flow_run_name=flow_run_name,
    description="Evaluates and reports on a student as it stands (accuracy, pass@k, structure), without training it.",
    persist_result=True,
    result_serializer="json",
)
def evaluate(
    preset: str = "demo",
    overrides: list[str] | None = None,
    output: str | None = None,
    from_stage: StageName | None = None,
) -> str:
    """Evaluates a student as it stands: warm start and RL are switched off.

    Args:
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration.
        overrides: Settings that replace those of the preset, each as `key=value`, for example
            `student.model.path=Qwen/Qwen2.5-1.5B-Instruct`.
        output: The run folder; by default `runs/<name of the configuration>-evaluate`.
        from_stage: This stage and all that follow are made again even where they are finished.

    Returns:
        The run folder.
    """
    settings = [*(overrides or ()), "warm_start.enabled=false", "rl.enabled=false"]
    with run_session(preset, settings, output, from_stage, suffix="-evaluate") as run:
        prepared = make_stages(run, family("prepare"))
        make_stages(run, family("evaluate"), prepared)
    return run.folder
