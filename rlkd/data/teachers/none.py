"""The teacher ``none``: no traces, for evaluation or RL on the outcome alone."""

from __future__ import annotations

from schemas.config import traces as settings
from schemas.problem import Problem


class NoTeacher:
    """Writes nothing."""

    name = "none"

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Writes no path."""
        return []


def build(config: settings.NoTeacher, problems: list[Problem]) -> NoTeacher:
    """Builds the teacher of ``type: none``."""
    return NoTeacher()
