"""The traces stage: teacher paths, each verified against the reference answer before it may teach."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from rlkd.answers.conventions import read_any
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import judge_problem
from rlkd.data.rejection import REPEATED, sample_traces, yields
from rlkd.data.spending import BudgetSpent
from rlkd.data.teachers import Teacher, open_teacher
from rlkd.data.teachers._sampled import LanguageModelTeacher, share_of
from rlkd.errors import DataError
from rlkd.io import append_row, read_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import EventSink
from rlkd.pipeline.shards import Shard, known_rows, own_file
from schemas.artifact import StageResult
from schemas.base import Schema
from schemas.config.traces import TeacherConfig, TracesConfig
from schemas.problem import Problem, Split
from schemas.trace import TeacherTrace

NO_PATH = "the teacher has no path"
NO_ANSWER = "the path states no final answer"
WRONG_ANSWER = "the stated answer is not the reference"
UNDECIDED = "nobody can say whether the stated answer is the reference"


class FinishedProblem(Schema):
    """One line of the unfinished stage's file: a problem whose traces by one teacher are all verified.

    Attributes:
        problem_id: The problem.
        traces: Its traces by this teacher.
        teacher: The teacher's place in the configuration.
    """

    problem_id: str
    traces: tuple[TeacherTrace, ...]
    teacher: int = 0


@dataclass
class _Class:
    """One teacher and the problems that it teaches.

    Attributes:
        index: Its place in the configuration.
        settings: Its configuration.
        teacher: The teacher.
        problems: Its problems.
        finished: Its traces by problem id, as far as they are there.
        several: Whether there are other teachers.
    """

    index: int
    settings: TeacherConfig
    teacher: Teacher
    problems: list[Problem]
    finished: dict[str, FinishedProblem]
    several: bool

    def trace_id(self, problem: Problem, number: int) -> str:
        return f"{problem.id}/{f't{self.index}/' if self.several else ''}{number}"

    def finish(self, problem: Problem, traces: Sequence[TeacherTrace]) -> FinishedProblem:
        """Takes up a problem's traces, under ids that no other teacher's have."""
        named = tuple(
            trace.model_copy(update={"id": self.trace_id(problem, int(trace.id.rpartition("/")[2]))})
            for trace in traces
        )
        row = FinishedProblem(problem_id=problem.id, traces=named, teacher=self.index)
        self.finished[problem.id] = row
        return row


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
    work = ctx.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    partial = work / "traces.jsonl"
    rows = known_rows(partial, FinishedProblem, ctx.shard)
    classes = _classes(config, problems, rows, ctx.shard)
    total = sum(len(taught.problems) for taught in classes)
    if rows:
        ctx.events.message(f"continuing: the traces of {len(rows)} of {total} problems are there")
    if ctx.shard is None:
        _name_untaught(problems, classes, ctx.events)
    costs: list[dict[str, Any]] = []
    before = 0
    partial = own_file(partial, ctx.shard)
    for taught in classes:
        report = _Progress(ctx.events, before, total)
        if isinstance(taught.teacher, LanguageModelTeacher):
            costs += _sample(ctx, taught, taught.teacher, partial, report)
        else:
            _write_paths(taught, config, seed, partial, report)
            if len(classes) > 1:
                costs += _table(taught, seed)
        before += len(taught.problems)
    return _finish(ctx, chosen, classes, costs) if ctx.shard is None else StageResult()


def _classes(
    config: TracesConfig, problems: list[Problem], rows: Sequence[FinishedProblem], shard: Shard | None
) -> list[_Class]:
    """Opens each teacher with the problems of its domains; of a shard, with its share of problems, pace and budget.

    Raises:
        DataError: A teacher is for a domain that no problem has, or cannot teach its problems.
    """
    known = {problem.domain for problem in problems}
    classes = []
    for i, settings in enumerate(config.teachers):
        if absent := [domain for domain in settings.domains if domain not in known]:
            raise DataError(
                f"traces.teacher: the teacher {settings.type} is for the domain {absent[0]}, which no problem has; "
                f"the problems' domains are {', '.join(sorted(known))}"
            )
        mine = [problem for problem in problems if not settings.domains or problem.domain in settings.domains]
        if shard is not None:
            mine, settings = shard.of(mine), share_of(settings, shard.count)
        finished = {row.problem_id: row for row in rows if row.teacher == i}
        teacher = open_teacher(settings, mine)
        if isinstance(teacher, LanguageModelTeacher) and shard is not None:
            teacher.part = shard.name
        classes.append(_Class(i, settings, teacher, mine, finished, len(config.teachers) > 1))
    return classes


def _name_untaught(problems: Sequence[Problem], classes: Sequence[_Class], events: EventSink) -> None:
    """Says which problems no teacher gets."""
    taught = {problem.id for group in classes for problem in group.problems}
    left = Counter(problem.domain for problem in problems if problem.id not in taught)
    for domain, count in left.items():
        events.message(f"{count} problems of the domain {domain} have no teacher (traces.teacher.domains)")


class _Progress:
    """Tells how many problems are done, about a hundred times in all."""

    def __init__(self, events: EventSink, before: int, total: int) -> None:
        self.events = events
        self.before = before
        self.total = total
        self.every = max(1, total // 100)

    def tell(self, done: int, last: bool) -> None:
        if done % self.every == 0 or last:
            self.events.progress(self.before + done, self.total, "traces")


def _write_paths(taught: _Class, config: TracesConfig, seed: int, partial: Path, report: _Progress) -> None:
    """Has a teacher that is no language model write the paths that are not there."""
    for i, problem in enumerate(taught.problems):
        if problem.id not in taught.finished:
            append_row(partial, taught.finish(problem, _teach(problem, taught.teacher, config, seed)))
        report.tell(i + 1, i + 1 == len(taught.problems))


def _table(taught: _Class, seed: int) -> list[dict[str, Any]]:
    there = [problem for problem in taught.problems if problem.id in taught.finished]
    return yields(there, lambda problem: taught.finished[problem.id].traces, taught.teacher, seed)


def _sample(
    ctx: StageContext,
    taught: _Class,
    teacher: LanguageModelTeacher,
    partial: Path,
    report: _Progress,
) -> list[dict[str, Any]]:
    """Asks a language model for the traces that are not there; returns the table of what they cost and brought.

    A problem with a request that failed is finished for this attempt only: the next one asks again.
    """
    config, seed, total = ctx.config.traces, ctx.config.seed, len(taught.problems)
    teacher.waiting = ctx.events.message

    def done(problem: Problem, traces: list[TeacherTrace], answered: bool) -> None:
        row = taught.finish(problem, traces)
        if answered:
            append_row(partial, row)
        report.tell(len(taught.finished), len(taught.finished) == total)

    def verify(problem: Problem, path: str, name: str, trace_id: str) -> TeacherTrace:
        return verify_trace(problem, path, name, trace_id, config.timeout_s)

    try:
        _table(taught, seed)  # what an attempt that was killed has spent counts toward the budget
        missing = [problem for problem in taught.problems if problem.id not in taught.finished]
        try:
            asyncio.run(sample_traces(missing, teacher, config.per_problem, seed, verify, done))
        except BudgetSpent:
            if ctx.shard is None:
                raise
            return []  # other shards may have some left: the whole stage, which has all of it, asks for the rest
        return _table(taught, seed)
    finally:
        price = teacher.config.price
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


def _merged(problem: Problem, classes: Sequence[_Class]) -> list[TeacherTrace]:
    """A problem's traces by all teachers; what one has written before another is rejected as a repetition."""
    found: list[TeacherTrace] = []
    seen: set[str] = set()
    for taught in classes:
        row = taught.finished.get(problem.id)
        for trace in row.traces if row is not None else ():
            again = trace.accepted and trace.path in seen
            found.append(trace.model_copy(update={"accepted": False, "reason": REPEATED}) if again else trace)
        seen.update(trace.path for trace in found)
    return found


def _finish(
    ctx: StageContext,
    chosen: dict[Split, list[Problem]],
    classes: Sequence[_Class],
    costs: Sequence[dict[str, Any]],
) -> StageResult:
    accepted: list[TeacherTrace] = []
    rejected: list[TeacherTrace] = []
    by_split: dict[str, int] = {}
    for split, problems in chosen.items():
        traces = [trace for problem in problems for trace in _merged(problem, classes)]
        good = [trace for trace in traces if trace.accepted]
        by_split[split] = len(good)
        accepted += good
        rejected += [trace for trace in traces if not trace.accepted]
    reasons = dict(Counter(trace.reason for trace in rejected).most_common())
    config = ctx.config.traces
    if config.taught and not by_split["train"]:
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
        "teacher": " + ".join(teacher.type for teacher in config.teachers),
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
