"""Judges that stop early: what the paper's rule will not look at is not asked.

In the paper's rule a step counts only while every step up to it has the same intent. So the pairs are
judged in order, and nothing is asked about the steps after the first that left the teacher's branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rlkd.completion.base import gather
from rlkd.structure.interfaces import Judge, PairVerdict, StepPair


@runtime_checkable
class PrefixJudge(Protocol):
    """A judge for which each question costs, so that it can stop early."""

    name: str

    async def judge_prefix(self, pairs: Sequence[StepPair], threshold: float) -> list[PairVerdict | None]:
        """Judges the pairs (0, 0), (1, 1), ... of one sample until the first without the same intent.

        Returns:
            One verdict per pair that was looked at: all of them, or up to and with the first whose intent
            falls below the threshold or is missing.
        """
        ...


async def prefix_verdicts(
    judge: Judge, diagonals: Sequence[Sequence[StepPair]], threshold: float
) -> list[list[PairVerdict | None]]:
    """Returns verdicts on same-index pairs, as far as the paper's rule needs them.

    Args:
        judge: Any judge; one that is a :class:`PrefixJudge` is asked no more than it must be, any other once for all.
        diagonals: For each student and teacher, their steps 0, their steps 1, ...
        threshold: Probability of the same intent from which a step stays on the branch.

    Returns:
        For each diagonal, see :meth:`PrefixJudge.judge_prefix`.
    """
    if isinstance(judge, PrefixJudge):
        return await gather([judge.judge_prefix(pairs, threshold) for pairs in diagonals])
    together = [pair for pairs in diagonals for pair in pairs]
    answers = iter(await judge.judge(together) if together else [])
    return [_cut([next(answers) for _ in pairs], threshold) for pairs in diagonals]


def _cut(verdicts: list[PairVerdict | None], threshold: float) -> list[PairVerdict | None]:
    for i, verdict in enumerate(verdicts):
        if verdict is None or verdict.p_intent < threshold:
            return verdicts[: i + 1]
    return verdicts
