"""The paper's rule with judges that cost: every sample on its own way, asked no more than the rule needs.

Each sample is decomposed and judged as soon as it can be, many at once; the same path against the same teachers is
scored once; questions stop where the student leaves the teacher's branch (paper, section 3.2, which asks them all
one after another).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.completion.base import gather
from rlkd.structure.interfaces import Decomposer, Judge, PairVerdict, PathItem, StepPair
from rlkd.structure.judges.early_stop import prefix_verdicts
from rlkd.structure.matching.align import prefix_credit
from schemas.alignment import StepMatch, StructureScore
from schemas.config.structure import PrefixAlignmentConfig
from schemas.structure import Structure


@dataclass(frozen=True, slots=True)
class PrefixSample:
    """One student path and the teachers' structures.

    Attributes:
        item: The student's path with its problem.
        teachers: Structures of the teacher's paths.
    """

    item: PathItem
    teachers: tuple[Structure, ...]


async def score_prefix(
    samples: Sequence[PrefixSample], decomposer: Decomposer, judge: Judge, alignment: PrefixAlignmentConfig
) -> list[StructureScore | None]:
    """Scores samples by the paper's rule, in order.

    Returns:
        The scores; ``None`` where no teacher has a step, or the decomposer or the judge failed.
    """
    keys = [(sample.item, tuple(map(id, sample.teachers))) for sample in samples]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    wanted = sorted(first.values())
    scores = await gather([_score(samples[i], decomposer, judge, alignment) for i in wanted])
    by_index = dict(zip(wanted, scores, strict=True))
    return [by_index[first[key]] for key in keys]


async def _score(
    sample: PrefixSample, decomposer: Decomposer, judge: Judge, alignment: PrefixAlignmentConfig
) -> StructureScore | None:
    if not any(teacher.steps for teacher in sample.teachers):
        return None
    [student] = await decomposer.decompose([sample.item])
    if student is None:
        return None
    compared = await gather(
        [_against(teacher, student, sample.item, judge, alignment) for teacher in sample.teachers]
    )
    best: StructureScore | None = None
    prefix = 0.0
    for k, verdicts in enumerate(compared):
        if verdicts is None:
            return None
        if not sample.teachers[k].steps:
            continue
        score = _report(k, sample.teachers[k], student, verdicts, alignment)
        prefix = max(prefix, score.prefix)
        if best is None or score.structure > best.structure:
            best = score
    return None if best is None else best.model_copy(update={"prefix": prefix})


async def _against(
    teacher: Structure, student: Structure, item: PathItem, judge: Judge, alignment: PrefixAlignmentConfig
) -> list[PairVerdict] | None:
    """Verdicts up to the step that left the branch; ``None`` where one is missing."""
    pairs = [
        StepPair(t, s, item.problem, item.domain) for t, s in zip(teacher.steps, student.steps, strict=False)
    ]
    verdicts = await prefix_verdicts(judge, pairs, alignment.threshold)
    known = [verdict for verdict in verdicts if verdict is not None]
    return known if len(known) == len(verdicts) else None


def _report(
    path: int,
    teacher: Structure,
    student: Structure,
    verdicts: Sequence[PairVerdict],
    alignment: PrefixAlignmentConfig,
) -> StructureScore:
    credits = [prefix_credit(verdict, alignment.threshold) for verdict in verdicts]
    total = sum(credits)
    steps = []
    for step in student.steps:
        verdict = verdicts[step.index] if step.index < len(verdicts) and credits[step.index] > 0 else None
        steps.append(
            StepMatch(
                index=step.index,
                sub_problem=step.sub_problem,
                answer=step.answer,
                teacher_path=path if verdict else None,
                teacher_step=step.index if verdict else None,
                p_intent=verdict.p_intent if verdict else None,
                p_sub_problem=verdict.p_sub_problem if verdict else None,
                p_answer=verdict.p_answer if verdict else None,
            )
        )
    normalised = total / len(teacher.steps)
    return StructureScore(
        structure=normalised if alignment.normalize else total,
        prefix=normalised,
        teacher_steps=len(teacher.steps),
        student_steps=len(student.steps),
        steps=tuple(steps),
    )
