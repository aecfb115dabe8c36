"""Teachers: where reasoning paths come from. One interface, one class for each."""

from __future__ import annotations

import random
from typing import Protocol

from rlkd.answers.verify import GYM_KEY
from rlkd.errors import DataError
from schemas.config.traces import ColumnTeacher, NoTeacher, TeacherConfig, WorldTeacher
from schemas.problem import Problem

_TRIES_PER_PATH = 8


class Teacher(Protocol):
    """Writes paths for a problem."""

    name: str

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Collects at most ``count`` different paths, each with the name of what wrote it.

        The same problem, count and seed give the same paths, whatever was asked before, so that an
        interrupted stage continues as if it had not been.

        Raises:
            DataError: This teacher cannot teach this kind of problem.
        """


class WorldSolver:
    """The built-in world's solver; further paths take up what is open in another order.

    Args:
        random_first: Whether the first path does too; otherwise it goes in the order of the statements.
    """

    name = "world"

    def __init__(self, random_first: bool = False) -> None:
        self.random_first = random_first

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """See :class:`Teacher`. There are fewer paths where the graph allows fewer orders."""
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


class DatasetColumns:
    """The paths that came with the dataset."""

    name = "column"

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """See :class:`Teacher`. The first ``count`` of the row's paths, in the order of the columns."""
        return [(path, self.name) for path in list(dict.fromkeys(problem.traces))[:count]]


class Nobody:
    """No teacher: evaluation only."""

    name = "none"

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Returns no path."""
        return []


def open_teacher(config: TeacherConfig, problems: list[Problem]) -> Teacher:
    """Makes the teacher that a configuration names.

    Raises:
        DataError: It cannot teach these problems (reasoning-gym has no teacher traces; the dataset
            has no traces column).
    """
    if isinstance(config, NoTeacher):
        return Nobody()
    gym = next((problem for problem in problems if GYM_KEY in problem.metadata), None)
    if gym is not None:
        raise DataError(
            f"{gym.source} has no teacher traces, it is for evaluation only; set traces.teacher.type to none, "
            "warm_start.enabled to false and rl.enabled to false (or rewards.alpha to 0)"
        )
    if isinstance(config, WorldTeacher):
        return WorldSolver(random_first=config.branches == "random")
    if isinstance(config, ColumnTeacher):
        if not any(problem.traces for problem in problems):
            raise DataError(
                "no problem came with a teacher path; name the columns that hold them in data.columns.traces"
            )
        return DatasetColumns()
    raise TypeError(f"unknown teacher {type(config).__name__}")
