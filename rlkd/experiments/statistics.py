"""Holm's correction of a family's p-values, and equivalence (TOST)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number (Holm 1979): the i-th smallest times (m - i + 1), never falling, at most 1.

    ``[0.01, 0.04, 0.03]`` becomes ``[0.03, 0.06, 0.06]``: 3 x 0.01, then 2 x 0.03, then 1 x 0.04 which may not fall
    below the 0.06 before it.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def is_equivalent(interval: tuple[float, float], margin: float, pairs: int, level: float = 0.05) -> bool:
    """Tells whether two one-sided tests at a level put a difference within the margin.

    They do where the interval of coverage ``1 - 2 x level`` lies inside of it (Schuirmann 1987). A bootstrap of few pairs
    that all agree has an interval of no width, and says nothing: two students that are both wrong on 12 problems are not
    equivalent to within 2 points. Without a single disagreement in n pairs their share may still be ``-ln(level) / n``
    (the rule of three), so that many pairs are needed at least: 150 for 2 points.

    Args:
        interval: Interval of that coverage.
        margin: The margin.
        pairs: Pairs of answers.
        level: Level of each test.
    """
    enough = pairs * margin >= -math.log(level)
    return enough and -margin < interval[0] and interval[1] < margin
