"""Models that answer as told, and steps to ask them about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rlkd.completion.base import CompletionRequest, CompletionResult, Usage
from rlkd.structure.interfaces import PairVerdict, StepPair
from schemas.structure import ReasoningStep


class ScriptedCompleter:
    """A completer whose answers a function gives; keeps every request."""

    name = "scripted"

    def __init__(self, answer: Callable[[CompletionRequest], CompletionResult | str]) -> None:
        self.answer = answer
        self.usage = Usage()
        self.requests: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        self.requests.append(request)
        answer = self.answer(request)
        return CompletionResult(answer, "stop") if isinstance(answer, str) else answer

    async def aclose(self) -> None:
        pass


class TableJudge:
    """A judge with a verdict for every (teacher, student) pair of sub-problems; counts what it is asked."""

    name = "table"

    def __init__(self, table: dict[tuple[str, str], PairVerdict | None]) -> None:
        self.table = table
        self.asked: list[tuple[str, str]] = []

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        keys = [(pair.teacher_step.sub_problem, pair.student_step.sub_problem) for pair in pairs]
        self.asked += keys
        return [self.table[key] for key in keys]


def make_step(sub_problem: str, answer: str = "", meta: str = "", index: int = 0) -> ReasoningStep:
    return ReasoningStep(index=index, sub_problem=sub_problem, answer=answer, meta=meta)


def make_pair(
    teacher: str, student: str, answers: tuple[str, str] = ("1", "1"), metas: tuple[str, str] = ("", "")
) -> StepPair:
    return StepPair(make_step(teacher, answers[0], metas[0]), make_step(student, answers[1], metas[1]))


@pytest.fixture
def scripted() -> type[ScriptedCompleter]:
    return ScriptedCompleter


@pytest.fixture
def table_judge() -> type[TableJudge]:
    return TableJudge


@pytest.fixture
def pair() -> Callable[..., StepPair]:
    return make_pair


@pytest.fixture
def step() -> Callable[..., ReasoningStep]:
    return make_step
