"""The interfaces of the structure reward: what a decomposer and a judge are.

Every decomposer works with every judge and every alignment. A fault (a model that did not answer, a text
that could not be parsed by the tool's own doing) is ``None``, missing, and never a number; only a student path
that was read and holds no step earns a real zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from schemas.structure import ReasoningStep, Structure

UNREAD = Structure()
"""Stands for a teacher's path that could not be read: without it the paths after it would move to other places."""


@dataclass(frozen=True, slots=True)
class PathItem:
    """One path to decompose.

    Attributes:
        problem: The problem's text; may be empty.
        path: The reasoning text.
        domain: Reasoning domain, which may choose a prompt or a world.
    """

    problem: str
    path: str
    domain: str = "math"


class StepPair(NamedTuple):
    """Two steps to compare.

    Attributes:
        teacher_step: The teacher's step.
        student_step: The student's step.
        problem: The problem's text; may be empty.
        domain: Reasoning domain.
        sample: Which of a call's student paths it belongs to; a judge never puts two of them into one request.
    """

    teacher_step: ReasoningStep
    student_step: ReasoningStep
    problem: str = ""
    domain: str = "math"
    sample: int = 0


class PairVerdict(NamedTuple):
    """A judge's answers about two steps, each a probability in [0, 1] (paper, section 3.2).

    Attributes:
        p_intent: Both are devoted to the same problem (meta-reasoning).
        p_sub_problem: Both solve the same sub-problem.
        p_answer: Their answers are equal.
    """

    p_intent: float
    p_sub_problem: float
    p_answer: float


@runtime_checkable
class Decomposer(Protocol):
    """Turns paths into structures."""

    name: str
    """Name and version; structures of another version are never mixed with these."""

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order; ``None`` where the decomposer failed (missing, not zero)."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Compares pairs of steps."""

    name: str
    """Name and version; verdicts of another version are never mixed with these."""

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; ``None`` where the judge failed (missing, not zero)."""
        ...
