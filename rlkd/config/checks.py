"""Faults that no single section can see: settings that do not go together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from rlkd.config.derived import pairs_source
from rlkd.config.faults import Fault
from rlkd.errors import ConfigError
from rlkd.plugins import check_plugin, import_object, objects_of
from schemas.base import Schema
from schemas.config.data import (
    BenchmarkData,
    DataConfig,
    FileData,
    GymData,
    HubData,
    MixtureData,
    PythonData,
    WorldData,
    gym_dataset,
)
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import FilePairs, StudentPairs, WorldPairs
from schemas.config.rewards import ComponentConfig, RewardsConfig, ever_weighs
from schemas.config.student import FreshModel
from schemas.config.traces import SampledTeacher, StudentTeacher, TeacherConfig


def cross_check(config: Schema, values: Mapping[str, Any], faulty: Collection[str] = ()) -> list[Fault]:
    """Every fault of a configuration that no section can see by itself.

    Args:
        config: The configuration; what stands in faulty sections does not count.
        values: It as written, for what validation would silently convert.
        faulty: Sections that are wrong by themselves: what depends on them cannot be judged.
    """
    found: list[Fault] = []
    if isinstance(config, PipelineConfig):
        for check, sections in _CHECKS:
            if not set(sections) & set(faulty):
                found += check(config)
    return [*found, *_booleans(values, config.model_dump(mode="json"), ())]


def check_objects(config: Schema) -> list[Fault]:
    """What is wrong with the reward components and Python objects that a configuration names; none is made."""
    return [*_named_components(config), *_python_objects(config), *_teacher_model(config)]


CHECK_COMPONENT = "rlkd.rewards.scoring:check_named"
CHECK_TEACHER = "rlkd.training.teacher_model:check_teacher"
"""Named and not imported, as the functions of stages are: the readers of configurations stand below what they configure."""


def _named_components(config: Schema) -> Iterator[Fault]:
    rewards = config.rewards if isinstance(config, PipelineConfig) else config
    if not isinstance(rewards, RewardsConfig):
        return
    at = ("components",) if rewards is config else ("rewards", "components")
    for name, settings in rewards.further.items():
        if isinstance(settings, ComponentConfig):
            try:
                import_object(CHECK_COMPONENT, "check")(name, settings.options)
            except ConfigError as error:
                yield Fault((*at, name), f"is wrong: {error}")


def _teacher_model(config: Schema) -> Iterator[Fault]:
    if isinstance(config, PipelineConfig) and config.rl.enabled and config.rl.objective.distil is not None:
        try:
            import_object(CHECK_TEACHER, "check")(config.rl.objective.distil, config.student)
        except ConfigError as error:
            yield Fault(("rl", "objective", "distil"), f"is wrong: {error}")


def _python_objects(config: Schema) -> Iterator[Fault]:
    for where, item in objects_of(config):
        try:
            check_plugin(item)
        except ConfigError as error:
            yield Fault((*where.split("."), "object"), f"is wrong: {error}")


def _teachers(config: PipelineConfig) -> Iterator[tuple[tuple[str, ...], TeacherConfig]]:
    """Each teacher with where it stands."""
    at = ("traces", "teacher")
    several = isinstance(config.traces.teacher, tuple)
    for i, teacher in enumerate(config.traces.teachers):
        yield (*at, str(i)) if several else at, teacher


def _source(config: PipelineConfig) -> Iterator[Fault]:
    if not config.traces.teachers:
        yield Fault(("traces", "teacher"), "is an empty list; name a teacher, or set its type to none")
    for at, teacher in _teachers(config):
        yield from _source_of(config, teacher.type, (*at, "type"))


def _source_of(config: PipelineConfig, teacher: str, at: tuple[str, ...]) -> Iterator[Fault]:
    data = config.data
    if teacher == "none" and isinstance(config.traces.teacher, tuple):
        yield Fault(at, "is 'none' in a list of teachers; take it out")
    if isinstance(data, MixtureData):
        # Another part may have the traces, or the teacher may be for the domains of another one.
        faults = [list(_single_source(part.source, teacher, at)) for part in data.parts]
        if all(faults):
            yield from faults[0]
        return
    yield from _single_source(data, teacher, at)


def _single_source(data: DataConfig, teacher: str, at: tuple[str, ...]) -> Iterator[Fault]:
    if gym := _gym_dataset(data):
        if teacher == "world" or (teacher == "column" and gym not in GymData.with_steps):
            yield Fault(
                at,
                f"is {teacher!r}, but reasoning_gym data has no teacher traces: it is for evaluation only; set "
                "traces.teacher.type to none, warm_start.enabled to false and rl.enabled to false (or rewards.alpha to 0)",
            )
        return
    if teacher == "world" and not isinstance(data, (WorldData, PythonData)):
        yield Fault(at, f"is 'world', but data.type is {data.type!r}; {_own_paths(data)}")
    if teacher == "column" and isinstance(data, WorldData):
        yield Fault(at, "is 'column', but data.type is 'world'; set it to world")
    if teacher == "column" and isinstance(data, (FileData, HubData)) and not data.columns.traces:
        yield Fault(
            ("data", "columns", "traces"),
            "is empty, but traces.teacher.type is 'column'; name the columns with teacher paths",
        )


def _gym_dataset(data: DataConfig) -> str:
    """The dataset of reasoning-gym that a source is, by either of its names; empty where it is none."""
    if isinstance(data, BenchmarkData):
        return gym_dataset(data.name) or ""
    return data.dataset if isinstance(data, GymData) else ""


def _own_paths(data: DataConfig) -> str:
    """What to write for the paths that come with a source: a benchmark knows its columns and has no `columns` to set."""
    if isinstance(data, BenchmarkData):
        return "set it to column for the benchmark's own solutions where it has some, or to endpoint, local or student for a model's"
    return "set it to column and name data.columns.traces"


def _samples(config: PipelineConfig) -> Iterator[Fault]:
    for at, teacher in _teachers(config):
        if isinstance(teacher, SampledTeacher):
            yield from _samples_of(teacher, config.traces.per_problem, at)


def _samples_of(teacher: SampledTeacher, wanted: int, at: tuple[str, ...]) -> Iterator[Fault]:
    if teacher.attempts is not None and teacher.attempts < wanted:
        yield Fault(
            (*at, "attempts"), f"is {teacher.attempts}, below traces.per_problem = {wanted}; raise it"
        )
    if teacher.temperature == 0 and max(wanted, teacher.attempts or 0) > 1:
        yield Fault(
            (*at, "temperature"),
            "is 0, so that several samples of a problem would be the same; raise it, or set traces.per_problem and attempts to 1",
        )
    if teacher.budget.money is not None and not (teacher.price.prompt or teacher.price.completion):
        yield Fault(
            (*at, "price"),
            "is not set, so that traces.teacher.budget.money would never be spent; set price.prompt and price.completion",
        )
    if isinstance(teacher, StudentTeacher) and teacher.student and teacher.student.model.type == "fresh":
        yield Fault(
            (*at, "type"),
            "is 'student', but the student is fresh: untrained, it writes nothing; name a checkpoint in student.model",
        )


def _warm_start(config: PipelineConfig) -> Iterator[Fault]:
    if not config.traces.taught and config.warm_start.enabled:
        yield Fault(("warm_start", "enabled"), "is true, but traces.teacher.type is 'none'; set it to false")


def _structure_reward(config: PipelineConfig) -> Iterator[Fault]:
    weighs = ever_weighs(config.rewards, "alpha")
    if not config.traces.taught and config.rl.enabled and weighs:
        yield Fault(
            ("rewards", "alpha"),
            "is above 0, but traces.teacher.type is 'none': set it to 0 (outcome only)",
        )
    nobody = _nobody_looks(config)
    if config.rl.enabled and config.rewards.guessed < 1 and nobody:
        yield Fault(
            ("rewards", "guessed"),
            f"is below 1, but {nobody}: nobody says which answers are guessed; set it to 1",
        )


def _nobody_looks(config: PipelineConfig) -> str:
    """Why no completion's structure is looked at; empty where it is."""
    if not config.traces.taught:
        return "traces.teacher.type is 'none'"
    rewards = config.rewards  # who pays guesses less looks, to know them
    if not rewards.observe_structure and rewards.guessed == 1 and not ever_weighs(rewards, "alpha"):
        return "rewards.observe_structure is false"
    return ""


def _objective(config: PipelineConfig) -> Iterator[Fault]:
    rl, at = config.rl, ("rl", "objective")
    wanted = rl.objective
    if not rl.enabled:
        return
    untaught = not config.traces.taught
    if wanted.teacher_in_group and untaught:
        yield Fault(
            (*at, "teacher_in_group"), "is true, but traces.teacher.type is 'none': there is no trace"
        )
    if wanted.teacher_in_group and rl.iterations * rl.steps_per_generation > 1:
        yield Fault(
            (*at, "teacher_in_group"),
            "is true, which takes one update for each round of samples; set rl.iterations and rl.steps_per_generation to 1",
        )
    for name in ("teacher_in_group", "greedy_in_group"):
        if getattr(wanted, name) and rl.generation == "vllm":
            yield Fault(
                (*at, name),
                "is true, but rl.generation is vllm, which samples whole groups; set it to transformers",
            )
    if wanted.teacher_in_group and wanted.greedy_in_group and rl.group_size < 4:
        yield Fault(
            ("rl", "group_size"), "is below 4, too few for the teacher's trace, a greedy member and samples"
        )
    if wanted.resample and config.launch.processes > 1:
        yield Fault((*at, "resample"), "is above 0, which takes launch.processes = 1; set it to 0")
    if wanted.resample and rl.scale_rewards == "batch":
        yield Fault((*at, "resample"), "is above 0, which takes rl.scale_rewards = group or none")
    if wanted.normalize == "components" and config.rewards.structure_gate != "always":
        yield Fault(
            (*at, "normalize"),
            "is components, which takes rewards.structure_gate = always: a gate makes one component of two",
        )
    if wanted.step_credit and (why := _nobody_looks(config)):
        yield Fault(
            (*at, "step_credit"), f"is above 0, but {why}: nobody says which step failed; set it to 0"
        )


def _decomposer(config: PipelineConfig) -> Iterator[Fault]:
    if config.structures.decomposer.type == "world" and not isinstance(config.data, WorldData):
        yield Fault(
            ("structures", "decomposer", "type"),
            f"is 'world', but data.type is {config.data.type!r}; set it to rules",
        )


def _student(config: PipelineConfig) -> Iterator[Fault]:
    student = config.student
    if not student.chat and "{question}" not in student.prompt:
        yield Fault(
            ("student", "prompt"), "has no {question}, so the student would not see the problem; put it in"
        )
    if isinstance(student.model, FreshModel):
        if student.model.width % student.model.heads:
            yield Fault(
                ("student", "model", "heads"),
                f"{student.model.heads} does not divide width {student.model.width}",
            )
        need = student.max_prompt_tokens + student.max_completion_tokens
        if need > student.model.context:
            yield Fault(
                ("student", "model", "context"),
                f"{student.model.context} is shorter than max_prompt_tokens + max_completion_tokens = {need}; raise it",
            )


def _evaluation(config: PipelineConfig) -> Iterator[Fault]:
    evaluate = config.evaluate
    too_large = [k for k in evaluate.pass_at if k > evaluate.samples]
    if evaluate.samples and too_large:
        yield Fault(
            ("evaluate", "pass_at"),
            f"asks for pass@{too_large[0]} of {evaluate.samples} samples; raise evaluate.samples or drop it",
        )


def _qualification(config: PipelineConfig) -> Iterator[Fault]:
    source = pairs_source(config)
    if isinstance(source, WorldPairs) and not isinstance(config.data, WorldData):
        yield Fault(
            ("qualify", "pairs", "type"),
            f"is 'world', but data.type is {config.data.type!r}; set it to student, or to file with a path",
        )
    if not config.qualify.enabled or isinstance(source, FilePairs):
        return
    if not config.traces.taught:
        yield Fault(
            ("qualify", "enabled"),
            "is true, but traces.teacher.type is 'none', so no solution has a teacher's path beside it; set it to false, or "
            "name labelled solutions with qualify.pairs={type: file, path: ...}",
        )
    if (
        isinstance(source, StudentPairs)
        and isinstance(config.student.model, FreshModel)
        and not config.warm_start.enabled
    ):
        yield Fault(
            ("qualify", "enabled"),
            "is true, but the student is fresh and has no warm start, so there is nothing to sample; set it to false, or name "
            "labelled solutions with qualify.pairs={type: file, path: ...}",
        )


_CHECKS: tuple[tuple[Callable[[PipelineConfig], Iterator[Fault]], tuple[str, ...]], ...] = (
    (_source, ("data", "traces")),
    (_samples, ("traces",)),
    (_warm_start, ("traces", "warm_start")),
    (_structure_reward, ("traces", "rl", "rewards")),
    (_objective, ("traces", "rl", "rewards", "launch")),
    (_decomposer, ("data", "structures")),
    (_student, ("student",)),
    (_evaluation, ("evaluate",)),
    (_qualification, ("data", "traces", "student", "warm_start", "qualify")),
)
"""Each check with the sections that it reads."""


def _booleans(written: Any, parsed: Any, path: tuple[str, ...]) -> Iterator[Fault]:
    """``steps: true`` would pass as 1."""
    if isinstance(written, Mapping) and isinstance(parsed, Mapping):
        for key, value in written.items():
            yield from _booleans(value, parsed.get(key), (*path, str(key)))
    elif isinstance(written, bool) and isinstance(parsed, (int, float)) and not isinstance(parsed, bool):
        yield Fault(path, f"must be a number, not {str(written).lower()}")
