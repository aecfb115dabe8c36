"""The teacher ``world``: the built-in world's own solver."""

from __future__ import annotations

import random

from rlkd.errors import DataError
from schemas.config import traces as settings
from schemas.problem import Problem

_TRIES_PER_PATH = 8


class WorldTeacher:
    """The built-in world's solver; further paths take up what is open in another order.

    Args:
        random_first: Whether the first path does too; otherwise it goes in the order of the statements.
    """

    name = "world"

    def __init__(self, random_first: bool = False) -> None:
        self.random_first = random_first

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """See :class:`~rlkd.data.teachers.Teacher`. There are fewer paths where the graph allows fewer orders."""
        from rlkd.worlds import world_of

        if "world" not in problem.metadata:
            raise DataError(
                f"problem {problem.id} does not come from the built-in world; set traces.teacher.type to column"
            )
        world = world_of(problem)
        rng = random.Random(f"{seed}:{problem.id}")
        found = {world.solve(problem, rng if self.random_first else None): None}
        for _ in range(_TRIES_PER_PATH * (count - 1)):
            if len(found) == count:
                break
            found.setdefault(world.solve(problem, rng))
        return [(path, self.name) for path in list(found)[:count]]


def build(config: settings.WorldTeacher, problems: list[Problem]) -> WorldTeacher:
    """Builds the teacher of ``type: world``."""
    return WorldTeacher(random_first=config.branches == "random")
