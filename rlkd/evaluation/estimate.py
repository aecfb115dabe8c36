"""Means over problems and seeds together, with what other problems and other seeds would change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rlkd.evaluation.stats import cluster_sums, number_clusters, resampled_means

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
        units: Problems, or clusters of them, that were resampled; ``None`` where that is not known.
        signs: Of differences between right and wrong: for how many units they are above and below 0.
    """

    mean: float
    draws: NDArray[np.float64]
    units: int | None = None
    signs: tuple[int, int] | None = None

    def interval(self, confidence: float) -> tuple[float, float]:
        """Computes the percentile interval of a coverage."""
        import numpy as np

        tail = (1 - confidence) / 2
        low, high = np.quantile(self.draws, (tail, 1 - tail))
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the mean being 0: twice the smaller share of replicates on one side of it, never 0.

        Of right against wrong it is never below the exact sign test's: resamples of four disagreements that all go one way lie
        beyond 0 in hardly any case (p = 0.03 of 300 problems), where a fair coin gives four heads or four tails one time in 8.
        """
        return max(self._resampled, self._sign_test)

    @property
    def p_is_bound(self) -> bool:
        """Whether no replicate lies beyond 0, so that all that is known of the p-value is that it is no larger."""
        return self._beyond == 0 and self._sign_test <= self._resampled

    @property
    def _resampled(self) -> float:
        return min(1.0, 2 * (self._beyond + 1) / (len(self.draws) + 1))

    @cached_property
    def _sign_test(self) -> float:
        if self.signs is None:
            return 0.0
        from scipy.stats import binomtest

        above, below = self.signs
        return float(binomtest(above, above + below).pvalue) if above + below else 1.0

    @property
    def _beyond(self) -> int:
        return min(int((self.draws <= 0).sum()), int((self.draws >= 0).sum()))


def estimate(
    seeds: Sequence[Values],
    *,
    over_seeds: bool,
    resamples: int = 4000,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> Estimate:
    """Estimates the mean of values (or of paired differences) with what other problems and other seeds would change.

    Problems are resampled with replacement from those of all seeds together, and a seed's mean is over what it has of
    them: a problem that several seeds have counts once in every draw, one that a seed has no value of is not in its mean,
    and seeds without a problem in common vary each by itself. Seeds are too few to be resampled (two have three different
    resamples), so what they add is drawn from Student's t with one degree of freedom less than there are seeds, at the
    unbiased variance between seeds that is left after the problems' share is taken off. On simulated data with 2 and 3
    seeds the 95% interval holds the truth in 89 to 97% of the cases; resampling the seeds holds it in only 82% where two
    seeds differ much.

    Problems of one cluster are right or wrong together, and resampled together: a replicate is the sum over the drawn
    clusters' values divided by how many these are. One cluster alone says nothing of others: the interval is then as wide as it can be.

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
    names = sorted(set().union(*seeds))
    table = np.array([[values.get(name, math.nan) for values in seeds] for name in names])
    numbers = number_clusters([clusters.get(name, "") for name in names]) if clusters else None
    sums, sizes = cluster_sums(table, numbers)
    means = sums.sum(axis=0) / sizes.sum(axis=0)
    draws = resampled_means(sums, sizes, resamples, rng).mean(axis=1)
    if over_seeds:
        between = max(0.0, float(means.var(ddof=1)) - _problems_share(sums, sizes, means))
        draws = draws + np.sqrt(between / len(seeds)) * rng.standard_t(len(seeds) - 1, size=resamples)
    if len(sums) < 2:
        widest = max(1.0, float(np.nanmax(np.abs(table))))
        draws = np.where(np.arange(resamples) % 2 == 0, widest, -widest)
    return Estimate(float(means.mean()), draws, len(sums), _signs(table, sums))


def _signs(table: NDArray[np.float64], sums: NDArray[np.float64]) -> tuple[int, int] | None:
    """Counts the units whose values are above and below 0 in sum; ``None`` where they are no differences of right and wrong."""
    import numpy as np

    if not np.isin(table[~np.isnan(table)], (-1.0, 0.0, 1.0)).all():
        return None
    totals = sums.sum(axis=1)
    return int((totals > 0).sum()), int((totals < 0).sum())


def _problems_share(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], means: NDArray[np.float64]
) -> float:
    """Estimates how far the choice of problems alone spreads the seeds' means.

    The variance between S means is expected at ``tr(C) / S`` less the mean of C's other entries, C being the means'
    covariance over draws of problems: what all seeds share cancels out. A cluster adds ``(sum - size x mean) / n`` to a
    seed's mean. Where the seeds have the same n problems that is the mean square of what is left of the values without
    each problem's and each seed's mean, divided by n.
    """
    import numpy as np

    count, seeds = sums.shape
    if count < 2:
        return 0.0
    parts = (sums - sizes * means) / sizes.sum(axis=0)
    covariance = count / (count - 1) * parts.T @ parts
    own = float(np.trace(covariance))
    return own / seeds - (float(covariance.sum()) - own) / (seeds * (seeds - 1))
