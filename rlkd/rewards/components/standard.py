"""The components that every ledger has: structure, outcome, format and length."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Literal

from rlkd.answers.equal import judge_answer
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import GYM_KEY, gym_score, judge_problem
from rlkd.rewards.components import Rollout, component


@component("structure")
def structure_reward(rollout: Rollout) -> float | None:
    """Takes the structure score, which was made for the whole batch at once; the unbounded sum counts as at most 1."""
    return None if rollout.structure is None else min(1.0, rollout.structure.structure)


log = logging.getLogger("rlkd.rewards")
_COUNTS_AS = {"wrong": 0.0, "missing": None, "right": 1.0}
VERIFIER_FAILED = "the verifier failed"
"""Why an answer is undecided where the verifier ended in an error."""

_undecided: Counter[str] = Counter()


@component("outcome")
def outcome_reward(
    rollout: Rollout, timeout_s: float = 5.0, undecided: Literal["wrong", "missing", "right"] = "missing"
) -> float | None:
    """Scores the final answer that a completion states, by the verifier of the problem's source where it has one.

    Args:
        rollout: The completion.
        timeout_s: Longest time that a comparison may take, in seconds.
        undecided: What an answer counts as of which nobody can say whether it is right (``rewards.undecided``).

    Returns:
        1.0 for a right answer; 0.0 for a wrong one or none; a reasoning-gym verifier's own score
        in [0, 1]; ``None`` (missing) where there is no reference, or the verifier failed or did not finish.
        Why an answer is undecided is noted in ``rollout.notes["outcome"]``.
    """
    answer, problem = rollout.parsed.answer, rollout.problem
    if rollout.reference is None:
        return None
    if answer is None:
        return 0.0
    try:
        if problem is None or not problem.metadata:  # else its source may have a verifier of its own
            verdict = judge_answer(rollout.reference, answer, timeout_s)
        elif GYM_KEY in problem.metadata:
            score = gym_score(problem, answer, timeout_s)
            if score is None:
                rollout.notes["outcome"] = "time"
            return score
        else:
            verdict = judge_problem(problem, answer, timeout_s)
    except VerifierError:
        rollout.notes["outcome"] = VERIFIER_FAILED
        return None
    if verdict.right is not None:
        return float(verdict.right)
    rollout.notes["outcome"] = verdict.undecided
    _count(verdict.undecided, rollout.reference, answer, undecided)
    return _COUNTS_AS[undecided]


def _count(kind: str, reference: str, answer: str, counts_as: str) -> None:
    """Counts an undecided answer by kind, and says so at the first, second, fourth, eighth ... of a kind."""
    _undecided[kind] += 1
    count = _undecided[kind]
    if count & (count - 1) == 0:
        log.warning(
            "undecided answers: %d x %s, counted as %s; the last one is %r beside the reference %r",
            count,
            kind,
            counts_as,
            answer[:80],
            reference[:80],
        )


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
