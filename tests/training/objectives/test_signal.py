from __future__ import annotations

import pytest

from rlkd.training.objectives.signal import frontier_weights, no_signal_groups, other_problems
from schemas.rollout import RewardRecord


def record(group: int, reward: float | None, outcome: float | None = None) -> RewardRecord:
    return RewardRecord(
        step=0, group=group, problem_id="p", completion="", tokens=1, finish_reason="stop", reward=reward,
        components={"outcome": outcome},
    )  # fmt: skip


def test_groups_whose_rewards_do_not_differ_have_no_signal() -> None:
    rewards = [
        0.5,
        0.5,
        0.1,
        0.2,
        None,
        0.9,
    ]  # of the third group one reward is missing: one alone teaches nothing
    records = [record(i // 2, reward) for i, reward in enumerate(rewards)]
    assert no_signal_groups(records, 2) == [0, 2]


def test_other_problems_are_not_those_of_the_batch_and_come_out_the_same() -> None:
    ids = [f"p{i}" for i in range(6)]
    found = other_problems(ids, ["p0", "p1"], 4, "seed")
    assert sorted(found) == ["p2", "p3", "p4", "p5"]
    assert found == other_problems(ids, ["p0", "p1"], 4, "seed")
    assert len(other_problems(ids, ["p0", "p1"], 9, "seed")) == 9
    assert other_problems(["p0"], ["p0"], 1, "seed") == ["p0"]  # none else is left


def test_groups_weigh_p_times_1_minus_p_over_the_mean() -> None:
    # p = 1/2, 1/4, 1: 1/4, 3/16, 0; mean 7/48. 1/4 / (7/48) = 12/7; 3/16 / (7/48) = 9/7; 0.
    outcomes = [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]
    records = [record(i // 4, 0.5, float(o)) for i, o in enumerate(outcomes)]
    assert frontier_weights(records) == pytest.approx([12 / 7] * 4 + [9 / 7] * 4 + [0.0] * 4)


def test_without_outcomes_the_mean_reward_is_p_and_without_any_spread_all_weigh_one() -> None:
    # p = 0.5 and 0.9: 0.25 and 0.09, mean 0.17.
    records = [record(0, 0.4), record(0, 0.6), record(1, 0.9), record(1, 0.9)]
    assert frontier_weights(records) == pytest.approx([0.25 / 0.17] * 2 + [0.09 / 0.17] * 2)
    assert frontier_weights([record(0, 1.0, 1.0), record(0, 1.0, 1.0)]) == [1.0, 1.0]


def test_the_teachers_trace_is_no_pass_of_the_student() -> None:
    # Group 0: the student is wrong twice, the teacher's trace is right: p = 0. Group 1: right once of two: 1/4, over the mean of 1/8.
    written = record(0, 1.0, 1.0).model_copy(update={"member": "teacher"})
    records = [record(0, 0.0, 0.0), record(0, 0.1, 0.0), written, record(1, 1.0, 1.0), record(1, 0.0, 0.0)]
    assert frontier_weights(records) == pytest.approx([0.0] * 3 + [2.0] * 2)
