"""Checks an answer by the verifier of its problem's source."""

from __future__ import annotations

from rlkd.answers.choices import choice_equal
from rlkd.answers.equal import MAX_CHARS, Verdict, judge_answer
from rlkd.answers.several import exact_match
from rlkd.answers.symbolic import WORKER
from schemas.problem import Problem

GYM_KEY = "reasoning_gym"
"""Key of ``Problem.metadata`` that holds a reasoning-gym problem: ``{dataset, parameters, entry}``."""

CHOICES_KEY = "choices"
"""Key of ``Problem.metadata`` that holds the options of a multiple-choice problem, label to text; the reference is a label."""

REFERENCES_KEY = "references"
"""Key of ``Problem.metadata`` that holds every reference answer of a problem that has several (CoQA)."""


def judge_problem(problem: Problem, answer: str, timeout_s: float = 5.0) -> Verdict:
    """Says whether an answer solves a problem, and where that is undecided, why.

    Raises:
        VerifierError: The verifier failed.
    """
    if "world" in problem.metadata:
        from rlkd.worlds import world_of

        return _verdict(world_of(problem).verify(problem, answer))
    if GYM_KEY in problem.metadata:
        score = gym_score(problem, answer, timeout_s)
        return _verdict(None if score is None else score >= 1.0)
    if CHOICES_KEY in problem.metadata:
        return _verdict(choice_equal(problem.answer, answer, problem.metadata[CHOICES_KEY], timeout_s))
    if REFERENCES_KEY in problem.metadata:
        return Verdict(exact_match(answer, problem.metadata[REFERENCES_KEY]) == 1.0)
    return judge_answer(problem.answer, answer, timeout_s)


def _verdict(right: bool | None) -> Verdict:
    return Verdict(right, "" if right is not None else "time")


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
