"""What a comparison could show: stated before anything runs, and beside its result."""

from __future__ import annotations

import math
from statistics import NormalDist

from schemas.config.experiment import CompareConfig


def detectable(problems: int, seeds: int, comparisons: int, compare: CompareConfig) -> float:
    """Computes the smallest difference in accuracy that a comparison finds with the configured power.

    The variance of the mean paired difference is ``disagree / problems`` (the two methods differ on that share of the
    problems, by 1 either way; of problems that several seeds share, with each of them alike: the worst case) plus, where the interval speaks for other seeds, ``seed_sd^2 / seeds``. Each part counts with
    the quantiles of its distribution: the normal one, and Student's t with one degree of freedom less than seeds. The level
    is divided by the number of comparisons, as the first step of Holm's correction does.

    With 400 problems, disagreement 0.2, one comparison at 0.05 and power 0.8, over problems only: (1.960 + 0.842) x
    sqrt(0.2 / 400) = 0.0627.

    Args:
        problems: Test problems of all seeds together, each counted once: 5 x 300 where every seed has its own.
        seeds: Seeds.
        comparisons: Comparisons in the family, over every setting.
        compare: Level, power and what is assumed.
    """
    assumed, level = compare.power, compare.level / max(1, comparisons)
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(assumed.power)
    found = quantiles**2 * assumed.disagree / problems
    if compare.over == "seeds" and seeds > 1:
        from scipy.stats import t

        wide = float(t.ppf(1 - level / 2, seeds - 1) + t.ppf(assumed.power, seeds - 1))
        found += wide**2 * assumed.seed_sd**2 / seeds
    return math.sqrt(found)


def power_sentence(problems: int, seeds: int, comparisons: int, compare: CompareConfig) -> str:
    """Says what the family of comparisons could show; arguments as of :func:`detectable`."""
    assumed = compare.power
    smallest = 100 * detectable(problems, seeds, comparisons, compare)
    over = (
        f"{seeds} seeds that differ by {100 * assumed.seed_sd:g} points"
        if compare.over == "seeds"
        else "these seeds"
    )
    family = "1 comparison" if comparisons == 1 else f"{comparisons} comparisons"
    return (
        f"With {problems:,} problems in all and {over}, where two methods disagree on {assumed.disagree:.0%} of the problems, a difference of "
        f"{smallest:.1f} points in accuracy is found with probability {assumed.power:.0%} ({family}, level {compare.level:g})."
    )


def cohens_h(a: float, b: float) -> float:
    """Computes Cohen's h, the effect size of two shares: 2 asin sqrt(a) - 2 asin sqrt(b); 0.2 is small, 0.8 large."""
    return 2 * math.asin(math.sqrt(a)) - 2 * math.asin(math.sqrt(b))
