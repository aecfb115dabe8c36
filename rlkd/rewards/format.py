"""The format reward: is the answer stated in the form that was asked for?"""

from __future__ import annotations

from rlkd.answers.conventions import OutputFormat, read_output

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_PARTIAL = 0.5


def format_reward(completion: str, output: OutputFormat, finished: bool) -> float:
    """1 for a finished completion in exactly the asked form, less for part of it, 0 for none of it.

    Half of the reward is for parts: an answer that is stated, but not as asked (twice, in the middle,
    cut off), and in ``think_boxed`` the share of the four tags that occur exactly once (the paper's
    code rewards format and tag count apart; here they are one term in [0, 1]).

    Args:
        completion: The completion, without the prompt.
        output: The convention (``student.output``).
        finished: Whether the student ended it (not the length limit).

    Returns:
        A value in [0, 1].
    """
    parsed = read_output(completion, output)
    if parsed.well_formed and finished:
        return 1.0
    stated = float(parsed.answer is not None)
    if output != "think_boxed":
        return _PARTIAL * stated
    tags = sum(completion.count(tag) == 1 for tag in _TAGS) / len(_TAGS)
    return _PARTIAL * (tags + stated) / 2
