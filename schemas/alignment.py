"""Which student step follows which teacher step, and the score that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AliasChoices, ConfigDict, Field

from schemas.base import Schema

SURE = 0.5
"""Probability from which a judge counts as having said yes to one of its questions."""


@dataclass(slots=True)
class StepMatch:
    """One student step with the teacher step that it is aligned with, if any; a file may call its index ``step``.

    Attributes:
        index: The student step, from 0.
        sub_problem: Its sub-problem.
        answer: Its answer.
        teacher_path: Index of the teacher path; ``None`` where unmatched.
        teacher_step: Index of the teacher's step in that path; ``None`` where unmatched.
        p_intent: Probability that both steps are devoted to the same problem.
        p_sub_problem: Probability that both solve the same sub-problem.
        p_answer: Probability that the answers are equal.
        credit: What the score gives the step, in [0, 1]: one that is split off from a matched one has that one's. ``None`` where the
            alignment gives single steps none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    index: Annotated[int, Field(ge=0, validation_alias=AliasChoices("index", "step"))]
    sub_problem: str = ""
    answer: str = ""
    teacher_path: int | None = None
    teacher_step: int | None = None
    p_intent: float | None = None
    p_sub_problem: float | None = None
    p_answer: float | None = None
    credit: float | None = None


class StructureScore(Schema):
    """How well a student path follows its teachers'.

    Attributes:
        structure: The score by the configured alignment, in [0, 1] (the unbounded ``prefix`` may exceed 1).
        prefix: The paper's rule on the same steps, normalised.
        teacher_steps: Steps of the teacher path that matched best.
        student_steps: Steps of the student path.
        steps: The student's steps in order.
        own_answer: Whether the stated answer is what the student's path finds; ``None`` where that is not known. It is not written to
            files.
        spans: Where each of them stands in the student's path, (start, end) in code points; it is not written to files.
        judged: Pairs of steps that the judge compared; it is not written to files.
    """

    structure: float = Field(ge=0)
    prefix: float = Field(ge=0, le=1)
    teacher_steps: int = Field(ge=0)
    student_steps: int = Field(ge=0)
    steps: tuple[StepMatch, ...] = ()
    own_answer: bool | None = Field(default=None, exclude=True, repr=False)
    spans: tuple[tuple[int, int], ...] = Field(default=(), exclude=True, repr=False)
    judged: int = Field(default=0, ge=0, exclude=True, repr=False)
