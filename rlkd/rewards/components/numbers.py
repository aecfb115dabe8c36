"""The numbers reward: which of the teacher's numbers occur, in no order?"""

from __future__ import annotations

from collections import Counter

from rlkd.answers.conventions import path_of
from rlkd.quantities.stated import problem_quantities
from rlkd.rewards.components import Rollout, component


@component("numbers")
def numbers_reward(rollout: Rollout) -> float | None:
    """Compares the numbers of the path with the teacher's: F1 over both, in no order, repeats counted (the first 64).

    Of several teachers the best counts. A baseline for the structure reward that knows nothing of steps.

    With the teacher's 2, 3, 5 and the student's 2, 3, 3, 6: 2 in common, precision 2/4, recall 2/3, F1 = 4/7.

    Returns:
        A value in [0, 1]; ``None`` where no teacher's path with a number is known.
    """
    student = Counter(problem_quantities(rollout.parsed.path))
    teachers = [Counter(problem_quantities(path_of(path, None))) for path in rollout.teachers]
    scores = [
        2 * (teacher & student).total() / (teacher.total() + student.total())
        for teacher in teachers
        if teacher
    ]
    return max(scores, default=None)
