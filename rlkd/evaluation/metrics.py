"""From per-problem outputs to figures: whole splits, slices of them, and differences between checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from rlkd.evaluation.benchmarks import named_figures
from rlkd.evaluation.stats import bootstrap_interval, number_clusters, paired_difference, pass_at_k
from schemas.evaluation import (
    CheckpointMetrics,
    CheckpointName,
    EvalReport,
    EvalSplit,
    Interval,
    PairedDifference,
    ProblemOutput,
    SplitMetrics,
)

CHECKPOINTS: tuple[CheckpointName, ...] = get_args(CheckpointName)
SPLITS: tuple[EvalSplit, ...] = get_args(EvalSplit)
PAIRS: tuple[tuple[CheckpointName, CheckpointName], ...] = (
    ("warm_start", "rlkd"),
    ("base", "warm_start"),
    ("base", "rlkd"),
)
"""The differences that are reported, the one that the method is about first."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        resamples: Bootstrap resamples.
        confidence: Coverage of the intervals.
        seed: Seed of the resampling.
        clusters: Cluster of each problem, by its id; one that is not named stands alone.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0
    clusters: Mapping[str, str] = field(default_factory=dict)

    def names(self, rows: Sequence[ProblemOutput]) -> list[str]:
        """Names the clusters of outputs; none where no problem has one."""
        return [self.clusters.get(row.problem_id, "") for row in rows] if self.clusters else []


DEFAULT_RESAMPLING = Resampling()

METRICS: dict[str, Callable[[ProblemOutput], float | None]] = {
    "accuracy": lambda row: None if row.correct is None else float(row.correct),
    "structure": lambda row: row.structure,
    "f1": lambda row: row.f1,
}
"""The metrics that checkpoints are compared in, as functions of a problem's output; ``None`` is missing."""

FAITHFUL = 0.5
"""Structure score from which a path counts as a right one, the teacher's: the only place of this number, for shares and plots."""


def faithful(row: ProblemOutput) -> float | None:
    """Tells whether an answer is right by a right path; ``None`` where what is not known decides.

    A wrong answer is not right by any path: left out where its structure was missing, such answers raised the share of a
    student whose structure often fails.
    """
    right_path = None if row.structure is None else row.structure >= FAITHFUL
    if row.correct is False or right_path is False:
        return 0.0
    return None if row.correct is None or right_path is None else 1.0


METHOD_METRICS = {**METRICS, "faithful": faithful}
"""The metrics that methods are compared in."""


def split_metrics(
    outputs: Sequence[ProblemOutput], pass_at: Sequence[int] = (), how: Resampling = DEFAULT_RESAMPLING
) -> SplitMetrics:
    """Computes the figures of the outputs of one checkpoint.

    Problems without a verdict or a structure score are left out of that mean, and counted. pass@k is over the
    problems with at least k judged samples; a k for which there are none is absent.

    Raises:
        ValueError: No output has a verdict.
    """

    def interval(value: Callable[[ProblemOutput], float | None]) -> Interval | None:
        rows = [row for row in outputs if value(row) is not None]
        found = [float(known) for row in rows if (known := value(row)) is not None]
        return _interval(found, rows, how) if found else None

    accuracy, structure = interval(METRICS["accuracy"]), interval(METRICS["structure"])
    if accuracy is None:
        raise ValueError("no output has a verdict")

    def passed(k: int) -> Interval | None:
        return interval(
            lambda row: pass_at_k(row.samples, row.correct_samples, k) if row.samples >= k else None
        )

    return SplitMetrics(
        accuracy=accuracy,
        structure=structure,
        format=_interval([row.format for row in outputs], outputs, how),
        tokens=_interval([float(row.tokens) for row in outputs], outputs, how),
        truncated=sum(row.finish_reason == "length" for row in outputs) / len(outputs),
        guessed=sum(row.own_answer is False for row in outputs),
        missing_structure=len(outputs) - (structure.n if structure else 0),
        missing_accuracy=len(outputs) - accuracy.n,
        undecided=count_undecided(outputs),
        undecided_samples=sum(row.undecided_samples for row in outputs),
        pass_at={str(k): found for k in sorted(pass_at) if (found := passed(k)) is not None},
        f1=interval(METRICS["f1"]),
    )


def _interval(values: Sequence[float], rows: Sequence[ProblemOutput], how: Resampling) -> Interval:
    return bootstrap_interval(
        values,
        resamples=how.resamples,
        confidence=how.confidence,
        seed=how.seed,
        clusters=how.names(rows),
    )


def count_undecided(outputs: Iterable[ProblemOutput]) -> dict[str, int]:
    """Counts the answers of which nobody can say whether they are right, by reason, the most frequent one first."""
    counts = Counter(
        row.undecided or "no reason given" for row in outputs if row.undecided or row.correct is None
    )
    return dict(counts.most_common())


def checkpoint_metrics(
    outputs: Sequence[ProblemOutput], pass_at: Sequence[int] = (), how: Resampling = DEFAULT_RESAMPLING
) -> CheckpointMetrics:
    """Computes the figures of one checkpoint on one split: whole, by domain and by difficulty.

    Problems without a difficulty are in no difficulty slice; a slice without any verdict is left out.

    Raises:
        ValueError: No output has a verdict, or ``outputs`` mixes checkpoints or splits.
    """
    if len({(row.checkpoint, row.split) for row in outputs}) != 1:
        raise ValueError("the outputs must be of one checkpoint on one split")
    judged = [row for row in outputs if row.correct is not None]
    domains = sorted({row.domain for row in judged})
    difficulties = sorted({row.difficulty for row in judged if row.difficulty is not None})
    return CheckpointMetrics(
        checkpoint=outputs[0].checkpoint,
        split=outputs[0].split,
        overall=split_metrics(outputs, pass_at, how),
        by_domain={
            d: split_metrics([row for row in outputs if row.domain == d], pass_at, how) for d in domains
        },
        by_difficulty={
            str(d): split_metrics([row for row in outputs if row.difficulty == d], pass_at, how)
            for d in difficulties
        },
    )


def paired(
    a: Sequence[ProblemOutput], b: Sequence[ProblemOutput], metric: str, how: Resampling = DEFAULT_RESAMPLING
) -> tuple[float, float, float, int] | None:
    """Computes the difference ``b - a`` of a metric over the problems that both sides have a value for.

    Returns:
        ``(diff, low, high, n)``, or ``None`` where no problem has both values.
    """
    value = METRICS[metric]
    left = {row.problem_id: value(row) for row in a}
    pairs = [(row, left[row.problem_id], value(row)) for row in b if row.problem_id in left]
    both = [(row, x, y) for row, x, y in pairs if x is not None and y is not None]
    if not both:
        return None
    found = paired_difference(
        [x for _, x, _ in both],
        [y for _, _, y in both],
        resamples=how.resamples,
        confidence=how.confidence,
        seed=how.seed,
        clusters=how.names([row for row, _, _ in both]),
    )
    return found.mean, found.low, found.high, found.n


def build_report(
    outputs: Iterable[ProblemOutput], pass_at: Sequence[int] = (), how: Resampling = DEFAULT_RESAMPLING
) -> EvalReport:
    """Computes the figures of every checkpoint on every split, and the paired differences between checkpoints."""
    parts: dict[tuple[str, str], list[ProblemOutput]] = {}
    for row in outputs:
        parts.setdefault((row.checkpoint, row.split), []).append(row)
    checkpoints = tuple(
        checkpoint_metrics(parts[name, split], pass_at, how)
        for split in SPLITS
        for name in CHECKPOINTS
        if (name, split) in parts
    )
    differences = []
    for split in SPLITS:
        for a, b in PAIRS:
            if (a, split) not in parts or (b, split) not in parts:
                continue
            for metric in METRICS:
                found = paired(parts[a, split], parts[b, split], metric, how)
                if found is not None:
                    diff, low, high, n = found
                    differences.append(
                        PairedDifference(
                            a=a, b=b, metric=metric, split=split, diff=diff, low=low, high=high, n=n
                        )
                    )
    return EvalReport(
        checkpoints=checkpoints,
        paired=tuple(differences),
        confidence=how.confidence,
        resamples=how.resamples,
        clusters=_count_clusters(parts, how.clusters),
    )


def _count_clusters(
    parts: Mapping[tuple[str, str], Sequence[ProblemOutput]], clusters: Mapping[str, str]
) -> dict[str, int]:
    """Counts the clusters of each split where they are fewer than its problems; a problem alone is one."""
    found = {}
    for (_, split), rows in parts.items():
        ids = {row.problem_id for row in rows}
        numbers = number_clusters([clusters.get(name, "") for name in ids])
        if numbers is not None:
            found[split] = len(set(numbers.tolist()))
    return found


def headline(report: EvalReport) -> dict[str, float]:
    """Returns the figures that go to the tracker, under names that every run shares.

    ``<split>_<metric>_<checkpoint>``; ``<benchmark>/<metric>_<checkpoint>``, and ``<benchmark>/<metric>`` for the last one; ``<split>_<metric>_final`` for the last checkpoint that the run has, so
    that methods compare under one name; ``<split>_<metric>_gain_<a>_to_<b>`` and ``<benchmark>/<metric>_gain_<a>_to_<b>`` for paired differences.
    """
    values: dict[str, float] = {}
    for found in report.checkpoints:
        for name, value in _figures(found.overall).items():
            values[f"{found.split}_{name}_{found.checkpoint}"] = value
    # Checkpoints come in training order.
    for found in {found.split: found for found in report.checkpoints}.values():
        values.update(
            {f"{found.split}_{name}_final": value for name, value in _figures(found.overall).items()}
        )
    for (
        found_on
    ) in report.benchmarks:  # in training order: the last checkpoint's figures stand under the plain name
        for name, value in named_figures(found_on).items():
            values[name] = values[f"{name}_{found_on.model}"] = value
    for gain in report.benchmark_differences:
        if gain.reading == "greedy":
            values[f"{gain.benchmark}/{gain.metric}_gain_{gain.a}_to_{gain.b}"] = gain.difference.mean
    for pair in report.paired:
        values[f"{pair.split}_{pair.metric}_gain_{pair.a}_to_{pair.b}"] = pair.diff
    return values


def _figures(metrics: SplitMetrics) -> dict[str, float]:
    figures = {
        "accuracy": metrics.accuracy.mean,
        "undecided": sum(metrics.undecided.values()) / (metrics.accuracy.n + metrics.missing_accuracy),
        "format": metrics.format.mean,
        "tokens": metrics.tokens.mean,
        "truncated": metrics.truncated,
        "guessed": metrics.guessed / (metrics.accuracy.n + metrics.missing_accuracy),
    }
    if metrics.structure is not None:
        figures["structure"] = metrics.structure.mean
    if metrics.f1 is not None:
        figures["f1"] = metrics.f1.mean
    figures.update({f"pass_at_{k}": interval.mean for k, interval in metrics.pass_at.items()})
    return figures
