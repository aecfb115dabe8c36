"""What an alignment is: it says which pairs of steps a judge is asked about, and compares two paths by the verdicts.

Every judge goes the same way: its verdicts on pairs of steps are all that an alignment sees of it, so that scores of
different judges are on one scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlkd.structure.graphs.path_graph import PathGraph
from rlkd.structure.interfaces import Judge, PairVerdict, StepPair

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

    def pair(self, teacher: int, t: int, s: int, number: int = 0) -> StepPair:
        """Returns the question about step ``t`` of a teacher and step ``s`` of the student, sample ``number`` of its call."""
        steps = self.teachers[teacher].steps[t], self.student.steps[s]
        return StepPair(*steps, self.problem, self.domain, number)


class Comparison:
    """A student path against one reference path.

    Attributes:
        value: The score.
        steps: For each student step the reference's step that it follows with the verdict, or ``None``.
    """

    def __init__(self, value: float, steps: list[tuple[int, PairVerdict] | None]) -> None:
        self.value = value
        self.steps = steps


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
