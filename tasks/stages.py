"""The Prefect tasks: one per stage, named as the stages are. Only references travel between them.

Their results are not cached by Prefect: the store decides what is finished, because a cached reference may point
at something that has been deleted or changed since.
"""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.artifact import ArtifactRef
from tasks.artifacts import show_report
from tasks.publishing import publish_datasets, publish_figures, publish_headline, write_report
from tasks.running import Inputs, run_stage
from tasks.runs import RunRef

_SETTINGS: dict[str, Any] = {"persist_result": True, "result_serializer": "json", "cache_policy": NO_CACHE}


@task(name="data", description="Problems, cleaned and split.", **_SETTINGS)
def data(run: RunRef) -> ArtifactRef | None:
    """Problems from the configured source."""
    made = run_stage("data", run, {})
    publish_datasets(run, made)
    return made


@task(name="traces", description="Teacher traces, verified.", **_SETTINGS)
def traces(run: RunRef, data: ArtifactRef | None) -> ArtifactRef | None:
    """Verified teacher traces for the problems."""
    return run_stage("traces", run, {"data": data})


@task(name="structures", description="Each trace decomposed once.", **_SETTINGS)
def structures(run: RunRef, data: ArtifactRef | None, traces: ArtifactRef | None) -> ArtifactRef | None:
    """The structure of each accepted trace."""
    return run_stage("structures", run, {"data": data, "traces": traces})


@task(name="warm_start", description="SFT on teacher traces.", **_SETTINGS)
def warm_start(run: RunRef, data: ArtifactRef | None, traces: ArtifactRef | None) -> ArtifactRef | None:
    """The student after SFT."""
    return run_stage("warm_start", run, {"data": data, "traces": traces})


@task(name="qualify", description="Is the structure reward worth training on?", **_SETTINGS)
def qualify(
    run: RunRef, data: ArtifactRef | None, traces: ArtifactRef | None, warm_start: ArtifactRef | None
) -> ArtifactRef | None:
    """What the structure reward measures; raises where it misses a threshold and the configuration refuses then."""
    try:
        return run_stage("qualify", run, {"data": data, "traces": traces, "warm_start": warm_start})
    finally:
        publish_figures(run, "qualify")


@task(name="rl", description="GRPO on structure and outcome.", **_SETTINGS)
def rl(
    run: RunRef,
    data: ArtifactRef | None,
    traces: ArtifactRef | None,
    structures: ArtifactRef | None,
    warm_start: ArtifactRef | None,
) -> ArtifactRef | None:
    """The student after RL."""
    inputs: Inputs = {"data": data, "traces": traces, "structures": structures, "warm_start": warm_start}
    return run_stage("rl", run, inputs)


@task(name="evaluate", description="Every checkpoint on held-out problems.", **_SETTINGS)
def evaluate(
    run: RunRef,
    data: ArtifactRef | None,
    traces: ArtifactRef | None,
    structures: ArtifactRef | None,
    warm_start: ArtifactRef | None,
    rl: ArtifactRef | None,
) -> ArtifactRef | None:
    """Figures of base, warm-started and final student."""
    inputs: Inputs = {
        "data": data,
        "traces": traces,
        "structures": structures,
        "warm_start": warm_start,
        "rl": rl,
    }
    made = run_stage("evaluate", run, inputs)
    publish_headline(run, made, rl or warm_start)
    return made


@task(name="report", description="What happened, for people and for tools.", **_SETTINGS)
def report(
    run: RunRef,
    data: ArtifactRef | None,
    traces: ArtifactRef | None,
    structures: ArtifactRef | None,
    warm_start: ArtifactRef | None,
    qualify: ArtifactRef | None,
    rl: ArtifactRef | None,
    evaluate: ArtifactRef | None,
) -> ArtifactRef | None:
    """The report, in the run folder and in Prefect."""
    inputs: Inputs = {
        "data": data,
        "traces": traces,
        "structures": structures,
        "warm_start": warm_start,
        "qualify": qualify,
        "rl": rl,
        "evaluate": evaluate,
    }
    made = run_stage("report", run, inputs)
    opened = run.open()
    write_report(opened, opened.manifest.model_copy(update={"status": "done"}))
    show_report(opened.folder / "report.md")
    return made
