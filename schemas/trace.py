"""A teacher's reasoning path for a problem, verified or rejected."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Schema


class TeacherTrace(Schema):
    """One teacher path with the outcome of its verification.

    Attributes:
        id: Unique within a traces stage (``<problem id>/<n>``).
        problem_id: The problem that it solves.
        teacher: Name of the teacher (``world``, ``column:<name>``, a model name).
        path: The reasoning text with the stated final answer at its end.
        answer: The final answer read from the path; ``None`` where none could be read.
        accepted: Whether the answer was verified against the reference.
        reason: Why it was rejected; empty when accepted.
    """

    id: str = Field(min_length=1)
    problem_id: str = Field(min_length=1)
    teacher: str
    path: str
    answer: str | None = None
    accepted: bool = False
    reason: str = ""
