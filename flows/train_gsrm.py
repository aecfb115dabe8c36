"""The flow that trains a GSRM: the model that decomposes reasoning paths for the structure reward (paper, section 3.1)."""

from __future__ import annotations

from prefect import flow

from flows.session import flow_run_name, gsrm_session
from rlkd.pipeline.names import GsrmStageName
from rlkd.pipeline.stages import family
from tasks.stages import make_stages


@flow(
    name="train_gsrm",
    flow_run_name=flow_run_name,
    description="Trains a GSRM: paths, annotations, fine-tuning, evaluation as a decomposer, registration.",
    persist_result=True,
    result_serializer="json",
)
def train_gsrm(
    preset: str = "gsrm-world",
    overrides: list[str] | None = None,
    output: str | None = None,
    from_stage: GsrmStageName | None = None,
) -> str:
    """Trains a GSRM end to end; stages that are finished are reused.

    Args:
        preset: Name of a preset (`rlkd presets`), or path of a YAML configuration of this kind.
        overrides: Settings that replace those of the preset, each as `key=value`, for example `sft.max_epochs=2`.
        output: The run folder; by default `runs/<name of the configuration>`.
        from_stage: This stage and all that follow are made again even where they are finished.

    Returns:
        The run folder.
    """
    with gsrm_session(preset, overrides or (), output, from_stage) as run:
        make_stages(run, family("gsrm"))
    return run.folder
