"""Matches two dependency graphs one to one, in any order that the dependencies allow."""

from __future__ import annotations

from rlkd.structure.graphs.items import Items

ORDER_BREAK = 0.5
"""What is left of a step's credit when it comes before a step that it depends on."""


class Matching:
    """Which student item follows which teacher item.

    Attributes:
        pairs: Student index by teacher index (only matched ones).
        covered: For each teacher item the credit in [0, 1], matched or (after :mod:`.merged_steps`) merged into later ones.
        explained: For each student item the credit in [0, 1], matched or split off from later ones.
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


def match_items(candidates: list[tuple[float, int, int]], teacher: Items, student: Items) -> Matching:
    """Matches items one to one, the strongest candidate first.

    An item that comes before one that it depends on (as the teacher's graph says) keeps half its credit. Equal candidates
    are taken by rank, not by distance: a step added in front must not change which steps are paired.

    Args:
        candidates: ``(credit in (0, 1], teacher index, student index)``; pairs that are not listed do not match.
        teacher: The teacher's items.
        student: The student's items.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    covered = [0.0] * len(teacher.depends)
    explained = [0.0] * len(student.depends)
    for credit, t, s in sorted(candidates, key=lambda c: (-c[0], c[1], c[2])):
        if t not in pairs and s not in taken:
            pairs[t] = s
            taken.add(s)
            covered[t] = explained[s] = credit
    breaks = 0
    for t, s in pairs.items():
        if any(pairs.get(d, -1) > s for d in teacher.before[t]):
            covered[t] *= ORDER_BREAK
            explained[s] *= ORDER_BREAK
            breaks += 1
    return Matching(pairs, covered, explained, breaks)
