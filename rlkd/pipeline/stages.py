"""The stages of the pipeline: what each is called, what it reads, and the function that does it.

This table is the only place that knows the chain. Tasks, the command line, job processes, the report
and MLflow all read it. Every stage function has one signature::

    def prepare_data(ctx: StageContext) -> StageResult

It reads the finished folders in ``ctx.inputs``, writes into ``ctx.folder`` (which may hold its own
unfinished work from an earlier attempt, to be continued), and returns counts and figures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlkd.pipeline.context import StageContext
from schemas.artifact import AnyStageName, StageResult
from schemas.config.data import WorldData
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import FilePairs, PairsConfig, StudentPairs, WorldPairs
from schemas.config.rewards import ever_weighs
from schemas.config.run import RunConfig


@dataclass(frozen=True)
class StageSpec:
    """One stage.

    Attributes:
        name: Its name everywhere.
        version: Raised when the stage's meaning changes: finished folders of older versions are not reused.
        sections: Sections of the configuration that its identity covers (beside the seed).
        inputs: Stages whose folders it reads.
        function: ``module:name`` of its function, imported only when it runs.
        job: Whether it runs as a process of its own (torch, GPU memory, several processes).
        after: Stages that must have come through before it starts, though it reads nothing of theirs: no part of its
            identity.
        gate: ``module:name`` of a function that is asked, each time the stage is made or found finished, whether the
            run may go on. It gets the configuration and the stage's folder, returns a sentence, or raises.
    """

    name: AnyStageName
    version: int
    sections: tuple[str, ...]
    inputs: tuple[AnyStageName, ...]
    function: str
    job: bool = False
    after: tuple[AnyStageName, ...] = ()
    gate: str = ""

    def load(self) -> Callable[[StageContext[Any]], StageResult]:
        """Imports the stage's function."""
        return load_function(self.function)

    def load_gate(self) -> Callable[[PipelineConfig, Path], str] | None:
        """Imports the stage's gate; ``None`` where it has none."""
        if not self.gate:
            return None
        module, _, name = self.gate.partition(":")
        function: Callable[[PipelineConfig, Path], str] = getattr(importlib.import_module(module), name)
        return function


_MEASURED = ("pairs", "limit", "changed", "repeats", "unrelated", "resamples", "confidence")
"""Settings of ``qualify`` that change what it measures; the others (thresholds, action) only change the verdict."""

STAGES: tuple[StageSpec, ...] = (
    StageSpec("data", 1, ("data",), (), "rlkd.data.stage:prepare_data"),
    StageSpec("traces", 2, ("traces",), ("data",), "rlkd.data.traces:collect_traces"),
    StageSpec(
        "structures",
        2,
        ("structures.decomposer",),
        ("data", "traces"),
        "rlkd.structure.stage:decompose_traces",
    ),
    StageSpec(
        "warm_start",
        1,
        ("student", "warm_start"),
        ("data", "traces"),
        "rlkd.training.warm_start:warm_start",
        job=True,
    ),
    StageSpec(
        "qualify",
        2,
        ("structures", "student", "evaluate.batch_size", *(f"qualify.{name}" for name in _MEASURED)),
        ("data", "traces", "warm_start"),
        "rlkd.qualification.stage:qualify",
        job=True,
        gate="rlkd.qualification.verdict:gate",
    ),
    StageSpec(
        "rl",
        3,
        ("student", "structures", "rewards", "rl"),
        ("data", "traces", "structures", "warm_start"),
        "rlkd.training.rl:distil",
        job=True,
        after=("qualify",),
    ),
    StageSpec(
        "evaluate",
        3,
        ("student", "structures", "evaluate"),
        ("data", "traces", "structures", "warm_start", "rl"),
        "rlkd.evaluation.stage:evaluate",
        job=True,
    ),
    StageSpec(
        "report",
        1,
        ("name", "report", "qualify"),
        ("data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate"),
        "rlkd.reporting.stage:write_report",
    ),
)


GSRM_STAGES: tuple[StageSpec, ...] = (
    StageSpec("gsrm_paths", 2, ("paths",), (), "rlkd.gsrm.paths:collect_paths"),
    StageSpec("gsrm_annotations", 1, ("annotations",), ("gsrm_paths",), "rlkd.gsrm.annotate:annotate_paths"),
    StageSpec(
        "gsrm_train",
        1,
        ("student", "sft"),
        ("gsrm_paths", "gsrm_annotations"),
        "rlkd.gsrm.train:train_decomposer",
        job=True,
    ),
    StageSpec(
        "gsrm_evaluate",
        1,
        ("student", "evaluate"),
        ("gsrm_paths", "gsrm_annotations", "gsrm_train"),
        "rlkd.gsrm.evaluate:evaluate_decomposer",
        job=True,
    ),
)
"""The stages of training a GSRM."""


def load_function(path: str) -> Callable[[StageContext[Any]], StageResult]:
    """Imports a stage function by ``module:name``."""
    module, _, name = path.partition(":")
    function: Callable[[StageContext[Any]], StageResult] = getattr(importlib.import_module(module), name)
    return function


def stage_spec(name: str) -> StageSpec:
    """The spec of a stage by name.

    Raises:
        KeyError: There is no such stage.
    """
    for spec in (*STAGES, *GSRM_STAGES):
        if spec.name == name:
            return spec
    raise KeyError(name)


def stages_of(config: RunConfig) -> tuple[StageSpec, ...]:
    """The stages of a configuration's kind of run, in order."""
    return STAGES if isinstance(config, PipelineConfig) else GSRM_STAGES


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


def resolve(spec: StageSpec, config: RunConfig) -> StageSpec:
    """A stage under one configuration: what it reads may depend on it, and so what counts toward its identity.

    A qualification on a file of labelled solutions reads no other stage, and only the student's samples need the
    student, its warm start and a process of their own.
    """
    if spec.name != "qualify" or not isinstance(config, PipelineConfig):
        return spec
    source = pairs_source(config)
    if isinstance(source, StudentPairs):
        return spec
    sections = tuple(name for name in spec.sections if name not in ("student", "evaluate.batch_size"))
    inputs: tuple[AnyStageName, ...] = () if isinstance(source, FilePairs) else ("data", "traces")
    return replace(spec, sections=sections, inputs=inputs, job=_has_local_model(config))


def _has_local_model(config: PipelineConfig) -> bool:
    """Whether the structure reward runs a model in its own process."""
    judge = config.structures.judge
    parts = (config.structures.decomposer, judge, getattr(judge, "then", None))
    kinds = {getattr(part, "type", "") for part in parts}
    return "embedding" in kinds or any(
        getattr(getattr(part, "endpoint", None), "type", "") == "local" for part in parts
    )


def downstream(name: str, config: RunConfig) -> tuple[AnyStageName, ...]:
    """A stage and every stage that reads what it makes, in order."""
    affected: set[str] = {name}
    for spec in stages_of(config):
        if affected.intersection(resolve(spec, config).inputs):
            affected.add(spec.name)
    return tuple(spec.name for spec in stages_of(config) if spec.name in affected)


def upstream(name: str, config: RunConfig) -> tuple[AnyStageName, ...]:
    """A stage and every stage that must come before it, in order."""
    needed: set[str] = {name}
    for spec in reversed(stages_of(config)):
        if spec.name in needed:
            needed.update(resolve(spec, config).inputs)
            needed.update(item for item in spec.after if is_enabled(config, item))
    return tuple(spec.name for spec in stages_of(config) if spec.name in needed)
