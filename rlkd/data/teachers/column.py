"""The teacher ``column``: the paths that came with the dataset."""

from __future__ import annotations

from rlkd.errors import DataError
from schemas.config import traces as settings
from schemas.problem import Problem


class ColumnTeacher:
    """Passes on the paths of a problem's own row."""

    name = "column"

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Takes the first ``count`` of the row's paths, in the order of the columns; see :class:`~rlkd.data.teachers.Teacher`."""
        return [(path, self.name) for path in list(dict.fromkeys(problem.traces))[:count]]


def build(config: settings.ColumnTeacher, problems: list[Problem]) -> ColumnTeacher:
    """Builds the teacher of ``type: column``.

    Raises:
        DataError: No problem came with a path.
    """
    if any(problem.traces for problem in problems):
        return ColumnTeacher()
    raise DataError(
        "no problem came with a teacher path; name the columns that hold them in data.columns.traces (of a file or a dataset of the hub), "
        "or choose another traces.teacher"
    )
