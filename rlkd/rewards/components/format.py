"""The format reward: is the answer stated in the form that was asked for?"""

from __future__ import annotations

from rlkd.rewards.components import Rollout, component

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_PARTIAL = 0.5


@component("format")
def format_reward(rollout: Rollout) -> float | None:
    """1 for a finished completion in exactly the asked form, less for part of it, 0 for none of it.

    Half of the reward is for parts: an answer that is stated, but not as asked (twice, in the middle,
    cut off), and in ``think_boxed`` the share of the four tags that occur exactly once (the paper's
    code rewards format and tag count apart; here they are one term in [0, 1]).

    Returns:
        A value in [0, 1]; ``None`` where no form was asked for.
    """
    parsed = rollout.parsed
    if rollout.output is None:
        return None
    if parsed.well_formed and rollout.finished:
        return 1.0
    stated = float(parsed.answer is not None)
    if rollout.output != "think_boxed":
        return _PARTIAL * stated
    tags = sum(rollout.text.count(tag) == 1 for tag in _TAGS) / len(_TAGS)
    return _PARTIAL * (tags + stated) / 2
