"""What a student's path keeps of a teacher's: every departure has its cost, and nothing but the teacher's steps earns.

``score = 2 ** -cost``: every departure takes a fixed share of what is left, as a step under the paper's rule is halved for
each thing that is wrong with it. An identical path has no departure and keeps 1; a path keeps at most the share of the
teacher's steps that it took. The weights were chosen on questions 1 to 330 of the development solutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COST_MISSING = 0.30
"""For each teacher step that the student neither took nor merged into another: one of two missing keeps 0.5, one of six 0.81."""
COST_OPEN = 1.20
"""For a path that ends elsewhere, by the share of the teacher's open results (found and used by nothing) that it does not leave
open: ``9 + 5 = 14`` behind a path that ends at 9 keeps 0.39. It is what tells right from wrong on whole paths: without it the
AUROC of the development half falls from 0.988 to 0.983, with two teachers on other models' solutions from 0.972 to 0.963."""
COST_EXTRA = 0.15
"""For each student step that is neither a teacher's nor split off from one: ``1234 * 2 = 2468`` beside a whole path keeps 0.90."""
FORGIVEN = 0.4
"""Share of the missing steps' cost that is forgiven where the rest is the same calculation in another order: ``3 * 60``, ``180 * 3``
for ``3 * 3``, ``9 * 60``."""
COST_ORDER = 0.15
"""For each result that is used before it is found, beyond those of the teacher's path; not above ``COST_EXTRA``, so that no step added in front pays."""
COST_WORDING = 0.02
"""For other words in the steps that both take; below ``COST_EXTRA``, so that no added step pays through its words."""


@dataclass(frozen=True, slots=True)
class Departures:
    """What departures leave of 1 that a step of another teacher's path cannot make good.

    Attributes:
        left: What they leave.
    """

    left: float

    def kept(self, extra: float) -> float:
        """Returns the score: what is left once the extra steps have their cost too."""
        return float(self.left * 2.0 ** -(COST_EXTRA * extra))


def kept_of(
    covered: Sequence[float], ends: float, early: int, reordered: float, shared_words: float
) -> Departures:
    """Counts the departures of a student's path, but for its extra steps.

    Args:
        covered: Credit of each teacher item that counts, at least one.
        ends: Share of the teacher's open results that the student leaves open too.
        early: Results that are used before they are found, beyond those of the teacher's path.
        reordered: How sure it is that what the paths do not share is the same calculation in another order.
        shared_words: Overlap in content words of the steps that both take.
    """
    missing = COST_MISSING * (len(covered) - sum(covered))
    taken = sum(covered) / len(covered) if covered else 0.0
    left = min(taken, 2.0 ** -(missing + COST_OPEN * (1 - ends))) if taken else 0.0
    if reordered:
        left = max(left, 2.0 ** -(missing * (1 - FORGIVEN * reordered)))
    return Departures(left * 2.0 ** -(COST_ORDER * early + COST_WORDING * (1 - shared_words)))
