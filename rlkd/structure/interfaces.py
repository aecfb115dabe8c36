"""The interfaces of the structure reward: what a decomposer, a judge and an alignment are.

Every decomposer works with every judge and every alignment: a judge's verdicts on pairs of steps are all that an alignment sees
of it, so that scores of different judges are on one scale. A fault (a model that did not answer, a text that could not be
parsed by the tool's own doing) is ``None``, missing, and never a number; only a student path that was read and holds no step
earns a real zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from rlkd.structure.graph import PathGraph
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
        answer: The answer that it states, where that was cut off the path; ``None`` where the path holds it, or none is stated.
    """

    problem: str
    path: str
    domain: str = "math"
    answer: str | None = None


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


def with_answer(structure: Structure | None, answer: str | None) -> Structure | None:
    """Returns a structure with the answer that its path states beside the text that was read."""
    if structure is None or structure.stated == (answer or ""):
        return structure
    return structure.model_copy(update={"stated": answer or ""})


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


Verdicts = Mapping[tuple[int, int], PairVerdict]
"""Verdicts by (teacher's step, student's step); a pair that was not asked about is absent and does not match."""
StepRef = tuple[int, int]
"""A teacher path and one of its steps."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One student path and the teacher paths that it is compared with.

    Attributes:
        teachers: The teacher paths.
        student: The student's path.
        problem: The problem's text.
        domain: Reasoning domain.
    """

    teachers: Sequence[PathGraph]
    student: PathGraph
    problem: str
    domain: str


@dataclass(slots=True)
class Comparison:
    """A student path against one reference path.

    Attributes:
        value: The score.
        steps: For each student step the reference's step that it follows with the verdict, or ``None``.
        credits: For each student step the credit in [0, 1] that the score gives it, which one that follows none of the reference's may
            have, too: ``3 + 4 = 7`` and ``16 - 7 = 9`` for ``16 - 3 - 4 = 9``. ``None`` where the alignment gives none.
    """

    value: float
    steps: list[tuple[int, PairVerdict] | None]
    credits: list[float] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Walk:
    """A reference path: a teacher's own, or one through the merged graph of several teachers' paths.

    Attributes:
        path: Its steps.
        origin: For each step, the teacher path and the step there.
    """

    path: PathGraph
    origin: tuple[StepRef, ...]


class Alignment(ABC):
    """How steps are paired and the score is made."""

    threshold: float
    """Probability from which a verdict counts as yes."""
    stops_early = False
    """Whether each sample is decomposed and judged on its own way, so that none waits for the others."""

    @abstractmethod
    async def ask(self, judge: Judge, samples: Sequence[Sample]) -> list[list[Verdicts] | None]:
        """Asks a judge about the pairs that count.

        Returns:
            For each sample the verdicts for each of its teachers; ``None`` where one is missing.
        """

    @abstractmethod
    def compare(self, teacher: PathGraph, student: PathGraph, verdicts: Verdicts) -> Comparison:
        """Compares a student's path with a reference path by the verdicts on their steps."""

    def walks(self, teachers: Sequence[PathGraph]) -> list[Walk]:
        """Returns further reference paths that several teachers' paths make together; none by default."""
        return []

    @abstractmethod
    def combine(self, comparisons: Sequence[Comparison]) -> None:
        """Corrects the comparisons of one student with several references by what they say together."""
