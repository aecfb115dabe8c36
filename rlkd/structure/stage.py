"""The structures stage: every accepted teacher trace is decomposed once, and the structure is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rlkd.errors import DataError, MissingScoreError
from rlkd.io import append_row, iter_rows, read_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.shards import known_rows, own_file
from rlkd.structure.backends.cached import last_fault
from rlkd.structure.factory import make_decomposer
from rlkd.structure.interfaces import Decomposer, PathItem
from rlkd.structure.scorer import in_text, teacher_item
from schemas.artifact import StageResult
from schemas.problem import Problem
from schemas.structure import Structure
from schemas.trace import TeacherTrace

_CHUNK = 64
_SPLITS = ("train", "validation", "test", "ood")
_MAX_MISSING = 0.1
"""Share of traces that a decomposer may fail on (a model that does not answer) before the stage stops."""


def decompose_traces(ctx: StageContext, decomposer: Decomposer | None = None) -> StageResult:
    """Decomposes every accepted trace once (paper, section 3.1; differs from its code, which does so for each sample).

    Structures are appended chunk by chunk, so that an unfinished stage continues where it stopped. A trace that
    the decomposer failed on has no structure and is counted; it can be tried again with ``--from structures``.

    Args:
        ctx: The stage's context; inputs ``data`` and ``traces``.
        decomposer: By default the configured one.

    Raises:
        DataError: There is no accepted trace, or a trace names a problem that is not there.
        MissingScoreError: The decomposer failed on more than a tenth of the traces.
    """
    configured = ctx.config.structures
    decomposer = decomposer or make_decomposer(configured.decomposer, configured.cache)
    traces = read_rows(ctx.inputs["traces"] / "accepted.jsonl", TeacherTrace)
    if not traces:
        raise DataError(f"{ctx.inputs['traces'] / 'accepted.jsonl'}: there is no accepted trace to decompose")
    problems = _problems(ctx.inputs["data"])
    unknown = next((trace for trace in traces if trace.problem_id not in problems), None)
    if unknown is not None:
        raise DataError(
            f"trace {unknown.id} is for problem {unknown.problem_id}, which the data stage does not have; run again with --from traces"
        )
    rows = asyncio.run(_decompose(ctx, decomposer, traces, problems))
    if ctx.shard is not None:
        return StageResult()
    by_trace = {row.trace_id: row for row in rows}
    ordered = [by_trace[trace.id] for trace in traces if trace.id in by_trace]
    missing = len(traces) - len(ordered)
    if missing > _MAX_MISSING * len(traces):
        raise MissingScoreError(
            f"the decomposer {decomposer.name} failed on {missing} of {len(traces)} traces"
            + (f" (last fault: {fault})" if (fault := last_fault(decomposer)) else "")
            + "; mend structures.decomposer or its endpoint and run again: what it decomposed is kept"
        )
    write_rows(ctx.folder / "structures.jsonl", ordered)
    steps = [len(row.steps) for row in ordered]
    mean = sum(steps) / max(1, len(steps))
    summary = {
        "decomposer": decomposer.name,
        "structures": len(ordered),
        "missing": missing,
        "without_steps": sum(count == 0 for count in steps),
        "steps_mean": mean,
    }
    write_json_atomic(ctx.folder / "summary.json", summary)
    return StageResult(rows=len(ordered), summary=summary, metrics={"steps_mean": mean})


def _problems(folder: Path) -> dict[str, Problem]:
    files = [folder / f"{split}.jsonl" for split in _SPLITS]
    return {row.id: row for file in files if file.exists() for row in iter_rows(file, Problem)}


async def _decompose(
    ctx: StageContext, decomposer: Decomposer, traces: Sequence[TeacherTrace], problems: dict[str, Problem]
) -> list[Structure]:
    partial = ctx.folder / "work" / "structures.jsonl"
    partial.parent.mkdir(parents=True, exist_ok=True)
    traces = traces if ctx.shard is None else ctx.shard.of(traces)
    names = {trace.id for trace in traces}
    done = [
        row
        for row in known_rows(partial, Structure, ctx.shard)
        if row.trace_id in names and row.decomposer == decomposer.name
    ]
    finished = {row.trace_id for row in done}
    left = [trace for trace in traces if trace.id not in finished]
    for start in range(0, len(left), _CHUNK):
        chunk = left[start : start + _CHUNK]
        items = [trace_item(problems[trace.problem_id], trace) for trace in chunk]
        for trace, item, structure in zip(chunk, items, await decomposer.decompose(items), strict=True):
            if structure is not None:
                row = _in_trace(structure, item, trace).model_copy(
                    update={
                        "trace_id": trace.id,
                        "problem_id": trace.problem_id,
                        "decomposer": decomposer.name,
                    }
                )
                append_row(own_file(partial, ctx.shard), row)
                done.append(row)
        ctx.events.progress(len(traces) - len(left) + start + len(chunk), len(traces), "traces")
    return done


def trace_item(problem: Problem, trace: TeacherTrace) -> PathItem:
    """Returns what is read of a trace."""
    return teacher_item(problem.question, trace.path, problem.domain)


def _in_trace(structure: Structure, item: PathItem, trace: TeacherTrace) -> Structure:
    """The structure with its stated answer, its steps where they stand in the trace."""
    return in_text(structure, item, trace.path).model_copy(update={"stated": item.answer or ""})
