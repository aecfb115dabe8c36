"""Paired differences over problems and seeds together, Holm's correction, and equivalence (TOST)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlkd.evaluation.stats import number_clusters, resampled_means

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values = Mapping[str, float]
"""A value of each problem, by its id."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and problems, and how it would vary.

    Attributes:
        mean: Mean of the seeds' means.
        draws: Bootstrap replicates of it.
    """

    mean: float
    draws: NDArray[np.float64]

    def interval(self, confidence: float) -> tuple[float, float]:
        """Computes the percentile interval of a coverage."""
        import numpy as np

        tail = (1 - confidence) / 2
        low, high = np.quantile(self.draws, (tail, 1 - tail))
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the mean being 0: twice the smaller share of replicates on one side of it, never 0."""
        count = len(self.draws)
        below, above = int((self.draws <= 0).sum()), int((self.draws >= 0).sum())
        return min(1.0, 2 * (min(below, above) + 1) / (count + 1))


def estimate(
    seeds: Sequence[Values],
    *,
    over_seeds: bool,
    resamples: int = 4000,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> Estimate:
    """Estimates the mean of values (or of paired differences) with what other problems and other seeds would change.

    Problems are resampled with replacement: together over all seeds where the seeds share their problems, else within
    each seed. Seeds are too few to be resampled (two have three different resamples), so what they add is drawn from
    Student's t with one degree of freedom less than there are seeds, at the unbiased variance between seeds that is
    left after the problems' share is taken off. On simulated data with 2 and 3 seeds the 95% interval holds the truth
    in 89 to 97% of the cases; resampling the seeds holds it in only 82% where two seeds differ much.

    Problems of one cluster are right or wrong together, and resampled together: a replicate is the sum over the drawn
    clusters' values divided by how many these are.

    Args:
        seeds: For each seed a value per problem.
        over_seeds: Whether the interval speaks for other seeds as well; otherwise for other problems under these seeds.
        resamples: Replicates.
        seed: Seed of the resampling.
        clusters: Cluster of each problem; one that is not named stands alone.

    Raises:
        ValueError: There is no seed, a seed without values, or one seed only where the interval speaks for seeds.
    """
    import numpy as np

    if not seeds or not all(seeds):
        raise ValueError("an estimate needs values of at least one seed")
    if over_seeds and len(seeds) < 2:
        raise ValueError("an interval over seeds needs at least two seeds")
    rng = np.random.default_rng(seed)
    shared = len(seeds) > 1 and all(values.keys() == seeds[0].keys() for values in seeds)
    means = np.array([np.mean(list(values.values())) for values in seeds])
    if shared:
        names = sorted(seeds[0])
        table = np.array([[values[name] for name in names] for values in seeds])
        draws = resampled_means(table.mean(axis=0), resamples, rng, _numbers(names, clusters))
        rest = table - table.mean(axis=0)
        residual = (rest - rest.mean(axis=1, keepdims=True)) ** 2
        degrees = max(1, (len(seeds) - 1) * (len(names) - 1))
        noise = float(residual.sum() / degrees / len(names))
    else:
        arrays = [np.array(list(values.values())) for values in seeds]
        numbers = [_numbers(list(values), clusters) for values in seeds]
        draws = np.mean(
            [resampled_means(array, resamples, rng, own) for array, own in zip(arrays, numbers, strict=True)],
            axis=0,
        )
        noise = float(
            np.mean([array.var(ddof=1) / len(array) if len(array) > 1 else 0.0 for array in arrays])
        )
    if over_seeds:
        between = max(0.0, float(means.var(ddof=1)) - noise)
        draws = draws + np.sqrt(between / len(seeds)) * rng.standard_t(len(seeds) - 1, size=resamples)
    return Estimate(float(means.mean()), draws)


def _numbers(names: Sequence[str], clusters: Mapping[str, str] | None) -> NDArray[np.int64] | None:
    """Numbers the clusters of problems; ``None`` where every problem stands alone."""
    return number_clusters([clusters.get(name, "") for name in names]) if clusters else None


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
