"""The paper's rule (paper, section 3.2): step i against step i, nothing counts after the first other intent."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.graphs.path_graph import PathGraph
from rlkd.structure.interfaces import Judge, PairVerdict
from rlkd.structure.judges.early_stop import prefix_verdicts
from rlkd.structure.matching.alignment import Alignment, Comparison, Sample, Verdicts


def prefix_credit(verdict: PairVerdict, threshold: float = 0.5) -> float:
    """Returns the credit of one step: 1, halved for another sub-problem, halved again for another answer; 0 for another intent."""
    if verdict.p_intent < threshold:
        return 0.0
    credit = 1.0
    if verdict.p_sub_problem < threshold:
        credit /= 2
    if verdict.p_answer < threshold:
        credit /= 2
    return credit


class PrefixAlignment(Alignment):
    """Compares paths by the paper's rule.

    Verdicts ``(1, 1, 1)``, ``(1, 1, 0)``, ``(1, 0, 0)``, ``(0, 1, 1)``, ``(1, 1, 1)`` on five steps earn 1 + 1/2 + 1/4, and with the
    fourth the branch is left: 1.75 of 5.

    Args:
        threshold: Probability from which a verdict is yes.
        normalize: Divide by the teacher's steps (differs from the paper's code, whose sum is unbounded).
    """

    stops_early = True

    def __init__(self, threshold: float = 0.5, normalize: bool = True) -> None:
        self.threshold = threshold
        self.normalize = normalize

    async def ask(self, judge: Judge, samples: Sequence[Sample]) -> list[list[Verdicts] | None]:
        """Asks about same-index pairs, no further than to the first with another intent where the judge can stop."""
        diagonals = [
            [sample.pair(k, i, i, n) for i in range(min(len(teacher.steps), len(sample.student.steps)))]
            for n, sample in enumerate(samples)
            for k, teacher in enumerate(sample.teachers)
        ]
        answers = iter(await prefix_verdicts(judge, diagonals, self.threshold))
        found: list[list[Verdicts] | None] = []
        for sample in samples:
            own = [next(answers) for _ in sample.teachers]
            whole = all(verdict is not None for diagonal in own for verdict in diagonal)
            found.append([_by_index(diagonal) for diagonal in own] if whole else None)
        return found

    def compare(self, teacher: PathGraph, student: PathGraph, verdicts: Verdicts) -> Comparison:
        """Sums the credits of the steps up to the first with another intent."""
        steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.steps)
        total = 0.0
        for i in range(min(len(teacher.steps), len(student.steps))):
            verdict = verdicts.get((i, i))
            credit = prefix_credit(verdict, self.threshold) if verdict is not None else 0.0
            if verdict is None or not credit:
                break
            total += credit
            steps[i] = i, verdict
        if self.normalize:
            total = total / len(teacher.steps) if teacher.steps else 0.0
        return Comparison(total, steps)

    def combine(self, comparisons: Sequence[Comparison]) -> None:
        """Leaves comparisons as they are: the paper's rule knows single paths only."""


def _by_index(diagonal: Sequence[PairVerdict | None]) -> Verdicts:
    return {(i, i): verdict for i, verdict in enumerate(diagonal) if verdict is not None}
