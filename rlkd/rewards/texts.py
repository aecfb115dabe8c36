"""Structure scores from plain texts: teacher paths, student path, problem; each path read once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.completion.base import gather
from rlkd.structure.backends.cached import CachedDecomposer
from rlkd.structure.interfaces import UNREAD, PathItem
from rlkd.structure.scorer import ScoreItem, StructureScorer, teacher_item
from schemas.alignment import StructureScore
from schemas.structure import Structure


@dataclass(frozen=True, slots=True)
class TextSample:
    """One completion to score.

    Attributes:
        student: The student's path and its problem; see :func:`~rlkd.structure.scorer.path_item`.
        teachers: The teacher's paths; none makes the score missing.
    """

    student: PathItem
    teachers: tuple[str, ...]


@dataclass(slots=True)
class TextScore:
    """What became of a sample.

    Attributes:
        score: The score; ``None`` where no teacher path has a step or a backend failed.
        teachers: The teacher paths' structures; ``None`` for each that could not be read.
    """

    score: StructureScore | None = None
    teachers: tuple[Structure | None, ...] = ()


class TextScorer:
    """Scores texts with a :class:`~rlkd.structure.scorer.StructureScorer`.

    Teacher paths are decomposed once and remembered. With backends that wait for a model, students are read while the
    teachers still are, and each group of completions is judged as soon as its own teacher is known.

    Args:
        scorer: What scores.
    """

    def __init__(self, scorer: StructureScorer) -> None:
        self.scorer = scorer
        self._overlaps = isinstance(scorer.decomposer, CachedDecomposer)
        self._teachers = scorer.decomposer if self._overlaps else CachedDecomposer(scorer.decomposer)

    async def score(self, samples: Sequence[TextSample]) -> list[StructureScore | None]:
        """Scores samples, in order; ``None`` where no teacher path has a step or a backend failed."""
        return [found.score for found in await self.examine(samples)]

    async def examine(self, samples: Sequence[TextSample]) -> list[TextScore]:
        """Scores samples, in order, and says what was read of their teachers."""
        groups: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
        for i, sample in enumerate(samples):
            groups.setdefault((sample.student.problem, sample.teachers, sample.student.domain), []).append(i)
        scores = [TextScore() for _ in samples]
        if not self._overlaps:
            paths = [
                _path(problem, path, domain) for problem, teachers, domain in groups for path in teachers
            ]
            known = dict(zip(paths, await self._teachers.decompose(paths), strict=True))
            for sample, made in zip(samples, scores, strict=True):
                made.teachers = tuple(known[path] for path in _paths(sample))
            items = [_item(sample, made.teachers) for sample, made in zip(samples, scores, strict=True)]
            wanted = [i for i, item in enumerate(items) if _taught(item)]
            for i, score in zip(wanted, await self.scorer.score([items[i] for i in wanted]), strict=True):
                scores[i].score = score
            return scores
        # Teachers are asked for first, so that they are first in the queue of a bounded endpoint.
        teachers = [
            asyncio.ensure_future(self._teachers.decompose(_paths(samples[own[0]])))
            for own in groups.values()
        ]
        students = asyncio.ensure_future(self._read_students(samples))

        async def judge(own: list[int], structures: asyncio.Future[list[Structure | None]]) -> None:
            found = await structures
            for i in own:
                scores[i].teachers = tuple(found)
            items = [_item(samples[i], found) for i in own]
            if _taught(items[0]):
                for i, score in zip(own, await self.scorer.score(items), strict=True):
                    scores[i].score = score

        try:
            await gather([judge(own, future) for own, future in zip(groups.values(), teachers, strict=True)])
            await students
        finally:
            for future in (*teachers, students):
                future.cancel()
        return scores

    async def _read_students(self, samples: Sequence[TextSample]) -> None:
        """Sends every student path on its way; whoever needs one later joins it."""
        items = dict.fromkeys(sample.student for sample in samples if sample.teachers)
        await gather([self.scorer.decomposer.decompose([item]) for item in items])


def _paths(sample: TextSample) -> list[PathItem]:
    return [_path(sample.student.problem, path, sample.student.domain) for path in sample.teachers]


_path = functools.lru_cache(maxsize=4096)(teacher_item)
"""A group's completions are compared with the same paths."""


def _item(sample: TextSample, teachers: Sequence[Structure | None]) -> ScoreItem:
    """A missing teacher has no steps and so no say; the others keep their places and still say what the score is."""
    return ScoreItem(sample.student, tuple(teacher or UNREAD for teacher in teachers))


def _taught(item: ScoreItem) -> bool:
    return any(teacher.steps for teacher in item.teachers)
