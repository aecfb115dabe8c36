"""Bootstrap intervals over problems or clusters of them, paired differences, and the unbiased pass@k estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.evaluation import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CELLS = 4_000_000
"""Resampled values held in memory at once (32 MB of indices)."""


def bootstrap_interval(
    values: Sequence[float],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    clusters: Sequence[str] = (),
    least: float = 0.0,
) -> Interval:
    """Computes the mean of ``values`` (one per problem) with its percentile bootstrap interval over problems.

    Problems of one cluster are right or wrong together, and resampled together: a replicate is the sum over the drawn clusters'
    values divided by how many these are (Miller 2024, arXiv 2411.00640, section 2.2). One cluster alone says nothing of others: the
    interval is then from the least value that there can be to 1.

    Args:
        values: One value per problem.
        resamples: Bootstrap resamples.
        confidence: Coverage of the interval.
        seed: Seed of the resampling; the same seed gives the same interval.
        clusters: The cluster of each value; an empty name stands alone. None: every problem stands alone.
        least: The least value that there can be.

    Raises:
        ValueError: ``values`` is empty or holds a value that is not finite, or there is not one cluster for each.
    """
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("an interval needs at least one value")
    if not np.isfinite(array).all():
        raise ValueError("an interval needs finite values; leave missing ones out")
    if clusters and len(clusters) != array.size:
        raise ValueError(f"{array.size} values and {len(clusters)} clusters")
    sums, sizes = cluster_sums(array[:, None], number_clusters(clusters))
    means = resampled_means(sums, sizes, resamples, np.random.default_rng(seed))[:, 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    if len(sums) < 2:
        low, high = min(least, array.min()), max(1.0, array.max())
    return Interval(mean=float(array.mean()), low=float(low), high=float(high), n=int(array.size))


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    clusters: Sequence[str] = (),
) -> Interval:
    """Computes the mean of ``b - a`` over the same problems in the same order, with its bootstrap interval.

    Both sides of a problem are resampled together, so what the problems' difficulty adds to the spread of
    each side cancels out.

    Raises:
        ValueError: The lengths differ, or see :func:`bootstrap_interval`.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values must be over the same problems: {len(a)} against {len(b)}")
    return bootstrap_interval(
        [y - x for x, y in zip(a, b, strict=True)],
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        clusters=clusters,
        least=-1.0,
    )


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Computes the unbiased estimate of the chance that at least one of ``k`` samples is right.

    ``1 - C(n - c, k) / C(n, k)`` with n samples, c of them right (Chen et al. 2021, arXiv 2107.03374,
    equation 1), in exact integers.

    Raises:
        ValueError: Not ``1 <= k <= samples`` or not ``0 <= correct <= samples``.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} cannot be estimated from {samples} samples")
    if not 0 <= correct <= samples:
        raise ValueError(f"{correct} right of {samples} samples is not possible")
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k)


def number_clusters(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Numbers clusters by their names; an empty one stands alone. ``None`` where every problem stands alone."""
    import numpy as np

    known: dict[str | int, int] = {}
    numbers = [known.setdefault(name or i, len(known)) for i, name in enumerate(names)]
    return None if len(known) == len(names) else np.array(numbers)


def cluster_sums(
    values: NDArray[np.float64], clusters: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums the values of each cluster and counts them, for :func:`resampled_means`.

    Args:
        values: ``(problems, columns)``; NaN where a column has no value of a problem.
        clusters: Number of each problem's cluster; ``None`` where every problem stands alone.

    Returns:
        Sums and counts, each ``(clusters, columns)``.
    """
    import numpy as np

    known = ~np.isnan(values)
    sums, sizes = np.where(known, values, 0.0), known.astype(np.float64)
    if clusters is None:
        return sums, sizes
    found = np.zeros((2, int(clusters.max()) + 1, values.shape[1]))
    np.add.at(found[0], clusters, sums)
    np.add.at(found[1], clusters, sizes)
    return found[0], found[1]


def resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Computes means of each column over draws with replacement of whole clusters, the same for all columns; in blocks, so that memory stays bounded.

    Args:
        sums: Sum of each cluster's values, ``(clusters, columns)``.
        sizes: How many these are, ``(clusters, columns)``; 0 where a column has none of a cluster.
        resamples: Draws.
        rng: Source of the draws.

    Returns:
        ``(resamples, columns)``. A column of which nothing was drawn, as happens where it has very few of the problems, has
        its own mean there.
    """
    import numpy as np

    own = sums.sum(axis=0) / sizes.sum(axis=0)
    block = max(1, _CELLS // sums.size)
    parts = []
    for start in range(0, resamples, block):
        drawn = rng.integers(0, len(sums), size=(min(block, resamples - start), len(sums)))
        total, count = sums[drawn].sum(axis=1), sizes[drawn].sum(axis=1)
        parts.append(np.where(count > 0, total / np.maximum(count, 1), own))
    return np.concatenate(parts)
