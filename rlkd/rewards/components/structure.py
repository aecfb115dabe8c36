"""The structure reward: does the reasoning follow the teacher's? (paper, sections 3.1 and 3.2)."""

from __future__ import annotations

from rlkd.rewards.components import Rollout, component


@component("structure")
def structure_reward(rollout: Rollout) -> float | None:
    """Takes the structure score, which was made for the whole batch at once; the unbounded sum counts as at most 1."""
    return None if rollout.structure is None else min(1.0, rollout.structure.structure)
