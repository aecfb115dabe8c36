"""Which problems are shown side by side with the teacher's path, and their aligned steps."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from rlkd.evaluation.parts import Examiner
from schemas.evaluation import CheckpointName, EvalSplit, ProblemOutput, SampleCompletion, SampleProblem
from schemas.problem import Problem

Kind = Literal["gained", "lost", "both_right", "both_wrong"]
KINDS: tuple[Kind, ...] = ("gained", "both_wrong", "both_right", "lost")
PER_KIND = 3
"""Problems kept of each kind and split; the report shows as many of them as it is asked to."""


def kind_of(first: ProblemOutput, last: ProblemOutput) -> Kind:
    """Tells what happened to a problem between two checkpoints; without a verdict it does not count as right."""
    if first.correct:
        return "both_right" if last.correct else "lost"
    return "gained" if last.correct else "both_wrong"


def pick_samples(
    problems: Mapping[EvalSplit, Sequence[Problem]],
    outputs: Sequence[ProblemOutput],
    order: Sequence[CheckpointName],
    examiner: Examiner,
    seed: int,
) -> list[SampleProblem]:
    """Draws up to ``PER_KIND`` problems of each kind from each split, and compares their completions.

    The draw is at random by seed within a kind, not by how good a completion looks. "First" is the checkpoint
    that RL distillation started from where the run has one, so that ``gained`` is what RL won.

    Returns:
        Samples with the kinds in turns, test split first.
    """
    by_problem: dict[tuple[EvalSplit, str], dict[CheckpointName, ProblemOutput]] = {}
    for row in outputs:
        by_problem.setdefault((row.split, row.problem_id), {})[row.checkpoint] = row
    samples: list[SampleProblem] = []
    for split, asked in problems.items():
        drawn = list(asked)
        random.Random(seed).shuffle(drawn)
        pools: dict[Kind, list[SampleProblem]] = {kind: [] for kind in KINDS}
        for problem in drawn:
            found = by_problem.get((split, problem.id), {})
            present = [name for name in order if name in found]
            if not present:
                continue
            first = found[present[-2] if len(present) > 1 else present[-1]]
            kind = kind_of(first, found[present[-1]])
            if len(pools[kind]) < PER_KIND:
                pools[kind].append(_sample(problem, split, kind, [found[name] for name in present], examiner))
        for turn in range(PER_KIND):
            samples.extend(pools[kind][turn] for kind in KINDS if turn < len(pools[kind]))
    return samples


def _sample(
    problem: Problem, split: EvalSplit, kind: Kind, rows: Sequence[ProblemOutput], examiner: Examiner
) -> SampleProblem:
    compared = examiner.compare(problem, [row.completion for row in rows])
    return SampleProblem(
        problem_id=problem.id,
        split=split,
        question=problem.question,
        answer=problem.answer,
        kind=kind,
        domain=problem.domain,
        difficulty=problem.difficulty,
        teacher_path=compared.teacher_path,
        teacher_steps=compared.teacher_steps,
        completions=tuple(
            SampleCompletion(
                checkpoint=row.checkpoint,
                text=row.completion,
                correct=row.correct,
                structure=row.structure,
                steps=steps,
            )
            for row, steps in zip(rows, compared.student_steps, strict=True)
        ),
    )
