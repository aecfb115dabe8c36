"""Rejection sampling: ask a language model until enough of its samples are verified, or enough were asked for."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rlkd.completion.base import fault_kind
from rlkd.data.paid_answers import PaidAnswer
from rlkd.data.spending import Cost
from rlkd.data.teachers import Teacher
from rlkd.data.teachers._sampled import LanguageModelTeacher, cost_of
from rlkd.errors import EndpointError, RLKDError
from schemas.config.traces import Price
from schemas.problem import Problem
from schemas.trace import TeacherTrace

REPEATED = "the path repeats another sample"
CUT_OFF = "the answer was cut off at max_tokens"
REFUSED = "the teacher refused"
NO_REPLY = "the teacher did not answer"

Verify = Callable[[Problem, str, str, str], TeacherTrace]
"""From problem, path, teacher and trace id to the verified trace."""


@dataclass
class Yield:
    """What a teacher's samples of one domain cost and brought.

    Attributes:
        cost: Requests and tokens.
        taught: Of these, what the training problems took: held-out problems have traces to be compared with.
        accepted: Verified samples.
        rejected: The others, by reason.
    """

    cost: Cost = field(default_factory=Cost)
    taught: Cost = field(default_factory=Cost)
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


async def sample_traces(
    problems: Sequence[Problem],
    teacher: LanguageModelTeacher,
    wanted: int,
    seed: int,
    verify: Verify,
    done: Callable[[Problem, list[TeacherTrace], bool], None],
) -> None:
    """Samples and verifies traces of problems, as many at once as the teacher takes.

    Args:
        problems: The problems that have no traces yet.
        teacher: The language model.
        wanted: Verified traces wanted of each problem.
        seed: Seed of the samples.
        verify: Checks a path against the reference answer; runs in a thread of its own, one at a time.
        done: Told of each problem that is finished, its traces, and whether each of its requests was answered.

    Raises:
        UserError: Nothing more can be asked for (budget, key, address); problems that were finished before are kept, and so
            is each answer that was under way.
    """
    waiting = iter(problems)
    stopped: list[BaseException] = []
    attempts = max(teacher.config.attempts or wanted, wanted)

    with ThreadPoolExecutor(1, "verify") as verifier:

        async def check(problem: Problem, path: str, name: str) -> TeacherTrace:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(verifier, verify, problem, path, teacher.name, name)

        async def work() -> None:
            for problem in waiting:
                if stopped:
                    return
                try:
                    traces, answered = await _teach(problem, teacher, wanted, attempts, seed, check)
                except Exception as error:  # the others finish what is under way: it is paid for
                    stopped.append(error)
                    return
                done(problem, traces, answered)

        try:
            await asyncio.gather(*(work() for _ in range(min(teacher.concurrency, len(problems)))))
        finally:
            await teacher.completer.aclose()
    if stopped:
        raise next((error for error in stopped if isinstance(error, RLKDError)), stopped[0])


async def _teach(
    problem: Problem,
    teacher: LanguageModelTeacher,
    wanted: int,
    attempts: int,
    seed: int,
    check: Callable[[Problem, str, str], Any],
) -> tuple[list[TeacherTrace], bool]:
    """One problem's traces, and whether each request was answered."""
    traces: list[TeacherTrace] = []
    seen: set[str] = set()
    answered = True
    asked = good = 0
    while good < wanted and asked < attempts:
        batch = range(asked, min(attempts, asked + wanted - good))
        results = await asyncio.gather(
            *(teacher.sample(problem, index, seed) for index in batch), return_exceptions=True
        )
        for index, result in zip(batch, results, strict=True):
            name = f"{problem.id}/{index}"
            if isinstance(result, PaidAnswer):
                path = teacher.path(result)
                reason = {"length": CUT_OFF, "refused": REFUSED}.get(result.finish, "")
                reason = reason or (REPEATED if path in seen else "")
                seen.add(path)
            elif isinstance(result, EndpointError):
                path, reason, answered = "", f"{NO_REPLY} ({fault_kind(result)})", False
            else:
                raise result
            trace = (
                _rejected(problem, name, teacher.name, path, reason)
                if reason
                else await check(problem, path, name)
            )
            traces.append(trace)
            good += trace.accepted
        asked = batch.stop
    return traces, answered


def _rejected(problem: Problem, name: str, teacher: str, path: str, reason: str) -> TeacherTrace:
    return TeacherTrace(id=name, problem_id=problem.id, teacher=teacher, path=path, reason=reason)


def yields(
    problems: Iterable[Problem],
    traces_of: Callable[[Problem], Sequence[TeacherTrace]],
    teacher: Teacher,
    seed: int,
) -> list[dict[str, Any]]:
    """Makes the table of what a teacher's traces cost and brought, a row for each domain; no model, no cost."""
    sampled = teacher if isinstance(teacher, LanguageModelTeacher) else None
    price = sampled.config.price if sampled is not None else Price()
    table: defaultdict[str, Yield] = defaultdict(Yield)
    for problem in problems:
        row = table[problem.domain]
        for trace in traces_of(problem):
            index = int(trace.id.rpartition("/")[2])
            found = sampled.known(problem, index, seed) if sampled is not None else None
            cost = cost_of(found) if found is not None else Cost()
            row.cost += cost
            row.taught += cost if problem.split == "train" else Cost()
            row.accepted += trace.accepted
            if not trace.accepted:
                row.rejected[trace.reason] += 1
    return [
        {
            "teacher": teacher.name,
            "domain": domain,
            "requests": row.cost.requests,
            "prompt_tokens": row.cost.prompt_tokens,
            "completion_tokens": row.cost.completion_tokens,
            "train_prompt_tokens": row.taught.prompt_tokens,
            "train_completion_tokens": row.taught.completion_tokens,
            "money": row.cost.money(price),
            "currency": price.currency,
            "accepted": row.accepted,
            "rejected": dict(row.rejected.most_common()),
        }
        for domain, row in sorted(table.items())
    ]
