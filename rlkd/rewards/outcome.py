"""The outcome reward: is the stated final answer right?"""

from __future__ import annotations

from rlkd.answers.conventions import OutputFormat, read_any, read_output
from rlkd.answers.equal import answers_equal
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import GYM_KEY, gym_score, verify_answer
from schemas.problem import Problem


def outcome_reward(
    completion: str,
    reference: str,
    output: OutputFormat | None = "answer_line",
    problem: Problem | None = None,
    timeout_s: float = 5.0,
) -> float | None:
    """Scores the final answer that a completion states.

    Args:
        completion: The completion, without the prompt.
        reference: The reference answer.
        output: The convention in which the answer is stated (``student.output``); ``None`` takes the first that fits.
        problem: The problem, where it has a verifier of its own (built-in world, reasoning-gym).
        timeout_s: Longest time that a comparison may take, in seconds.

    Returns:
        1.0 for a right answer; 0.0 for a wrong one or none; a reasoning-gym verifier's own score
        in [0, 1]; ``None`` (missing) where the verifier failed or did not finish.
    """
    answer = (read_any(completion) if output is None else read_output(completion, output)).answer
    if answer is None:
        return 0.0
    try:
        if problem is not None and GYM_KEY in problem.metadata:
            return gym_score(problem, answer, timeout_s)
        verdict = (
            verify_answer(problem, answer, timeout_s)
            if problem
            else answers_equal(reference, answer, timeout_s)
        )
    except VerifierError:
        return None
    return None if verdict is None else float(verdict)
