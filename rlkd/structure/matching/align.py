"""Alignments: the paper's ``prefix`` rule, and the order-tolerant matching of two dependency graphs."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.graphs.items import Items
from rlkd.structure.interfaces import PairVerdict


def align_prefix(
    matrix: Sequence[Sequence[PairVerdict]], threshold: float = 0.5, normalize: bool = True
) -> tuple[float, list[float]]:
    """The paper's rule, exactly (paper, section 3.2).

    Step i of the student is compared with step i of the teacher. It earns 1 where the intent is the same, halved where
    the sub-problem is not, halved again where the answer is not; from the first step with another intent on, nothing
    counts (the branch has been left).

    Args:
        matrix: ``matrix[i][j]`` is the verdict on teacher step i and student step j; only the diagonal is read.
        threshold: Probability from which a verdict is yes.
        normalize: Divide by the teacher's steps (differs from the paper's code, whose sum is unbounded).

    Returns:
        The score and the credit of each compared step.
    """
    credits: list[float] = []
    for i, row in enumerate(matrix):
        if i >= len(row) or row[i].p_intent < threshold:
            break
        credits.append(prefix_credit(row[i], threshold))
    total = sum(credits)
    if normalize:
        total = total / len(matrix) if matrix else 0.0
    return total, credits


def prefix_credit(verdict: PairVerdict, threshold: float = 0.5) -> float:
    """Credit of one step under the paper's rule: 0, 1/4, 1/2 or 1."""
    if verdict.p_intent < threshold:
        return 0.0
    credit = 1.0
    if verdict.p_sub_problem < threshold:
        credit /= 2
    if verdict.p_answer < threshold:
        credit /= 2
    return credit


ORDER_BREAK = 0.5
"""What is left of a step's credit when it comes before a step that it depends on."""


class Matching:
    """Which student item follows which teacher item.

    Attributes:
        pairs: Student index by teacher index (only matched ones).
        covered: For each teacher item the credit in [0, 1], matched or (once settled) merged into later ones.
        explained: For each student item the credit in [0, 1], matched or (once settled) split off from later ones.
        order_breaks: Matched student items that come before what they depend on.
    """

    __slots__ = ("covered", "explained", "order_breaks", "pairs")

    def __init__(
        self, pairs: dict[int, int], covered: list[float], explained: list[float], order_breaks: int
    ) -> None:
        self.pairs = pairs
        self.covered = covered
        self.explained = explained
        self.order_breaks = order_breaks

    def f1(self) -> float:
        """Harmonic mean of the teacher's share that is covered and the student's share that is explained."""
        if not self.covered or not self.explained:
            return 0.0
        recall = sum(self.covered) / len(self.covered)
        precision = sum(self.explained) / len(self.explained)
        return 2 * recall * precision / (recall + precision) if recall + precision > 0 else 0.0


def align_structure(
    candidates: list[tuple[float, int, int]],
    teacher: Items,
    student: Items,
    order: Sequence[Sequence[int]] | None = None,
) -> Matching:
    """Matches two dependency graphs, in any order that the dependencies allow.

    Items are matched one to one, the strongest candidate first. An item that comes before one that it depends on (as
    the teacher's graph says) keeps half its credit. Merged and split items are for :mod:`rlkd.structure.matching.merged_steps`.

    Args:
        candidates: ``(credit in (0, 1], teacher index, student index)``; pairs that are not listed do not match.
        teacher: The teacher's items.
        student: The student's items.
        order: For each teacher item the earlier ones that must come before it; by default all that it depends on.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    covered = [0.0] * len(teacher.depends)
    explained = [0.0] * len(student.depends)
    candidates.sort(
        key=lambda c: (-c[0], c[1], c[2])
    )  # by rank, not by distance: an added step must not change pairs
    for credit, t, s in candidates:
        if t not in pairs and s not in taken:
            pairs[t] = s
            taken.add(s)
            covered[t] = explained[s] = credit
    breaks = 0
    for t, s in pairs.items():
        if any(pairs.get(d, -1) > s for d in (order or teacher.depends)[t]):
            covered[t] *= ORDER_BREAK
            explained[s] *= ORDER_BREAK
            breaks += 1
    return Matching(pairs, covered, explained, breaks)
