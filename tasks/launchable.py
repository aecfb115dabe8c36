"""Whether the training that a run will come to could be started here, asked before anything is made."""

from __future__ import annotations

from pathlib import Path

from schemas.config.run import RunConfig


def refuse_unlaunchable(config: RunConfig, output: str | None = None, from_stage: str | None = None) -> None:
    """Refuses a run whose training this machine cannot start: traces would be paid for, and nothing learned from them.

    What is finished needs no processes.

    Args:
        config: The configuration.
        output: The run folder.
        from_stage: This stage and what follows are made again even where they are finished.

    Raises:
        UserError: It cannot, with the reason.
    """
    if not config.launch.distributed:
        return
    from rlkd.config.derived import is_enabled
    from rlkd.pipeline.stages import downstream, resolve, stages_of
    from tasks.finished import finished_stages
    from tasks.launching import command

    again = downstream(from_stage, config) if from_stage is not None else ()
    done = [name for name in finished_stages(config, output) if name not in again]
    left = [resolve(spec, config) for spec in stages_of(config)]
    if any(s.job and not s.alone and is_enabled(config, s.name) and s.name not in done for s in left):
        command(Path("job.json"), config.launch)
