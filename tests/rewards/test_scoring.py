from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rlkd.rewards.scoring import RewardModel
from schemas.alignment import StepMatch, StructureScore
from schemas.config.rewards import RewardsConfig, WeightSchedule
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure


class Scorer:
    def __init__(self, score: float | None) -> None:
        self.value = score
        self.items: list[Any] = []

    async def score(self, items: Any) -> list[StructureScore | None]:
        self.items += items
        if self.value is None:
            return [None] * len(items)
        steps = (
            StepMatch(index=0, sub_problem="2 + 3", answer="5", teacher_path=0, teacher_step=0, p_answer=1.0),
        )
        return [
            StructureScore(structure=self.value, prefix=0, teacher_steps=1, student_steps=4, steps=steps)
            for _ in items
        ]


PROBLEM = Problem(id="p", question="What is 2 + 3?", answer="5")
RIGHT = Completion(problem_id="p", text="2 + 3 = 5\nThe answer is 5.", tokens=80, finish_reason="stop")
WRONG = Completion(problem_id="p", text="2 + 3 = 6", tokens=160, finish_reason="length")


def score(
    scorer: Scorer, rewards: RewardsConfig, *completions: Completion, step: int = 0
) -> list[RewardRecord]:
    student = StudentConfig(max_completion_tokens=160)
    model = RewardModel(rewards, student, scorer, {"p": PROBLEM}, {"p": [Structure()]})
    return asyncio.run(model.score(completions, step, first_group=4, group_size=1))


def test_every_component_and_what_it_was_made_of_is_noted() -> None:
    scorer = Scorer(0.5)
    right, wrong = score(
        scorer, RewardsConfig(alpha=0.5, format=0.1, length=0.1, length_free=0.75), RIGHT, WRONG, step=7
    )
    # (1 - 0.1 - 0.1) * (0.5 * 0.5 + 0.5 * 1) + 0.1 * 1 + 0.1 * 1 = 0.8
    assert right.reward == pytest.approx(0.8)
    assert right.components == {"structure": 0.5, "outcome": 1.0, "format": 1.0, "length": 1.0}
    # 0.8 * 0.25 and nothing else: no answer stated, at the limit
    assert wrong.reward == pytest.approx(0.2)
    assert wrong.components == {"structure": 0.5, "outcome": 0.0, "format": 0.0, "length": 0.0}
    assert (right.step, right.group, wrong.group, right.steps_found) == (7, 4, 5, 4)
    assert right.verdicts[0].teacher_step == 0
    assert right.advantage is None


def test_the_stated_answer_is_not_shown_to_the_structure_scorer() -> None:
    scorer = Scorer(0.5)
    score(scorer, RewardsConfig(), RIGHT)
    assert scorer.items[0].student_path == "2 + 3 = 5"
    assert scorer.items[0].problem == PROBLEM.question


def test_a_fault_of_the_scorer_is_missing_not_zero() -> None:
    (row,) = score(Scorer(None), RewardsConfig(alpha=0.5), RIGHT)
    assert row.reward is None
    assert row.missing == ("structure",)
    assert row.structure is None


def test_structure_without_weight_is_observed_only_where_asked() -> None:
    seen, unseen = Scorer(0.5), Scorer(0.5)
    assert score(seen, RewardsConfig(alpha=0.0), RIGHT)[0].structure == 0.5
    assert score(unseen, RewardsConfig(alpha=0.0, observe_structure=False), RIGHT)[0].structure is None
    assert not unseen.items
    later = RewardsConfig(alpha=0.0, observe_structure=False, alpha_schedule=WeightSchedule(end=1, over=2))
    assert score(unseen, later, RIGHT, step=1)[0].structure == 0.5


@pytest.mark.parametrize(("counts_as", "outcome"), [("wrong", 0.0), ("missing", None)])
def test_why_an_answer_is_undecided_is_kept_with_its_completion(
    counts_as: str, outcome: float | None
) -> None:
    problem = Problem(id="p", question="How many?", answer="5 shelves")
    rewards = RewardsConfig.model_validate({"undecided": counts_as})
    model = RewardModel(rewards, StudentConfig(), Scorer(0.5), {"p": problem}, {"p": [Structure()]})
    texts = ("The answer is 5 crates.", "The answer is 6 shelves.", "I give up.")
    rows = [Completion(problem_id="p", text=text, tokens=9, finish_reason="stop") for text in texts]
    records = asyncio.run(model.score(rows, 0, 0, 3))
    assert [record.undecided for record in records] == ["units that are not known", "", ""]
    assert [record.outcome for record in records] == [outcome, 0.0, 0.0]
