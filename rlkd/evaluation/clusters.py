"""Means over problems with standard errors that know which problems belong together.

Questions about one passage, or made from one template, are right or wrong together: counted as independent they make an
interval that is too narrow (Miller 2024, arXiv 2411.00640, section 2.2).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist

from schemas.benchmarks import Figure


def clustered_figure(values: Sequence[float], clusters: Sequence[str], confidence: float = 0.95) -> Figure:
    """Computes the mean of values in [0, 1] with its clustered standard error and a Wilson interval.

    ``SE^2 = G / (G - 1) * sum over clusters of (sum of deviations in the cluster)^2 / n^2`` with G clusters: with clusters of
    one it is the usual ``s^2 / n``. The interval is Wilson's for as many independent problems as give that standard error,
    so that it is not empty at 0 or 1, where it takes the number of clusters.

    Args:
        values: One value per problem.
        clusters: The cluster of each; an empty name stands alone.
        confidence: Coverage of the interval.

    Raises:
        ValueError: There is no value, or not one cluster for each.

    Example:
        >>> clustered_figure([1, 1, 0, 0], ["a", "a", "b", "b"]).se
        0.5
    """
    n = len(values)
    if n == 0 or len(clusters) != n:
        raise ValueError(f"{n} values and {len(clusters)} clusters")
    mean = math.fsum(values) / n
    sums: defaultdict[str | int, float] = defaultdict(float)
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        sums[cluster or i] += value - mean
    count = len(sums)
    if count == 1:
        return Figure(mean=mean, se=None, low=0.0, high=1.0, n=n, clusters=1)
    se = math.sqrt(count / (count - 1) * math.fsum(value * value for value in sums.values())) / n
    effective = mean * (1 - mean) / se**2 if se > 1e-12 and 0 < mean < 1 else float(count)
    low, high = wilson(mean, effective, confidence)
    return Figure(mean=mean, se=se, low=low, high=high, n=n, clusters=count)


def wilson(mean: float, n: float, confidence: float) -> tuple[float, float]:
    """Computes Wilson's score interval of a share over ``n`` independent trials (Wilson 1927, JASA 22, equation 9)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
