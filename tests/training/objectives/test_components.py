from __future__ import annotations

import math

import pytest

from rlkd.training.objectives.components import component_advantages, normalized
from schemas.config.rewards import RewardsConfig
from schemas.rollout import RewardRecord

CONFIG = RewardsConfig(alpha=0.5, format=0.0)


def record(
    group: int, structure: float | None, outcome: float, *, finished: bool = True, step: int = 0
) -> RewardRecord:
    return RewardRecord(
        step=step, group=group, problem_id="p", completion="", tokens=1, finish_reason="stop" if finished else "length",
        components={"structure": structure, "outcome": outcome, "format": 1.0, "length": None},
        reward=None if structure is None else 0.5 * structure + 0.5 * outcome,
    )  # fmt: skip


def test_normalized_has_no_mean_and_a_deviation_of_one() -> None:
    # mean 2, deviation sqrt((1 + 0 + 1) / 2) = 1: -1, 0, 1 (over 1.0001)
    assert normalized([1.0, 2.0, 3.0]) == pytest.approx([-1, 0, 1], abs=2e-4)
    assert normalized([0.3]) == [0.0]
    assert normalized([0.3, 0.3]) == [0.0, 0.0]


def test_a_component_that_spreads_little_counts_as_its_weight_says() -> None:
    # Outcome 1, 0; structure 0.50, 0.52: in the sum 0.75 and 0.26, so outcome rules whatever alpha says.
    # By components: outcome +0.7071, -0.7071; structure -0.7071, +0.7071 (two values lie deviation / sqrt 2 from their mean), a
    # difference of 0.02 with deviation 0.01414 over 0.01414 + 0.0001. Weighted by 1/2 they nearly cancel.
    records = [record(0, 0.50, 1.0), record(0, 0.52, 0.0), record(1, 0.0, 0.0), record(1, 1.0, 0.0)]
    found = component_advantages(records, CONFIG)
    outcome = 0.5 / (math.sqrt(0.5) + 1e-4)
    structure = 0.01 / (0.02 * math.sqrt(0.5) + 1e-4)
    first = 0.5 * outcome - 0.5 * structure
    second = 0.5 * -(0.5 / (math.sqrt(0.5) + 1e-4))  # structure alone tells the second group's members apart
    sums = [first, -first, second, -second]
    spread = math.sqrt(sum(value**2 for value in sums) / 3)
    assert found == pytest.approx([value / (spread + 1e-4) for value in sums])
    assert found[3] > 100 * abs(found[0])


def test_a_missing_reward_has_no_advantage_and_no_part_in_its_group() -> None:
    with_it = component_advantages([record(0, 1.0, 1.0), record(0, None, 0.0), record(0, 0.0, 0.0)], CONFIG)
    without = component_advantages([record(0, 1.0, 1.0), record(0, 0.0, 0.0)], CONFIG)
    assert with_it[1] == 0.0
    assert [with_it[0], with_it[2]] == pytest.approx(without)


def test_structure_without_an_end_counts_as_the_reward_pays_it() -> None:
    config = RewardsConfig(alpha=1.0, format=0.0, unfinished=0.0)
    records = [record(0, 0.9, 0.0, finished=False), record(0, 0.2, 0.0)]
    assert component_advantages(records, config)[0] < 0 < component_advantages(records, config)[1]


def test_the_weights_are_those_of_the_step() -> None:
    schedule = {"end": 0.0, "over": 10}
    config = RewardsConfig.model_validate({"alpha": 1.0, "alpha_schedule": schedule, "format": 0.0})
    late = [record(0, 1.0, 0.0, step=10), record(0, 0.0, 1.0, step=10)]
    assert component_advantages(late, config)[0] < 0  # only the outcome counts by then
