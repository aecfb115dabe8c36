"""The similarity reward: does each step's text look like the teacher's?"""

from __future__ import annotations

import difflib
from functools import lru_cache

from rlkd.answers.conventions import path_of
from rlkd.rewards.components import Rollout, component

_MOST_STEPS = 64
"""Lines of a path that are compared: a student that repeats itself to the limit would take seconds."""


@component("similarity")
def similarity_reward(rollout: Rollout) -> float | None:
    """Compares the path's lines with the teacher's, each with the one at its place (difflib's ratio), without a graph.

    The sum over the teacher's lines is divided by the longer path's number of lines, so that neither a line left out nor
    one too many pays. Of several teachers the best counts. A baseline for the structure reward: the same data, text only
    (in the manner of Supervised Reinforcement Learning, arXiv 2510.25992, section 3, whose actions are compared singly).

    With teacher lines ``a``, ``b`` and the student's one line ``a``: (1 + 0) / 2 = 0.5.

    Returns:
        A value in [0, 1]; ``None`` where no teacher's path is known.
    """
    student = _lines(rollout.parsed.path)
    scores = [_compare(_lines(path_of(path, None)), student) for path in rollout.teachers]
    return max(scores, default=None)


def _compare(teacher: tuple[str, ...], student: tuple[str, ...]) -> float:
    longest = max(len(teacher), len(student))
    if not teacher or not student:
        return 0.0
    return sum(_ratio(*pair) for pair in zip(teacher, student, strict=False)) / longest


@lru_cache(maxsize=65536)
def _ratio(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def _lines(path: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in path.splitlines() if line.strip())[:_MOST_STEPS]
