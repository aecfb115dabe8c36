"""Looks ahead before the first stage of a run: what a later stage would refuse costs no request and no training.

The checks are those of `rlkd check` that take seconds, for the stages that are to come; nothing is measured. The data of a run
is not loaded, since its first stage does that; that of an experiment's cells is, since the last cell may come hours later.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rlkd.errors import ConfigError, StageError, UserError
from rlkd.experiments.cell import Cell
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import Job
from rlkd.pipeline.stages import StageSpec
from schemas.base import Schema, sections_of
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig
from schemas.config.training import LaunchConfig
from tasks.display import current_display
from tasks.finished import stages_to_come
from tasks.jobs import run_job
from tasks.launching import command


def look_ahead(
    config: RunConfig,
    output: str | None = None,
    from_stage: str | None = None,
    stages: Collection[str] | None = None,
) -> None:
    """Checks what the stages to come need: how training starts, its batches, the student, and last the servers of models.

    What is finished needs nothing.

    Args:
        config: The configuration.
        output: The run folder.
        from_stage: This stage and what follows are made again even where they are finished.
        stages: Those that the flow goes through; ``None`` is all.

    Raises:
        UserError: One of them could not be made.
    """
    left = stages_to_come(config, output, from_stage, stages)
    _look_at_training(config, left)
    if any("student" in spec.sections for spec in left):
        _look_at_student(config)
    _ask_servers(config, left)


def look_ahead_cells(cells: Sequence[Cell], folder: Path) -> None:
    """Checks what the cells of an experiment need before the first of them starts: their data, and as :func:`look_ahead`.

    What several cells need alike is looked at once.

    Args:
        cells: The cells.
        folder: The experiment's folder.

    Raises:
        ConfigError: Some could not be made; the message lists every fault, with the first cell that has it.
    """
    faults: dict[str, str] = {}
    looked: set[str] = set()

    def look(cell: Cell, needed: object, check: Callable[..., None], *given: object) -> None:
        key = f"{check.__name__} {needed!r}"
        if key in looked:
            return
        looked.add(key)
        try:
            check(cell.config, *given)
        except (UserError, OSError) as error:
            faults.setdefault(str(error), cell.name)

    to_come = [(cell, stages_to_come(cell.config, str(folder / cell.name))) for cell in cells]
    for cell, left in to_come:
        config = cell.config
        names = [spec.name for spec in left]
        look(cell, (config.launch, config.rl, names), _look_at_training, left)
        if "data" in names:
            look(cell, config.data, _load_data)
        if any("student" in spec.sections for spec in left):
            look(cell, (config.student, config.warm_start.enabled), _look_at_student)
    for cell, left in to_come if not faults else ():  # what could not be made costs no request
        look(cell, (_endpoints(cell.config), [spec.name for spec in left]), _ask_servers, left)
    if faults:
        listed = "\n".join(f"  - cell {name}: {fault}" for fault, name in faults.items())
        raise ConfigError(
            f"{len(faults)} fault{'s' if len(faults) > 1 else ''}; nothing has started\n{listed}"
        )


def _load_data(config: PipelineConfig) -> None:
    from rlkd.data.sources import load_rows

    load_rows(config.data, config.seed)


def _look_at_training(config: RunConfig, left: Collection[StageSpec]) -> None:
    if any(spec.job and not spec.alone for spec in left):
        command(Path("job.json"), config.launch)
    if isinstance(config, PipelineConfig) and any(spec.name == "rl" for spec in left):
        from rlkd.training.rl import check_settings, plan_batches

        check_settings(config)
        plan_batches(config.rl, config.launch.processes * config.launch.machines.count)


def _look_at_student(config: RunConfig) -> None:
    """Looks at the student in a process of its own: the libraries for it would stay in this one's memory for the whole run."""
    from rlkd.student.examine import check_without_libraries

    if check_without_libraries(config):
        return
    with tempfile.TemporaryDirectory(prefix="rlkd-") as place:
        folder = Path(place)
        job = Job(
            stage="student",
            function="rlkd.student.examine:look",
            config=config.model_dump(mode="json"),
            folder=place,
        )
        try:
            run_job(job, folder, folder / "log", LaunchConfig(grace_s=config.launch.grace_s), NullSink())
        except (
            StageError
        ) as error:  # what nobody foresaw is no reason to refuse: its stage will say it in full
            text = str(error).removeprefix("stage student: ").partition("; the full error is in ")[0]
            current_display().message(f"the student could not be looked at before the run ({text})")


def _endpoints(config: RunConfig) -> list[Schema]:
    from schemas.config.endpoint import OpenAIEndpoint

    return [section for _, section in sections_of(config) if isinstance(section, OpenAIEndpoint)]


def _ask_servers(config: RunConfig, left: Collection[StageSpec]) -> None:
    """Asks the servers that the stages to come need, so that a wrong address, key, model or protocol shows now."""
    if not _endpoints(config):
        return
    from rlkd.completion.models_list import need_servers

    for note in need_servers(config, {section for spec in left for section in spec.sections}):
        current_display().message(note)
