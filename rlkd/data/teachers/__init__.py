"""Teachers: where reasoning paths come from. One small file each, found by its type.

``traces.teacher.type: NAME`` is built by the function ``build(config, problems)`` of ``rlkd/data/teachers/NAME.py``;
``type: python`` is a user's own object. Nothing lists them: a file is imported only when its type is asked for.
"""

from __future__ import annotations

import importlib
from typing import Protocol, runtime_checkable

from rlkd.answers.verify import GYM_KEY
from rlkd.errors import DataError
from rlkd.plugins import make_plugin
from schemas.config.plugin import PythonObject
from schemas.config.traces import TeacherConfig
from schemas.problem import Problem


@runtime_checkable
class Teacher(Protocol):
    """Writes paths for a problem."""

    name: str

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Writes at most ``count`` different paths, each with the name of what wrote it.

        The same problem, count and seed give the same paths, whatever was asked before, so that an
        interrupted stage continues as if it had not been.

        Raises:
            DataError: This teacher cannot teach this kind of problem.
        """


def open_teacher(config: TeacherConfig, problems: list[Problem]) -> Teacher:
    """Opens the teacher that a configuration names.

    Raises:
        DataError: It cannot teach these problems (no path came with any of them).
        ConfigError: A user's own object cannot be made.
    """
    if isinstance(config, PythonObject):
        own: Teacher = make_plugin(config)
        return own
    gym = next((problem for problem in problems if GYM_KEY in problem.metadata), None)
    if gym is not None and not gym.traces and config.type != "none":
        raise DataError(
            f"{gym.source} has no teacher traces, it is for evaluation only; set traces.teacher.type to none, "
            "warm_start.enabled to false and rl.enabled to false (or rewards.alpha to 0)"
        )
    found: Teacher = importlib.import_module(f"rlkd.data.teachers.{config.type}").build(config, problems)
    return found
