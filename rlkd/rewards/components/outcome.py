"""The outcome reward: is the stated final answer right?"""

from __future__ import annotations

from rlkd.answers.equal import answers_equal
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import GYM_KEY, gym_score, verify_answer
from rlkd.rewards.components import Rollout, component


@component("outcome")
def outcome_reward(rollout: Rollout, timeout_s: float = 5.0) -> float | None:
    """Scores the final answer that a completion states, by the verifier of the problem's source where it has one.

    Args:
        rollout: The completion.
        timeout_s: Longest time that a comparison may take, in seconds.

    Returns:
        1.0 for a right answer; 0.0 for a wrong one or none; a reasoning-gym verifier's own score
        in [0, 1]; ``None`` (missing) where there is no reference, or the verifier failed or did not finish.
    """
    answer, problem = rollout.parsed.answer, rollout.problem
    if rollout.reference is None:
        return None
    if answer is None:
        return 0.0
    try:
        if problem is None:
            verdict = answers_equal(rollout.reference, answer, timeout_s)
        elif GYM_KEY in problem.metadata:
            return gym_score(problem, answer, timeout_s)
        else:
            verdict = verify_answer(problem, answer, timeout_s)
    except VerifierError:
        return None
    return None if verdict is None else float(verdict)
