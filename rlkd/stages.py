"""The stages of the pipeline: what each is called, what it reads, and the function that does it.

This table is the only place that knows the chain. Tasks, the command line, job processes, the report
and MLflow all read it. Every stage function has one signature::

    def prepare_data(ctx: StageContext) -> StageResult

It reads the finished folders in ``ctx.inputs``, writes into ``ctx.folder`` (which may hold its own
unfinished work from an earlier attempt, to be continued), and returns counts and figures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rlkd.events import EventSink
from schemas.artifact import RunManifest, StageName, StageResult
from schemas.config.pipeline import PipelineConfig


@dataclass(frozen=True)
class StageContext:
    """What a stage function gets.

    Attributes:
        config: The whole configuration; a stage may read only the sections that its spec names.
        inputs: Folder of each finished input stage, by name.
        folder: The stage's own folder.
        events: Where progress and step metrics go.
        run: The run so far (name, configuration digest, MLflow run, and an entry per stage with status,
            seconds and peak memory). For the report only: it is no part of any identity, so nothing else
            that a stage writes may depend on it. ``None`` where a stage is run by hand.
    """

    config: PipelineConfig
    inputs: Mapping[str, Path]
    folder: Path
    events: EventSink
    run: RunManifest | None = None


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
    """

    name: StageName
    version: int
    sections: tuple[str, ...]
    inputs: tuple[StageName, ...]
    function: str
    job: bool = False

    def load(self) -> Callable[[StageContext], StageResult]:
        """Imports the stage's function."""
        return load_function(self.function)


STAGES: tuple[StageSpec, ...] = (
    StageSpec("data", 1, ("data",), (), "rlkd.data.stage:prepare_data"),
    StageSpec("traces", 1, ("traces",), ("data",), "rlkd.data.traces:collect_traces"),
    StageSpec(
        "structures",
        1,
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
        "rl",
        2,
        ("student", "structures", "rewards", "rl"),
        ("data", "traces", "structures", "warm_start"),
        "rlkd.training.rl:distil",
        job=True,
    ),
    StageSpec(
        "evaluate",
        2,
        ("student", "structures", "evaluate"),
        ("data", "traces", "structures", "warm_start", "rl"),
        "rlkd.evaluation.stage:evaluate",
        job=True,
    ),
    StageSpec(
        "report",
        1,
        ("name", "report"),
        ("data", "traces", "structures", "warm_start", "rl", "evaluate"),
        "rlkd.reporting.stage:write_report",
    ),
)


def load_function(path: str) -> Callable[[StageContext], StageResult]:
    """Imports a stage function by ``module:name``."""
    module, _, name = path.partition(":")
    function: Callable[[StageContext], StageResult] = getattr(importlib.import_module(module), name)
    return function


def stage_spec(name: str) -> StageSpec:
    """The spec of a stage by name.

    Raises:
        KeyError: There is no such stage.
    """
    for spec in STAGES:
        if spec.name == name:
            return spec
    raise KeyError(name)


def downstream(name: str) -> tuple[StageName, ...]:
    """A stage and every stage that depends on it, in order."""
    affected: set[str] = {name}
    for spec in STAGES:
        if affected.intersection(spec.inputs):
            affected.add(spec.name)
    return tuple(spec.name for spec in STAGES if spec.name in affected)


def upstream(name: str) -> tuple[StageName, ...]:
    """A stage and every stage that it depends on, in order."""
    needed: set[str] = {name}
    for spec in reversed(STAGES):
        if spec.name in needed:
            needed.update(spec.inputs)
    return tuple(spec.name for spec in STAGES if spec.name in needed)
