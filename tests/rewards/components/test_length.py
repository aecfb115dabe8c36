from __future__ import annotations

import pytest

from rlkd.answers.conventions import read_any
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.length import length_reward


def reward_of(tokens: int | None, limit: int | None, free: float) -> float | None:
    return length_reward(Rollout("", None, "x", read_any("x"), tokens=tokens, max_tokens=limit), free)


def test_it_falls_from_the_free_share_to_the_limit() -> None:
    # Budget 100, 60 free: at 80 tokens (100 - 80) / (100 - 60) = 0.5.
    assert [reward_of(n, 100, 0.6) for n in (0, 60, 80, 100, 120)] == pytest.approx([1, 1, 0.5, 0, 0])
    assert reward_of(100, 100, 1.0) == 1.0
    assert reward_of(101, 100, 1.0) == 0.0


def test_without_a_length_or_a_limit_it_is_missing() -> None:
    assert reward_of(None, 100, 0.6) is None
    assert reward_of(10, None, 0.6) is None
