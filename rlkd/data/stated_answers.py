"""Whether the traces of a data set state their answers: what the traces stage will find, known before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.answers.conventions import read_any
from rlkd.answers.equal import judge_answer
from rlkd.answers.verify import GYM_KEY
from schemas.problem import Problem

_EXAMINED = 200
"""Traces that are looked at, spread over the data."""
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class StatedAnswers:
    """What the traces of a data set state.

    Attributes:
        traces: Traces that were looked at.
        silent: Those that state no answer.
        wrong: Those whose answer is not the reference.
        example: The end of one that cannot be used.
        reference: The reference of its problem.
    """

    traces: int
    silent: int
    wrong: int
    example: str
    reference: str

    @property
    def mostly_usable(self) -> bool:
        """Whether at least half of the traces state the right answer."""
        return 2 * (self.silent + self.wrong) <= self.traces

    def text(self) -> str:
        """One clear sentence."""
        good = self.traces - self.silent - self.wrong
        head = f"{good} of {self.traces} traces looked at state the reference"
        if not self.example:
            return head
        lost = f"{self.silent} state no answer, {self.wrong} another one; for example (reference {self.reference!r}): {self.example!r}"
        hint = (
            ""
            if self.mostly_usable
            else "; let the traces end with their answer (`The answer is 7.`, `#### 7`, `\\boxed{7}`) or set data.answer_pattern"
        )
        return f"{head}; {lost}{hint}"


def examine_traces(problems: Sequence[Problem]) -> StatedAnswers:
    """Looks at some traces that came with problems.

    Args:
        problems: The problems; those with a verifier of their own are left out.
    """
    pairs = [
        (problem, trace)
        for problem in problems
        if "world" not in problem.metadata and GYM_KEY not in problem.metadata
        for trace in problem.traces
    ]
    pairs = pairs[:: max(1, len(pairs) // _EXAMINED)][:_EXAMINED]
    silent = wrong = 0
    example = reference = ""
    for problem, trace in pairs:
        answer = read_any(trace).answer
        if answer is not None and judge_answer(problem.answer, answer).right:
            continue
        silent += answer is None
        wrong += answer is not None
        if not example or (answer is None and silent == 1):
            example, reference = trace.strip()[-_SHOWN:], problem.answer
    return StatedAnswers(len(pairs), silent, wrong, example, reference)
