"""Paired differences between models on a benchmark: both are asked the same problems, so their difficulty cancels out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rlkd.evaluation.benchmarks import with_undecided_as
from rlkd.evaluation.clusters import clustered_difference
from schemas.benchmarks import AnswerRow, BenchmarkDifference
from schemas.config.evaluation import EvaluateConfig

Reading = Literal["greedy", "strict", "sampled"]
Values = dict[tuple[Reading, str], dict[str, float]]
"""For each reading and metric, the value of each problem that has one."""


def benchmark_differences(
    benchmark: str,
    a: tuple[str, Sequence[AnswerRow]],
    b: tuple[str, Sequence[AnswerRow]],
    settings: EvaluateConfig,
) -> list[BenchmarkDifference]:
    """Computes the differences b - a of two models, over the problems that both have answered.

    Args:
        benchmark: Name of the benchmark.
        a: A model's name and its answers.
        b: Another model's.
        settings: What undecided answers count as, and the coverage of the intervals.

    Returns:
        A difference for each metric of the greedy answers, read leniently and strictly, and of the samples; none where no
        problem has a value on both sides.
    """
    left, right = (_values(rows, settings.undecided) for _, rows in (a, b))
    clusters = {row.problem_id: row.cluster for _, rows in (a, b) for row in rows}
    return [
        BenchmarkDifference(
            benchmark=benchmark,
            a=a[0],
            b=b[0],
            reading=reading,
            metric=metric,
            difference=clustered_difference(
                [right[reading, metric][name] - left[reading, metric][name] for name in both],
                [clusters[name] for name in both],
                settings.confidence,
            ),
        )
        for reading, metric in left
        if (both := _common(left[reading, metric], right.get((reading, metric), {})))
    ]


def _common(a: Mapping[str, float], b: Mapping[str, float]) -> list[str]:
    return [name for name in a if name in b]


def _values(rows: Sequence[AnswerRow], undecided: str) -> Values:
    """Values of each problem: of its greedy answer, and the mean over its samples."""
    found: dict[tuple[Reading, str], dict[str, list[float]]] = {}
    for row in (with_undecided_as(row, undecided) for row in rows):
        readings: list[tuple[Reading, Mapping[str, float | None]]] = (
            [("greedy", row.scores), ("strict", row.strict)]
            if row.sample is None
            else [("sampled", row.scores)]
        )
        for reading, scores in readings:
            for metric, value in scores.items():
                if value is not None:
                    found.setdefault((reading, metric), {}).setdefault(row.problem_id, []).append(value)
    order: list[Reading] = ["greedy", "strict", "sampled"]
    return {
        key: {name: sum(values) / len(values) for name, values in found[key].items()}
        for key in sorted(found, key=lambda key: order.index(key[0]))
    }
