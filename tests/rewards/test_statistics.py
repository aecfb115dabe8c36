from __future__ import annotations

import math

import pytest

from rlkd.rewards.statistics import group_records, missing_share, no_signal, step_statistics
from schemas.rollout import RewardRecord


def record(group: int, reward: float | None, **changes: object) -> RewardRecord:
    parts = {
        name: changes.pop(name) for name in ("structure", "outcome", "format", "length") if name in changes
    }
    base = {
        "step": 3,
        "group": group,
        "problem_id": "p",
        "completion": "",
        "tokens": 10,
        "finish_reason": "stop",
        "reward": reward,
        "components": parts,
    }
    return RewardRecord.model_validate({**base, **changes})


def test_figures_of_a_step() -> None:
    rows = [
        record(0, 1.0, structure=0.5, outcome=1.0, tokens=10),
        record(0, 0.0, structure=0.0, outcome=0.0, tokens=20, finish_reason="length"),
        record(1, None, structure=None, outcome=1.0, tokens=30, missing=("structure",), own_answer=True),
        record(1, 0.5, structure=1.0, outcome=0.0, tokens=40, undecided="time", own_answer=False),
    ]
    figures = step_statistics(rows)
    assert figures["reward"] == pytest.approx(0.5)  # (1 + 0 + 0.5) / 3
    assert figures["reward_std"] == pytest.approx(math.sqrt(0.5 / 3))  # squares 0.25 + 0.25 + 0
    assert figures["structure"] == pytest.approx(0.5)
    assert figures["outcome"] == 0.5
    assert figures["structure_right"] == 0.5  # only the first: the third has none
    assert figures["structure_wrong"] == 0.5  # (0 + 1) / 2
    assert figures["tokens"] == 25
    assert figures["tokens_sampled"] == 100
    assert figures["truncated"] == 0.25
    assert figures["missing"] == 0.25
    assert figures["guessed"] == 0.25  # the last; of the first two nobody knows
    assert figures["undecided"] == 0.25  # the last of four
    assert figures["groups"] == 2
    assert figures["groups_without_difference"] == 0.5  # group 1 has one reward only
    assert "format" not in figures  # never measured: left out, not NaN
    assert step_statistics([]) == {}


def test_groups_keep_their_order_and_a_difference_is_needed_to_learn() -> None:
    rows = [record(1, 0.2), record(0, 0.3), record(1, 0.2)]
    assert [[r.reward for r in group] for group in group_records(rows)] == [[0.2, 0.2], [0.3]]
    assert no_signal(group_records(rows)[0])
    assert not no_signal([record(0, 0.2), record(0, 0.3), record(0, None)])
    assert missing_share([]) == 0.0


def test_groups_that_were_replaced_are_none_without_signal() -> None:
    learned = [record(0, 0.0, advantage=-1.0), record(0, 1.0, advantage=1.0)]
    replaced = [record(1, 0.0), record(1, 0.0)]
    figures = step_statistics([*learned, *replaced])
    assert (figures["groups"], figures["groups_without_difference"]) == (2.0, 0.0)
    assert figures["tokens_sampled"] == 40.0
