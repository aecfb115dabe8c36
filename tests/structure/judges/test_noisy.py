from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.judges import build_judge
from rlkd.structure.judges.noisy import NoisyJudge
from schemas.config.structure import CacheConfig, NoisyJudgeConfig
from schemas.structure import ReasoningStep

YES = PairVerdict(1.0, 1.0, 1.0)


class AlwaysYes:
    name = "yes"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        return [YES for _ in pairs]


def pairs(samples: int, each: int = 1) -> list[StepPair]:
    return [
        StepPair(ReasoningStep(index=k, sub_problem=f"t{k}"), ReasoningStep(index=k, sub_problem=f"s{i}-{k}"), sample=i)
        for i in range(samples)
        for k in range(each)
    ]  # fmt: skip


def judged(judge: NoisyJudge, asked: Sequence[StepPair]) -> list[PairVerdict | None]:
    return asyncio.run(judge.judge(asked))


def test_about_the_asked_share_is_flipped_each_answer_by_itself() -> None:
    found = [v for v in judged(NoisyJudge(AlwaysYes(), 0.1, 0.0), pairs(2000)) if v is not None]
    answers = [p for verdict in found for p in verdict]
    # 6,000 answers: the standard deviation of the share is sqrt(0.1 x 0.9 / 6000) = 0.0039; four of them.
    assert abs(answers.count(0.0) / 6000 - 0.1) < 0.016
    assert {0 < sum(v) < 3 for v in found} == {True, False}


def test_the_same_pair_comes_out_the_same_and_another_seed_flips_others() -> None:
    asked = pairs(200)
    first = judged(NoisyJudge(AlwaysYes(), 0.3, 0.2), asked)
    assert judged(NoisyJudge(AlwaysYes(), 0.3, 0.2), asked) == first
    assert judged(NoisyJudge(AlwaysYes(), 0.3, 0.2, seed=1), asked) != first


def test_a_fault_takes_a_whole_sample() -> None:
    found = judged(NoisyJudge(AlwaysYes(), 0.0, 0.5), pairs(100, each=3))
    samples = [found[i : i + 3] for i in range(0, 300, 3)]
    assert {tuple(v is None for v in sample) for sample in samples} == {(True,) * 3, (False,) * 3}


def test_without_noise_it_is_the_judge() -> None:
    judge = build_judge(NoisyJudgeConfig(), CacheConfig())
    assert judge.name.startswith("noisy(rules")
    same = ReasoningStep(index=0, sub_problem="3 + 4", answer="7")
    assert asyncio.run(judge.judge([StepPair(same, same)])) == asyncio.run(
        build_judge(NoisyJudgeConfig().judge, CacheConfig()).judge([StepPair(same, same)])
    )
