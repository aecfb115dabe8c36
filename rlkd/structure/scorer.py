"""The structure scorer: decompose the student's path, judge its steps against the teachers', compare, score in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rlkd.answers.conventions import ParsedOutput, read_any
from rlkd.completion.base import gather
from rlkd.structure.decomposers.rules import RulesDecomposer, decompose_text
from rlkd.structure.graph import PathGraph
from rlkd.structure.interfaces import (
    UNREAD,
    Alignment,
    Comparison,
    Decomposer,
    Judge,
    PathItem,
    Sample,
    Verdicts,
    Walk,
    with_answer,
)
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.matching.alignments import PrefixAlignment, StructureAlignment
from schemas.alignment import StepMatch, StructureScore
from schemas.structure import Structure

Value = TypeVar("Value")
_REMEMBERED = 4096
"""Teacher paths whose graphs are kept: a group of completions is compared with the same ones."""


_LEFT_OVER = re.compile(
    r"(?:\A|(?<=[.!?;\n]))\s{0,4}(?:and |but )?(?:so|thus|hence|therefore|then|overall|finally|in conclusion)[,:]?\s{0,4}\Z",
    re.IGNORECASE,
)
"""What is left of "So the answer is no." without its statement. It was a step, which whoever wrote "The answer is no." had left out: a
third less for a path of two steps."""


def path_item(problem: str, read: ParsedOutput, domain: str = "math") -> PathItem:
    """Returns what the structure reward sees of a text: the path without its statement, and beside it what that says.

    Every entrance goes through here (RL, TRL, verl, ``rlkd score``, ``score_paths``; teachers and students): where two of them handed the
    whole text on, one completion was worth 0.083 there and 0.0625 in training.
    """
    return PathItem(problem, _LEFT_OVER.sub("", read.path), domain, read.answer)


def teacher_item(problem: str, path: str, domain: str = "math") -> PathItem:
    """Returns what is read of a text whose convention is not known, as a teacher's; see :func:`path_item`."""
    return path_item(problem, read_any(path), domain)


def in_text(structure: Structure, item: PathItem, text: str) -> Structure:
    """Returns the structure of an item with its steps where they stand in the text that the item was read of."""
    start = text.find(item.path)
    if start <= 0:
        return structure
    steps = (
        replace(step, start=step.start + start, end=step.end + start) if step.end else step
        for step in structure.steps
    )
    return structure.model_copy(update={"steps": tuple(steps)})


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """One student path to score.

    Attributes:
        student: The student's path and its problem; see :func:`path_item`.
        teachers: The structures of the teacher's paths, at least one.
    """

    student: PathItem
    teachers: tuple[Structure, ...]


class StructureScorer:
    """Scores student paths against teacher structures, with any decomposer, judge and alignment.

    A fault of a backend makes the score missing (``None``), never zero.
    """

    def __init__(
        self,
        decomposer: Decomposer | None = None,
        judge: Judge | None = None,
        alignment: Alignment | None = None,
    ) -> None:
        self.decomposer: Decomposer = decomposer or RulesDecomposer()
        self.judge: Judge = judge or RulesJudge()
        self.alignment: Alignment = alignment or StructureAlignment()
        self._paper = PrefixAlignment(self.alignment.threshold)
        self._known: dict[tuple[tuple[int, ...], str], tuple[tuple[Structure, ...], _Teachers]] = {}

    async def score(self, items: Sequence[ScoreItem]) -> list[StructureScore | None]:
        """Scores items, in order; the same path against the same teachers once.

        Returns:
            The scores; ``None`` (missing) where no teacher has a step or a backend failed.
        """
        keys = [(item.student, tuple(map(id, item.teachers))) for item in items]
        first = dict(zip(keys, items, strict=True))
        wanted = [(key, item) for key, item in first.items() if any(t.steps for t in item.teachers)]
        batches = [[pair] for pair in wanted] if self.alignment.stops_early else [wanted]
        if len(batches) == 1:
            scored = [await self._score_batch([item for _, item in batches[0]])]
        else:
            scored = await gather([self._score_batch([item for _, item in batch]) for batch in batches])
        found: dict[object, StructureScore | None] = {}
        for batch, scores in zip(batches, scored, strict=True):
            found |= dict(zip([key for key, _ in batch], scores, strict=True))
        return [found.get(key) for key in keys]

    def score_now(self, item: ScoreItem) -> StructureScore | None:
        """Scores one item at once, without an event loop; only with backends that wait for nothing, as rules do.

        Raises:
            TypeError: A backend waits for something.
        """
        return run_now(self.score([item]))[0]

    async def _score_batch(self, items: Sequence[ScoreItem]) -> list[StructureScore | None]:
        structures = await self.decomposer.decompose([item.student for item in items]) if items else []
        teachers = [self._teachers(item) for item in items]
        samples = [
            Sample(
                known.paths,
                PathGraph(structure, item.student.problem, item.student.answer),
                item.student.problem,
                item.student.domain,
            )
            for item, known, structure in zip(items, teachers, structures, strict=True)
            if structure is not None
        ]
        asked = iter(zip(samples, await self.alignment.ask(self.judge, samples), strict=True))
        scores: list[StructureScore | None] = []
        for known, structure in zip(teachers, structures, strict=True):
            if structure is None:
                scores.append(None)
                continue
            sample, verdicts = next(asked)
            scores.append(None if verdicts is None else self._compare(known, sample, verdicts))
        return scores

    def _teachers(self, item: ScoreItem) -> _Teachers:
        """Returns the graphs of an item's teachers, remembered."""
        problem = item.student.problem
        key = (tuple(map(id, item.teachers)), problem)
        known = self._known.get(key)
        if known is None or any(a is not b for a, b in zip(known[0], item.teachers, strict=True)):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            paths = [PathGraph(structure, problem) for structure in item.teachers]
            known = item.teachers, _Teachers(paths, self.alignment.walks(paths))
            self._known[key] = known
        return known[1]

    def _compare(self, known: _Teachers, sample: Sample, verdicts: Sequence[Verdicts]) -> StructureScore:
        """Compares with every teacher's path, and with the other walks through their graph; the best counts."""
        student = sample.student
        walks: list[Walk] = []
        found: list[Comparison] = []
        for k, teacher in enumerate(known.paths):
            if teacher.steps:
                walks.append(Walk(teacher, tuple((k, i) for i in range(len(teacher.steps)))))
                found.append(self.alignment.compare(teacher, student, verdicts[k]))
        for walk in known.walks:
            walks.append(walk)
            found.append(
                self.alignment.compare(walk.path, student, _of_walk(walk, verdicts, len(student.steps)))
            )
        if len(found) > 1:
            self.alignment.combine(found)
        # The first of equals; a teacher's own path before walks.
        best = max(range(len(found)), key=lambda i: found[i].value)
        prefix = max(
            self._paper.compare(teacher, student, verdicts[k]).value for k, teacher in enumerate(known.paths)
        )
        return report(found[best], prefix, walks[best], student, sum(map(len, verdicts)))


@dataclass(frozen=True, slots=True)
class _Teachers:
    """The teachers of an item.

    Attributes:
        paths: Their paths.
        walks: Further reference paths that they make together.
    """

    paths: list[PathGraph]
    walks: list[Walk]


def _of_walk(walk: Walk, verdicts: Sequence[Verdicts], steps: int) -> Verdicts:
    """Returns the verdicts on a walk's steps, each from the teacher path that the step is from."""
    return {
        (i, j): verdict
        for i, (k, step) in enumerate(walk.origin)
        for j in range(steps)
        if (verdict := verdicts[k].get((step, j))) is not None
    }


def report(
    found: Comparison, prefix: float, reference: Walk, student: PathGraph, judged: int = 0
) -> StructureScore:
    """Writes a comparison out, step by step."""
    rows: list[StepMatch] = []
    for i, (step, match) in enumerate(zip(student.steps, found.steps, strict=True)):
        credit = None if found.credits is None else found.credits[i]
        if match is None:
            rows.append(
                StepMatch(index=step.index, sub_problem=step.sub_problem, answer=step.answer, credit=credit)
            )
            continue
        path, index = reference.origin[match[0]]
        verdict = match[1]
        rows.append(
            StepMatch(
                index=step.index,
                sub_problem=step.sub_problem,
                answer=step.answer,
                teacher_path=path,
                teacher_step=index,
                p_intent=verdict.p_intent,
                p_sub_problem=verdict.p_sub_problem,
                p_answer=verdict.p_answer,
                credit=credit,
            )
        )
    return StructureScore(
        structure=found.value,
        prefix=prefix,
        teacher_steps=len(reference.origin),
        student_steps=len(student.steps),
        steps=tuple(rows),
        own_answer=None if student.graph.nodes else student.states_own_answer(),
        spans=tuple((step.start, step.end) for step in student.steps),
        judged=judged,
    )


def run_now(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Runs a coroutine that waits for nothing to its end, without an event loop.

    Raises:
        TypeError: It waits for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    coroutine.close()
    raise TypeError("scoring at once needs backends that wait for nothing, as rules do; use score")


def score_paths(
    problem: str,
    teachers: list[str],
    student: str,
    scorer: StructureScorer | None = None,
    domain: str = "math",
) -> StructureScore | None:
    """Scores one student path against teacher paths, by rules (the embedded default), as every other entrance does.

    Args:
        problem: The problem's text; may be empty.
        teachers: Teacher paths, at least one, with or without the statement of their answer.
        student: The student's, likewise.
        scorer: A scorer with rules backends; by default a new one.
        domain: Reasoning domain.

    Returns:
        The score, or ``None`` (missing) where no teacher path has a step.
    """
    scorer = scorer or StructureScorer()
    items = [teacher_item(problem, teacher, domain) for teacher in teachers]
    read = tuple(with_answer(decompose_text(item.path, problem), item.answer) or UNREAD for item in items)
    return scorer.score_now(ScoreItem(teacher_item(problem, student, domain), read))
