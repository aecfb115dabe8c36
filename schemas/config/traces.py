"""Who teaches, and how many traces are kept."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Schema
from schemas.config.plugin import PythonObject


class WorldTeacher(Schema):
    """The solver of the built-in world."""

    type: Literal["world"] = Field(default="world", description="The built-in world's own solver.")
    branches: Literal["first", "random"] = Field(
        default="first",
        description="Which of the open sub-problems it takes up next: the first one stated, always the same; or any, drawn by "
        "seed, as a language model does: each trace is then one walk of several through the tree of sub-problems.",
    )


class ColumnTeacher(Schema):
    """Paths that came with the dataset (`data.columns.traces`)."""

    type: Literal["column"] = Field(default="column", description="Teacher paths from the dataset's columns.")


class NoTeacher(Schema):
    """No traces: evaluation only, or RL on the outcome alone."""

    type: Literal["none"] = Field(
        default="none", description="No teacher: for evaluation, or outcome-only RL without a warm start."
    )


class PythonTeacher(PythonObject):
    """Your own teacher (the interface is rlkd.data.teachers.Teacher)."""

    kind: ClassVar[str] = "teacher"
    protocol: ClassVar[str] = "rlkd.data.teachers:Teacher"


TeacherConfig = Annotated[
    WorldTeacher | ColumnTeacher | NoTeacher | PythonTeacher, Field(discriminator="type")
]


class TracesConfig(Schema):
    """Teacher traces: how many, and how they are verified."""

    teacher: TeacherConfig = Field(default=WorldTeacher(), description="Who writes the traces.")
    problems: int | None = Field(
        default=None, ge=1, description="Training problems that get traces (drawn by seed); null takes all."
    )
    per_problem: int = Field(default=1, ge=1, description="Traces asked for per problem.")
    timeout_s: float = Field(
        default=5.0, gt=0, description="Longest time that one verification may take, in seconds."
    )
