"""The repeats reward: does the completion say the same line again and again?"""

from __future__ import annotations

from rlkd.rewards.components import Rollout, component
from rlkd.rewards.loops import repeated_share


@component("repeats")
def repeats_reward(rollout: Rollout) -> float:
    """1 without a repeated line, less by the share of lines that stand in the completion before.

    Of the lines a, b, a, a two are repeats: 1 - 2/4 = 0.5. A loop up to the length limit earns almost nothing, whatever
    its steps are worth.
    """
    return 1.0 - repeated_share(rollout.text)
