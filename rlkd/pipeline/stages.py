"""The stages of the pipeline: what each is called, what it reads, and the function that does it.

This table is the only description of the chain. Flows, Prefect tasks, the command line, job processes, identities, the
report's list of stages and MLflow's names all come from it: a new stage is an entry here and a function. Every stage
function has one signature::

    def prepare_data(ctx: StageContext) -> StageResult

It reads the finished folders in ``ctx.inputs``, writes into ``ctx.folder`` (which may hold its own
unfinished work from an earlier attempt, to be continued), and returns counts and figures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rlkd.config.derived import is_enabled, pairs_source
from rlkd.pipeline.context import StageContext
from schemas.artifact import StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import FilePairs, StudentPairs
from schemas.config.run import RunConfig

Family = Literal["prepare", "train", "evaluate", "gsrm"]
"""Part of a chain that a flow goes through as one."""


@dataclass(frozen=True)
class Reads:
    """What a stage reads of an earlier stage's folder. Its identity covers the content of this, and of nothing else.

    So what a stage does not read may change without making it again: more test problems do not retrain a student, and
    a training stage that is made again with the same weights does not evaluate them again.

    Attributes:
        stage: The earlier stage.
        files: Patterns of the files in its folder; ``**`` stands for any number of folders.
        splits: Only the rows that belong to problems of these splits (files with a ``problem_id`` in each row, such as
            the traces of all splits in one file); empty: all rows.
        keys: Only these keys of each JSON row; empty: all.
        without: Keys of a JSON file that say when and how fast, not what.
        facts: Whether it reads what the stage says about itself (``summary`` of its result), too.
    """

    stage: str
    files: tuple[str, ...] = ("**",)
    splits: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    facts: bool = False


@dataclass(frozen=True)
class StageSpec:
    """One stage.

    Attributes:
        name: Its name everywhere.
        family: The part of the chain that it belongs to: a flow goes through whole parts.
        description: What it makes, in one line, for Prefect's pages.
        function: ``module:name`` of its function, imported only when it runs.
        version: Raised when the stage's meaning changes: finished folders of older versions are not reused.
        sections: Sections of the configuration that its identity covers (beside the seed).
        reads: What it reads of earlier stages.
        job: Whether it runs as a process of its own (torch, GPU memory, several processes).
        alone: Whether its job is one process, however many train (``launch.processes``).
        sharded: Whether its function makes single shards, too (``launch.shards``).
        after: Stages that must have come through before it starts, though it reads nothing of theirs: no part of its
            identity.
        check: ``module:name`` of a function that is asked, each time the stage is made or found finished, whether the
            run may go on. It gets the configuration and the stage's folder, returns a sentence, or raises.
        tracked: Files and folders of it that MLflow keeps a copy of.
    """

    name: str
    family: Family
    description: str
    function: str
    version: int = 1
    sections: tuple[str, ...] = ()
    reads: tuple[Reads, ...] = ()
    job: bool = False
    alone: bool = False
    sharded: bool = False
    after: tuple[str, ...] = ()
    check: str = ""
    tracked: tuple[str, ...] = ("summary.json",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Stages whose folders it reads, in order."""
        return tuple(dict.fromkeys(read.stage for read in self.reads))

    def load(self) -> Callable[[StageContext[Any]], StageResult]:
        """Imports the stage's function."""
        return load_function(self.function)

    def load_check(self) -> Callable[[PipelineConfig, Path], str] | None:
        """Imports the stage's check; ``None`` where it has none."""
        if not self.check:
            return None
        function: Callable[[PipelineConfig, Path], str] = _imported(self.check)
        return function


_MEASURED = ("pairs", "limit", "changed", "repeats", "unrelated", "resamples", "confidence")
"""Settings of ``qualify`` that change what it measures; the others (thresholds, action) only change the verdict."""
_LEARNED = ("train", "validation")
_HELD_OUT = ("test", "ood")
_TEACHER, _STRUCTURES, _METRICS = ("accepted.jsonl",), ("structures.jsonl",), ("metrics.jsonl",)
_LOSSES = (
    "step",
    "loss",
    "train_loss",
    "eval_loss",
    "validation_loss",
    "validation_accuracy",
    "eval_accuracy",
)
"""What the report shows of a training's ``metrics.jsonl``; other rows say how fast it was."""


def _rows_of(*splits: str) -> tuple[str, ...]:
    return tuple(f"{split}.jsonl" for split in splits)


STAGES: tuple[StageSpec, ...] = (
    StageSpec(
        "data",
        "prepare",
        "Problems, cleaned and split.",
        "rlkd.data.stage:prepare_data",
        version=2,
        sections=("data",),
    ),
    StageSpec(
        "traces",
        "prepare",
        "Teacher traces, verified.",
        "rlkd.data.traces:collect_traces",
        version=3,
        sharded=True,
        sections=("traces",),
        reads=(Reads("data", _rows_of(*_LEARNED, *_HELD_OUT)),),
    ),
    StageSpec(
        "structures",
        "prepare",
        "Each trace decomposed once.",
        "rlkd.structure.stage:decompose_traces",
        version=5,
        sharded=True,
        sections=("structures.decomposer",),
        reads=(Reads("data", _rows_of(*_LEARNED, *_HELD_OUT)), Reads("traces", _TEACHER)),
    ),
    StageSpec(
        "warm_start",
        "train",
        "SFT on teacher traces.",
        "rlkd.training.warm_start:warm_start",
        sections=("student", "warm_start"),
        reads=(Reads("data", _rows_of(*_LEARNED)), Reads("traces", _TEACHER, _LEARNED)),
        job=True,
        tracked=_METRICS,
    ),
    StageSpec(
        "qualify",
        "train",
        "Is the structure reward worth training on?",
        "rlkd.qualification.stage:qualify",
        version=4,
        sections=("structures", "student", "evaluate.batch_size", *(f"qualify.{name}" for name in _MEASURED)),
        reads=(
            Reads("data", _rows_of(*_LEARNED)),
            Reads("traces", _TEACHER, _LEARNED),
            Reads("warm_start", ("model/**",)),
        ),
        job=True,
        check="rlkd.qualification.verdict:check_thresholds",
        tracked=("qualification.json",),
    ),
    StageSpec(
        "rl",
        "train",
        "GRPO on structure and outcome.",
        "rlkd.training.rl:distil",
        version=6,
        sections=("student", "structures", "rewards", "rl"),
        reads=(
            Reads("data", _rows_of(*_LEARNED)),
            Reads("traces", _TEACHER, _LEARNED),
            Reads("structures", _STRUCTURES, _LEARNED),
            Reads("warm_start", ("model/**", "traces.json")),
        ),
        job=True,
        after=("qualify",),
        tracked=(*_METRICS, "ledger", "watch.json"),
    ),
    StageSpec(
        "evaluate",
        "evaluate",
        "Every checkpoint on held-out problems.",
        "rlkd.evaluation.stage:evaluate",
        version=7,
        sharded=True,
        sections=("student", "structures", "evaluate"),
        reads=(
            Reads("data", _rows_of(*_HELD_OUT)),
            Reads("traces", _TEACHER, _HELD_OUT),
            Reads("structures", _STRUCTURES, _HELD_OUT),
            Reads("warm_start", ("model/**", "base/**")),
            Reads("rl", ("model/**", "base/**")),
        ),
        job=True,
        tracked=("eval_report.json",),
    ),
    StageSpec(
        "report",
        "evaluate",
        "What happened, for people and for tools.",
        "rlkd.reporting.stage:write_report",
        sections=("name", "report", "qualify"),
        reads=(
            Reads("data", ("summary.json",)),
            Reads("traces", ("accepted.jsonl", "rejected.jsonl"), facts=True),
            Reads("structures", (), facts=True),
            Reads("warm_start", _METRICS, keys=_LOSSES, facts=True),
            Reads("qualify", ("qualification.json",), without=("cost",)),
            Reads("rl", ("ledger/**",), facts=True),
            Reads("rl", _METRICS, keys=_LOSSES),
            Reads("evaluate", ("eval_report.json", "outputs.jsonl", "samples.jsonl")),
        ),
    ),
)
"""The stages of a distillation, in order."""


GSRM_STAGES: tuple[StageSpec, ...] = (
    StageSpec(
        "gsrm_paths",
        "gsrm",
        "Reasoning paths, split by problem.",
        "rlkd.gsrm.paths:collect_paths",
        version=2,
        sections=("paths",),
    ),
    StageSpec(
        "gsrm_annotations",
        "gsrm",
        "Each path decomposed by the annotator, and checked.",
        "rlkd.gsrm.annotate:annotate_paths",
        version=2,
        sections=("annotations",),
        reads=(Reads("gsrm_paths", ("paths.jsonl",)),),
    ),
    StageSpec(
        "gsrm_train",
        "gsrm",
        "A causal LM learns to decompose.",
        "rlkd.gsrm.train:train_decomposer",
        sections=("student", "sft"),
        reads=(Reads("gsrm_paths", ("paths.jsonl",)), Reads("gsrm_annotations", ("annotations.jsonl",))),
        job=True,
        tracked=_METRICS,
    ),
    StageSpec(
        "gsrm_evaluate",
        "gsrm",
        "The GSRM as a decomposer of held-out paths.",
        "rlkd.gsrm.evaluate:evaluate_decomposer",
        version=2,
        sections=("student", "evaluate"),
        reads=(
            Reads("gsrm_paths", ("paths.jsonl",)),
            Reads("gsrm_annotations", ("annotations.jsonl",)),
            Reads("gsrm_train", ("model/**",)),
        ),
        job=True,
    ),
)
"""The stages of training a GSRM, in order."""


def load_function(path: str) -> Callable[[StageContext[Any]], StageResult]:
    """Imports a stage function by ``module:name``."""
    function: Callable[[StageContext[Any]], StageResult] = _imported(path)
    return function


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def stage_spec(name: str) -> StageSpec:
    """The spec of a stage by name.

    Raises:
        KeyError: There is no such stage.
    """
    for spec in (*STAGES, *GSRM_STAGES):
        if spec.name == name:
            return spec
    raise KeyError(name)


def family(name: Family) -> tuple[StageSpec, ...]:
    """The stages of one part of a chain, in order."""
    return tuple(spec for spec in (*STAGES, *GSRM_STAGES) if spec.family == name)


def stages_of(config: RunConfig) -> tuple[StageSpec, ...]:
    """The stages of a configuration's kind of run, in order."""
    return STAGES if isinstance(config, PipelineConfig) else GSRM_STAGES


_LOCAL_TEACHERS = frozenset({"local", "student"})


def resolve(spec: StageSpec, config: RunConfig) -> StageSpec:
    """A stage under one configuration: what it reads may depend on it, and so what counts toward its identity.

    A qualification on a file of labelled solutions reads no other stage, and only the student's samples need the
    student, its warm start and a process of their own. A teacher that is a model in this process runs in one of its own,
    which gives its memory back.
    """
    if not isinstance(config, PipelineConfig):
        return spec
    if spec.name == "traces" and any(teacher.type in _LOCAL_TEACHERS for teacher in config.traces.teachers):
        return replace(spec, job=True, alone=True)
    if spec.name == "evaluate":
        return replace(spec, reads=_evaluated(spec, config))
    if spec.name != "qualify":
        return spec
    source = pairs_source(config)
    if isinstance(source, StudentPairs):
        return spec
    sections = tuple(name for name in spec.sections if name not in ("student", "evaluate.batch_size"))
    wanted = () if isinstance(source, FilePairs) else ("data", "traces")
    reads = tuple(read for read in spec.reads if read.stage in wanted)
    return replace(spec, sections=sections, reads=reads, job=_has_local_model(config))


def _evaluated(spec: StageSpec, config: PipelineConfig) -> tuple[Reads, ...]:
    """What an evaluation reads: the splits that it is asked for, and what was trained on where benchmarks leave that out."""
    splits = config.evaluate.splits
    if set(splits) == set(_HELD_OUT):
        reads = spec.reads
    else:
        reads = tuple(
            replace(read, files=_rows_of(*splits))
            if read.stage == "data"
            else replace(read, splits=splits)
            if read.splits
            else read
            for read in spec.reads
        )
    return (*reads, Reads("data", _rows_of("train"))) if config.evaluate.benchmarks else reads


def _has_local_model(config: PipelineConfig) -> bool:
    """Whether the structure reward runs a model in its own process."""
    judge = config.structures.judge
    parts = (config.structures.decomposer, judge, getattr(judge, "then", None))
    kinds = {getattr(part, "type", "") for part in parts}
    return bool(kinds & {"embedding", "python"}) or any(
        getattr(getattr(part, "endpoint", None), "type", "") == "local" for part in parts
    )


def downstream(name: str, config: RunConfig) -> tuple[str, ...]:
    """A stage and every stage that reads what it makes, in order."""
    affected: set[str] = {name}
    for spec in stages_of(config):
        if affected.intersection(resolve(spec, config).inputs):
            affected.add(spec.name)
    return tuple(spec.name for spec in stages_of(config) if spec.name in affected)


def upstream(name: str, config: RunConfig) -> tuple[str, ...]:
    """A stage and every stage that must come before it, in order."""
    needed: set[str] = {name}
    for spec in reversed(stages_of(config)):
        if spec.name in needed:
            needed.update(resolve(spec, config).inputs)
            needed.update(item for item in spec.after if is_enabled(config, item))
    return tuple(spec.name for spec in stages_of(config) if spec.name in needed)
