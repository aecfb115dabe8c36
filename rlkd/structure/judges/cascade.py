"""Two judges: a cheap one for every pair, a better one for the pairs that the first is unsure about."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.interfaces import Judge, PairVerdict, StepPair
from rlkd.structure.judges import build_judge
from schemas.config.structure import CacheConfig, CascadeJudgeConfig


class CascadeJudge:
    """Asks the second judge only where the first leaves a verdict between ``low`` and ``high``.

    A pair that the first judge could not judge goes to the second. Where the second is asked and fails, the
    pair is missing: the cheap verdict was not good enough before, and is not now.

    Args:
        first: The cheap judge.
        then: The better one.
        low: Probabilities up to here are a sure no.
        high: Probabilities from here are a sure yes.

    Attributes:
        name: Both judges and the bounds.
        seen, passed_on: Pairs in all, and those that the second judge was asked about.
    """

    def __init__(self, first: Judge, then: Judge, low: float = 0.2, high: float = 0.8) -> None:
        self.first = first
        self.then = then
        self.low = low
        self.high = high
        self.name = f"cascade({first.name},{then.name},{low:g},{high:g})"
        self.seen = 0
        self.passed_on = 0

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; see :class:`~rlkd.structure.interfaces.Judge`."""
        verdicts = await self.first.judge(pairs)
        unsure = [i for i, verdict in enumerate(verdicts) if verdict is None or not self.sure(verdict)]
        self.seen += len(pairs)
        self.passed_on += len(unsure)
        if unsure:
            for i, verdict in zip(unsure, await self.then.judge([pairs[i] for i in unsure]), strict=True):
                verdicts[i] = verdict
        return verdicts

    async def judge_prefix(self, pairs: Sequence[StepPair], threshold: float) -> list[PairVerdict | None]:
        """Judges a sample's pairs until its first step with another intent; see :mod:`rlkd.structure.judges.early_stop`."""
        verdicts: list[PairVerdict | None] = []
        for pair in pairs:
            [verdict] = await self.judge([pair])
            verdicts.append(verdict)
            if verdict is None or verdict.p_intent < threshold:
                break
        return verdicts

    def sure(self, verdict: PairVerdict) -> bool:
        """Whether a verdict needs no second opinion: another intent, or three clear answers."""
        if verdict.p_intent <= self.low and verdict.p_sub_problem <= self.low:
            return True
        return all(
            p <= self.low or p >= self.high
            for p in (verdict.p_intent, verdict.p_sub_problem, verdict.p_answer)
        )


def build(config: CascadeJudgeConfig, cache: CacheConfig) -> CascadeJudge:
    """Builds both judges, each with its own cache."""
    return CascadeJudge(
        build_judge(config.first, cache), build_judge(config.then, cache), config.low, config.high
    )
