"""Bootstrap intervals over problems, paired differences, and the unbiased pass@k estimator."""

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
    values: Sequence[float], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Computes the mean of ``values`` (one per problem) with its percentile bootstrap interval over problems.

    Args:
        values: One value per problem.
        resamples: Bootstrap resamples.
        confidence: Coverage of the interval.
        seed: Seed of the resampling; the same seed gives the same interval.

    Raises:
        ValueError: ``values`` is empty or holds a value that is not finite.
    """
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("an interval needs at least one value")
    if not np.isfinite(array).all():
        raise ValueError("an interval needs finite values; leave missing ones out")
    means = _resampled_means(array, resamples, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(mean=float(array.mean()), low=float(low), high=float(high), n=int(array.size))


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
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
        [y - x for x, y in zip(a, b, strict=True)], resamples=resamples, confidence=confidence, seed=seed
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


def _resampled_means(array: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of ``resamples`` draws with replacement; in blocks, so that memory stays bounded."""
    import numpy as np

    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // array.size)
    parts = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        parts.append(array[rng.integers(0, array.size, size=(rows, array.size))].mean(axis=1))
    return np.concatenate(parts)
