"""Advantages of a group and rank correlations, in plain Python: groups are small, and no array library is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence

_EPSILON = 1e-4
"""Added to the standard deviation, as TRL does."""


def mean(values: Sequence[float]) -> float | None:
    """The mean; ``None`` of nothing."""
    return sum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float:
    """Standard deviation with Bessel's correction, as TRL's; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    centre = sum(values) / len(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))


def advantages(groups: Sequence[Sequence[float | None]], scale: str) -> list[list[float]]:
    """Advantages of one round of sampling as TRL's ``GRPOTrainer`` computes them (Shao et al. 2024).

    Args:
        groups: Rewards by group; ``None`` is missing, left out of the baseline, and gets 0.
        scale: What they are divided by: ``group`` or ``batch`` standard deviation, or ``none``.
    """
    everything = deviation([reward for group in groups for reward in group if reward is not None])
    result = []
    for group in groups:
        known = [reward for reward in group if reward is not None]
        baseline = mean(known) or 0.0
        spread = 1.0 if scale == "none" else _EPSILON + (everything if scale == "batch" else deviation(known))
        # TRL's deviation of a single value is not a number, and its advantage then 0; here both are 0 directly.
        result.append([0.0 if reward is None else (reward - baseline) / spread for reward in group])
    return result


def kendall(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau-b; ``None`` where one side is constant."""
    agree = tied_a = tied_b = pairs = 0
    for i in range(len(a)):
        for j in range(i):
            x, y = _sign(a[i] - a[j]), _sign(b[i] - b[j])
            agree += x * y
            tied_a += x == 0
            tied_b += y == 0
            pairs += 1
    scale = math.sqrt((pairs - tied_a) * (pairs - tied_b))
    return agree / scale if scale else None


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rho, ties at their mean rank; ``None`` where one side is constant."""
    return pearson(_ranks(a), _ranks(b))


def pearson(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's correlation; ``None`` where one side is constant."""
    if len(a) < 2:
        return None
    centre_a, centre_b = sum(a) / len(a), sum(b) / len(b)
    products = sum((x - centre_a) * (y - centre_b) for x, y in zip(a, b, strict=True))
    scale = math.sqrt(sum((x - centre_a) ** 2 for x in a) * sum((y - centre_b) ** 2 for y in b))
    return products / scale if scale > 1e-15 else None


def _sign(difference: float) -> int:
    return (difference > 1e-12) - (difference < -1e-12)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] - values[order[start]] <= 1e-12:
            end += 1
        for k in range(start, end + 1):
            ranks[order[k]] = (start + end) / 2
        start = end + 1
    return ranks
