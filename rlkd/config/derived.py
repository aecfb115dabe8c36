"""What a configuration means where it leaves something open: which stages a run has, and where labelled pairs come from."""

from __future__ import annotations

from typing import TypeVar

from schemas.base import Schema
from schemas.config.data import WorldData
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import PairsConfig, StudentPairs, WorldPairs
from schemas.config.rewards import ever_weighs
from schemas.config.run import RunConfig
from schemas.config.student import StudentConfig
from schemas.config.traces import SampledTeacher, StudentTeacher, TeacherConfig

Config = TypeVar("Config", bound=Schema)


def with_derived(config: Config) -> Config:
    """States what one section takes from another, so that the stage that reads it has it in its own identity.

    A language model that teaches is asked for the student's output form where it is asked for no other; the student that
    teaches itself is the section ``student``.
    """
    if not isinstance(config, PipelineConfig):
        return config
    teachers = tuple(_as_asked(teacher, config.student) for teacher in config.traces.teachers)
    if teachers == config.traces.teachers:
        return config
    stated = teachers if isinstance(config.traces.teacher, tuple) else teachers[0]
    return config.model_copy(update={"traces": config.traces.model_copy(update={"teacher": stated})})


def _as_asked(teacher: TeacherConfig, student: StudentConfig) -> TeacherConfig:
    if not isinstance(teacher, SampledTeacher):
        return teacher
    stated: dict[str, object] = {} if teacher.output is not None else {"output": student.output}
    if isinstance(teacher, StudentTeacher) and teacher.student is None:
        stated["student"] = student.model_copy(update={"lora": None})  # before training it has no adapters
    return teacher.model_copy(update=stated) if stated else teacher


def is_enabled(config: RunConfig, name: str) -> bool:
    """Whether a configuration has a stage (a section without ``enabled`` always does).

    ``qualify`` left open is done where RL trains on the structure reward, and there is something to label: a student
    that is new and untrained writes nothing.
    """
    enabled = getattr(getattr(config, name, None), "enabled", True)
    if enabled is None and isinstance(config, PipelineConfig):
        return _trains_on_structure(config) and _has_pairs(config)
    return bool(enabled)


def _trains_on_structure(config: PipelineConfig) -> bool:
    return config.rl.enabled and ever_weighs(config.rewards, "alpha")


def _has_pairs(config: PipelineConfig) -> bool:
    untrained = config.student.model.type == "fresh" and not config.warm_start.enabled
    return not (isinstance(pairs_source(config), StudentPairs) and untrained)


def pairs_source(config: PipelineConfig) -> PairsConfig:
    """Where the labelled pairs of a qualification come from."""
    if config.qualify.pairs is not None:
        return config.qualify.pairs
    return WorldPairs() if isinstance(config.data, WorldData) else StudentPairs()
