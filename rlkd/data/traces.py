"""The traces stage: teacher paths, each verified against the reference answer before it may teach."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rlkd.answers.conventions import read_any
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import judge_problem
from rlkd.data.rejection import sample_traces, yields
from rlkd.data.teachers import Teacher, open_teacher
from rlkd.data.teachers._sampled import LanguageModelTeacher
from rlkd.errors import DataError
from rlkd.io import append_row, read_rows, recover_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from schemas.artifact import StageResult
from schemas.base import Schema
from schemas.config.traces import Price, SampledTeacher, TracesConfig
from schemas.problem import Problem, Split
from schemas.trace import TeacherTrace

NO_PATH = "the teacher has no path"
NO_ANSWER = "the path states no final answer"
WRONG_ANSWER = "the stated answer is not the reference"
UNDECIDED = "nobody can say whether the stated answer is the reference"


class FinishedProblem(Schema):
    """One line of the unfinished stage's file: a problem whose traces are all verified."""

    problem_id: str
    traces: tuple[TeacherTrace, ...]


def collect_traces(ctx: StageContext) -> StageResult:
    """Collects and verifies the teacher's paths, for training and for held-out problems.

    Evaluation needs a teacher's path for each held-out problem too (its structure score); the limit
    ``traces.problems`` counts training problems only. Finished problems are appended to
    ``work/traces.jsonl``; after a crash the stage goes on behind the last whole line. Writes
    ``accepted.jsonl``, ``rejected.jsonl`` and ``summary.json``.

    Raises:
        DataError: The teacher cannot teach these problems, or no training trace was accepted.
    """
    config, seed = ctx.config.traces, ctx.config.seed
    chosen = choose_problems(ctx.inputs["data"], config, seed)
    problems = [problem for split in chosen.values() for problem in split]
    teacher = open_teacher(config.teacher, problems)
    work = ctx.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    partial = work / "traces.jsonl"
    finished = {row.problem_id: row for row in recover_rows(partial, FinishedProblem)}
    if finished:
        ctx.events.message(f"continuing: the traces of {len(finished)} of {len(problems)} problems are there")
    if isinstance(teacher, LanguageModelTeacher):
        return _finish(ctx, chosen, finished, _sample(ctx, problems, teacher, partial, finished))
    every = max(1, len(problems) // 100)
    for i, problem in enumerate(problems):
        if problem.id not in finished:
            row = FinishedProblem(problem_id=problem.id, traces=tuple(_teach(problem, teacher, config, seed)))
            append_row(partial, row)
            finished[problem.id] = row
        if (i + 1) % every == 0 or i + 1 == len(problems):
            ctx.events.progress(i + 1, len(problems), "traces")
    return _finish(ctx, chosen, finished)


def _sample(
    ctx: StageContext,
    problems: Sequence[Problem],
    teacher: LanguageModelTeacher,
    partial: Path,
    finished: dict[str, FinishedProblem],
) -> list[dict[str, Any]]:
    """Asks a language model for the traces that are not there; returns the table of what they cost and brought.

    A problem with a request that failed is finished for this attempt only: the next one asks again.
    """
    config, seed, total = ctx.config.traces, ctx.config.seed, len(problems)
    every = max(1, total // 100)
    teacher.waiting = ctx.events.message

    def done(problem: Problem, traces: list[TeacherTrace], answered: bool) -> None:
        row = FinishedProblem(problem_id=problem.id, traces=tuple(traces))
        if answered:
            append_row(partial, row)
        finished[problem.id] = row
        if len(finished) % every == 0 or len(finished) == total:
            ctx.events.progress(len(finished), total, "traces")

    def verify(problem: Problem, path: str, name: str, trace_id: str) -> TeacherTrace:
        return verify_trace(problem, path, name, trace_id, config.timeout_s)

    def table() -> list[dict[str, Any]]:
        there = [problem for problem in problems if problem.id in finished]
        return yields(there, lambda problem: finished[problem.id].traces, teacher, seed)

    try:
        table()  # what an attempt that was killed has spent counts toward the budget
        missing = [problem for problem in problems if problem.id not in finished]
        asyncio.run(sample_traces(missing, teacher, config.per_problem, seed, verify, done))
        return table()
    finally:
        price = config.teacher.price if isinstance(config.teacher, SampledTeacher) else Price()
        ctx.events.message(
            f"{teacher.name}: {teacher.spending.new.text(price)} bought now, {teacher.spending.spent.text(price)} in all"
        )
        teacher.close()


def choose_problems(data: Path, config: TracesConfig, seed: int) -> dict[Split, list[Problem]]:
    """Chooses the problems that get traces: all held-out ones, and training ones up to the limit, drawn by seed."""
    chosen: dict[Split, list[Problem]] = {
        split: read_rows(data / f"{split}.jsonl", Problem) for split in get_args(Split)
    }
    train = chosen["train"]
    if config.problems is not None and config.problems < len(train):
        picked = set(random.Random(f"{seed}:traces").sample(range(len(train)), config.problems))
        chosen["train"] = [problem for i, problem in enumerate(train) if i in picked]
    return chosen


def _teach(problem: Problem, teacher: Teacher, config: TracesConfig, seed: int) -> list[TeacherTrace]:
    paths = teacher.paths(problem, config.per_problem, seed)
    if not paths and teacher.name != "none":
        return [
            TeacherTrace(
                id=f"{problem.id}/0", problem_id=problem.id, teacher=teacher.name, path="", reason=NO_PATH
            )
        ]
    return [
        verify_trace(problem, path, name, f"{problem.id}/{i}", config.timeout_s)
        for i, (path, name) in enumerate(paths)
    ]


def verify_trace(
    problem: Problem, path: str, teacher: str, trace_id: str, timeout_s: float = 5.0
) -> TeacherTrace:
    """Checks a path's stated final answer against the problem's reference.

    Args:
        problem: The problem.
        path: The teacher's path, in any of the conventions of :mod:`rlkd.answers.conventions`.
        teacher: Name of the teacher.
        trace_id: Id of the trace.
        timeout_s: Longest time of the verification, in seconds.
    """
    answer = read_any(path).answer
    reason = ""
    if answer is None:
        reason = NO_ANSWER
    else:
        try:
            verdict = judge_problem(problem, answer, timeout_s)
            if verdict.right is not None:
                reason = "" if verdict.right else WRONG_ANSWER
            else:
                reason = f"{UNDECIDED} ({verdict.undecided})"
        except VerifierError as error:
            reason = f"the verifier failed: {error}"
    return TeacherTrace(
        id=trace_id,
        problem_id=problem.id,
        teacher=teacher,
        path=path,
        answer=answer,
        accepted=not reason,
        reason=reason,
    )


def _finish(
    ctx: StageContext,
    chosen: dict[Split, list[Problem]],
    finished: dict[str, FinishedProblem],
    costs: Sequence[dict[str, Any]] = (),
) -> StageResult:
    accepted: list[TeacherTrace] = []
    rejected: list[TeacherTrace] = []
    by_split: dict[str, int] = {}
    for split, problems in chosen.items():
        traces = [trace for problem in problems for trace in finished[problem.id].traces]
        good = [trace for trace in traces if trace.accepted]
        by_split[split] = len(good)
        accepted += good
        rejected += [trace for trace in traces if not trace.accepted]
    reasons = dict(Counter(trace.reason for trace in rejected).most_common())
    teacher = ctx.config.traces.teacher.type
    if teacher != "none" and not by_split["train"]:
        raise DataError(
            f"no teacher trace of {len(chosen['train'])} training problems was accepted ({_reasons(rejected)}); "
            + (
                "see the teacher's answers in work/traces.jsonl of this stage, traces.teacher.prompt and max_tokens"
                if costs
                else "check data.columns.traces, data.answer_pattern and that the paths end with their answer"
            )
        )
    write_rows(ctx.folder / "accepted.jsonl", accepted)
    write_rows(ctx.folder / "rejected.jsonl", rejected)
    summary: dict[str, Any] = {
        "teacher": teacher,
        "accepted": len(accepted),
        "rejected": len(rejected),
        "reasons": reasons,
        "accepted_by_split": by_split,
    }
    if costs:
        summary["costs"] = list(costs)
    write_json_atomic(ctx.folder / "summary.json", summary)
    metrics = {"accepted": float(len(accepted)), "rejected": float(len(rejected))}
    return StageResult(rows=len(accepted), summary=summary, metrics=metrics)


def _reasons(rejected: Sequence[TeacherTrace]) -> str:
    counts = Counter(trace.reason for trace in rejected).most_common(3)
    return ", ".join(f"{count} x {reason}" for reason, count in counts) or "it wrote none"
