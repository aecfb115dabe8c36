"""The length reward: does the completion stay within its budget?"""

from __future__ import annotations

from rlkd.rewards.components import Rollout, component


@component("length")
def length_reward(rollout: Rollout, free: float = 0.75) -> float | None:
    """1 up to the free share of the budget, then falling in a straight line to 0 at the limit.

    With a limit of 100 tokens and 0.6 of it free, 80 tokens earn (100 - 80) / (100 - 60) = 0.5.

    Args:
        rollout: The completion.
        free: Share of the budget that costs nothing (``rewards.length_free``).

    Returns:
        A value in [0, 1]; ``None`` where length or limit is not known.
    """
    tokens, limit = rollout.tokens, rollout.max_tokens
    if tokens is None or limit is None:
        return None
    budget = limit * free
    if tokens <= budget:
        return 1.0
    return max(0.0, (limit - tokens) / (limit - budget)) if limit > budget else 0.0
