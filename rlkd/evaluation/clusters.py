"""Means over problems with standard errors that know which problems belong together.

Questions about one passage, or made from one template, are right or wrong together: counted as independent they make an
interval that is too narrow (Miller 2024, arXiv 2411.00640, section 2.2).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import NormalDist

from rlkd.data.benchmarks import CLUSTER_KEY
from schemas.benchmarks import Figure
from schemas.problem import Problem


def clusters_of(problems: Iterable[Problem], key: str | None = CLUSTER_KEY) -> dict[str, str]:
    """Finds which problems belong together: those whose ``metadata`` holds the same under a key.

    Args:
        problems: The problems.
        key: The key; ``None`` where every problem stands alone, as one does whose value is missing, null or empty.

    Returns:
        Cluster of each problem that has one, by its id.
    """
    values = {problem.id: problem.metadata.get(key) for problem in problems} if key is not None else {}
    return {name: str(value) for name, value in values.items() if value is not None and value != ""}


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
    mean, se, groups = _spread(values, clusters)
    n, count = len(values), len(groups)
    if se is None:
        return Figure(mean=mean, se=None, low=0.0, high=1.0, n=n, clusters=1)
    effective = mean * (1 - mean) / se**2 if se > 1e-12 and 0 < mean < 1 else float(count)
    low, high = wilson(mean, effective, confidence)
    return Figure(mean=mean, se=se, low=low, high=high, n=n, clusters=count)


def clustered_difference(
    differences: Sequence[float], clusters: Sequence[str], confidence: float = 0.95
) -> Figure:
    """Computes the mean of paired differences in [-1, 1] with its clustered standard error and an interval.

    The interval is that of Agresti and Min for matched pairs (2005, Statistics in Medicine 24, section 3), which counts half a pair
    more in each of the four cells (right and wrong of either side), so that it is not empty where no pair differs. Where problems
    share something, half a cluster of the mean size is counted more in each cell.

    Args:
        differences: One difference per problem.
        clusters: The cluster of each; an empty name stands alone.
        confidence: Coverage of the interval.

    Raises:
        ValueError: There is no difference, or not one cluster for each.

    Example:
        >>> found = clustered_difference([0.0] * 98, [""] * 98)
        >>> round(found.low, 4), round(found.high, 4)  # z / 100
        (-0.0196, 0.0196)
    """
    mean, se, groups = _spread(differences, clusters)
    n, count = len(differences), len(groups)
    if se is None:
        return Figure(mean=mean, se=None, low=-1.0, high=1.0, n=n, clusters=1)
    size = n / count
    total = n + 2 * size
    middle = mean * n / total
    squares = math.fsum((math.fsum(values) - len(values) * middle) ** 2 for values in groups)
    half = _z(confidence) * math.sqrt(squares + size**2 * (1 + 2 * middle**2)) / total
    return Figure(
        mean=mean, se=se, low=max(-1.0, middle - half), high=min(1.0, middle + half), n=n, clusters=count
    )


def _spread(
    values: Sequence[float], clusters: Sequence[str]
) -> tuple[float, float | None, list[list[float]]]:
    """Mean, clustered standard error (``None`` of one cluster), and the values of each cluster."""
    n = len(values)
    if n == 0 or len(clusters) != n:
        raise ValueError(f"{n} values and {len(clusters)} clusters")
    mean = math.fsum(values) / n
    groups: defaultdict[str | int, list[float]] = defaultdict(list)
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        groups[cluster or i].append(value)
    count = len(groups)
    if count == 1:
        return mean, None, list(groups.values())
    squares = math.fsum(math.fsum(value - mean for value in own) ** 2 for own in groups.values())
    return mean, math.sqrt(count / (count - 1) * squares) / n, list(groups.values())


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(mean: float, n: float, confidence: float) -> tuple[float, float]:
    """Computes Wilson's score interval of a share over ``n`` independent trials (Wilson 1927, JASA 22, equation 9)."""
    z = _z(confidence)
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
