"""The concise reward: does the path end, and in about as many lines as the teacher's?"""

from __future__ import annotations

from rlkd.answers.conventions import path_of
from rlkd.rewards.components import Rollout, component


def _lines(path: str) -> int:
    return sum(1 for line in path.splitlines() if line.strip())


@component("concise")
def concise_reward(rollout: Rollout) -> float | None:
    """Divides the teacher's number of lines by the student's, at most 1; 0 for a path that the length limit cut off.

    The structure score drops repeats and reads nothing off lines such as ``So Ann: Bob is missing.``, so that a path may
    wander until its tokens are spent and lose next to nothing; sampled paths still end by chance, greedy ones do not. Of
    several teachers the longest path counts: a way that any of them takes costs nothing.

    With 6 lines of the teacher's, 9 lines of the student's are worth 6 / 9 = 0.67, and 5 lines 1.

    Returns:
        A value in [0, 1]; ``None`` where no teacher's path is known.
    """
    teacher = max((_lines(path_of(path, None)) for path in rollout.teachers), default=0)
    if not teacher:
        return None
    student = _lines(rollout.parsed.path)
    if not rollout.finished or not student:
        return 0.0
    return min(1.0, teacher / student)
