"""The outcome reward: is the stated final answer right?"""

from __future__ import annotations

from rlkd.answers import MAX_CHARS, answers_equal
from rlkd.formats import OutputFormat, read_any, read_output
from rlkd.symbolic import WORKER, VerifierError
from schemas.problem import Problem

GYM_KEY = "reasoning_gym"
"""Key of ``Problem.metadata`` that holds a reasoning-gym problem: ``{dataset, parameters, entry}``."""


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


def verify_answer(problem: Problem, answer: str, timeout_s: float = 5.0) -> bool | None:
    """Whether an answer solves a problem, by the verifier of the problem's source.

    Returns:
        The verdict; ``None`` where it could not be reached in time.

    Raises:
        VerifierError: The verifier failed.
    """
    if "world" in problem.metadata:
        from rlkd.data.worlds import world_of

        return world_of(problem).verify(problem, answer)
    if GYM_KEY in problem.metadata:
        score = gym_score(problem, answer, timeout_s)
        return None if score is None else score >= 1.0
    return answers_equal(problem.answer, answer, timeout_s)


def gym_score(problem: Problem, answer: str, timeout_s: float = 5.0) -> float | None:
    """The score in [0, 1] that a reasoning-gym dataset's own verifier gives an answer.

    Returns:
        The score; ``None`` where it could not be reached in time.

    Raises:
        VerifierError: The verifier failed on this answer.
    """
    if len(answer) > 10 * MAX_CHARS:
        return 0.0
    score = WORKER.ask("gym", timeout_s, answer=answer, **problem.metadata[GYM_KEY])
    return None if score is None else min(1.0, max(0.0, float(score)))
