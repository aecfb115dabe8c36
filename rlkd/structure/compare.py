"""The structure score of a student path against its teachers': departures from the teacher's graph, each with its cost.

``score = 2 ** -cost``: every departure takes a fixed share of what is left, as a step under the paper's rule is halved
for each thing that is wrong with it. An identical path has no departure and scores 1. The weights were chosen on
questions 1 to 330 of the development solutions (see docs/structure-reward.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.structure.align import Matching, align_structure
from rlkd.structure.base import PairVerdict
from rlkd.structure.branches import branch_agreement
from rlkd.structure.graph import Graph
from rlkd.structure.prepare import Prepared
from rlkd.structure.rules_judge import judge_units, wording

COST_MISSING = 0.20
"""For each teacher step that the student neither took nor merged into another."""
COST_EXTRA = 0.10
"""For each student step that is neither a teacher's nor split off from one."""
COST_PLACE = 1.2
"""For ending at another place of the tree: other continuations are open."""
WRONG_ANSWER = 0.25
"""Credit of a step that solves the teacher's sub-problem with another result."""


@dataclass(slots=True)
class Comparison:
    """A student path against one teacher path.

    Attributes:
        score: In [0, 1].
        matching: At the level of units (calculations), or of steps in words.
        steps: For each student step the teacher's step that it follows with the verdict, or ``None``.
    """

    score: float
    matching: Matching
    steps: list[tuple[int, PairVerdict] | None]


def compare_numeric(teacher: Prepared, student: Prepared, problem: Sequence[float]) -> Comparison:
    """Compares two paths through the calculations that they make."""
    ours, theirs = teacher.graph, student.graph
    verdicts: dict[tuple[int, int], tuple[float, float, float]] = {}
    candidates: list[tuple[float, int, int]] = []
    for t, a in enumerate(ours.units):
        for s, b in enumerate(theirs.units):
            verdict = judge_units(a, b)
            if verdict is not None:
                verdicts[t, s] = verdict
                credit = (1.0 + verdict[1]) / 2 if verdict[2] else WRONG_ANSWER
                candidates.append((credit, t, s))
    matching = align_structure(candidates, [u.deps for u in ours.units], [u.deps for u in theirs.units])
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        index = theirs.units[s].step
        verdict3 = verdicts[t, s]
        known = steps[index]
        if known is None or verdict3[2] >= known[1].p_answer:
            steps[index] = (ours.units[t].step, PairVerdict(*verdict3))
    return Comparison(_numeric_score(matching, ours, theirs, problem), matching, steps)


def _numeric_score(matching: Matching, ours: Graph, theirs: Graph, problem: Sequence[float]) -> float:
    if not matching.covered or not matching.explained:
        return 0.0
    if not matching.pairs and not _share_numbers(ours, theirs):
        return 0.0
    missing = len(matching.covered) - sum(matching.covered)
    extra = len(matching.explained) - sum(matching.explained)
    place = 1.0 - branch_agreement(ours, theirs, problem)[1]
    return float(2.0 ** -(COST_MISSING * missing + COST_EXTRA * extra + COST_PLACE * place))


def _share_numbers(a: Graph, b: Graph) -> bool:
    numbers = {round(x, 4) for u in a.units for x in u.operands}
    return any(round(x, 4) in numbers for u in b.units for x in u.operands)


def compare_verdicts(
    teacher: Prepared, student: Prepared, matrix: Sequence[Sequence[PairVerdict]], threshold: float
) -> Comparison:
    """Compares two paths through a judge's verdicts on their steps (any decomposer, any judge).

    Args:
        teacher: The teacher's path.
        student: The student's path.
        matrix: ``matrix[i][j]`` is the verdict on teacher step i and student step j.
        threshold: Probability of the same intent from which two steps may be aligned.
    """
    candidates: list[tuple[float, int, int]] = []
    for i, row in enumerate(matrix):
        for j, verdict in enumerate(row):
            if verdict.p_intent >= threshold:
                credit = verdict.p_intent * (1 + verdict.p_sub_problem) / 2
                credit *= WRONG_ANSWER + (1 - WRONG_ANSWER) * verdict.p_answer
                if credit > 0:
                    candidates.append((credit, i, j))
    matching = align_structure(candidates, teacher.depends, student.depends)
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        steps[s] = (t, matrix[t][s])
    return Comparison(matching.f1(), matching, steps)


__all__ = ["Comparison", "compare_numeric", "compare_verdicts", "wording"]
