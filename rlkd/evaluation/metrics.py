"""From per-problem outputs to figures: whole splits, slices of them, and differences between checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from rlkd.evaluation.benchmarks import named_figures
from rlkd.evaluation.stats import bootstrap_interval, paired_difference, pass_at_k
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
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0


DEFAULT_RESAMPLING = Resampling()

METRICS: dict[str, Callable[[ProblemOutput], float | None]] = {
    "accuracy": lambda row: None if row.correct is None else float(row.correct),
    "structure": lambda row: row.structure,
    "f1": lambda row: row.f1,
}
"""The metrics that checkpoints are compared in, as functions of a problem's output; ``None`` is missing."""


def split_metrics(
    outputs: Sequence[ProblemOutput], pass_at: Sequence[int] = (), how: Resampling = DEFAULT_RESAMPLING
) -> SplitMetrics:
    """Computes the figures of the outputs of one checkpoint.

    Problems without a verdict or a structure score are left out of that mean, and counted. pass@k is over the
    problems with at least k judged samples; a k for which there are none is absent.

    Raises:
        ValueError: No output has a verdict.
    """

    def interval(values: list[float]) -> Interval:
        return bootstrap_interval(values, resamples=how.resamples, confidence=how.confidence, seed=how.seed)

    undecided = count_undecided(outputs)
    correct = [float(row.correct) for row in outputs if row.correct is not None]
    structure = [row.structure for row in outputs if row.structure is not None]
    f1 = [row.f1 for row in outputs if row.f1 is not None]
    passes = {
        k: [pass_at_k(row.samples, row.correct_samples, k) for row in outputs if row.samples >= k]
        for k in pass_at
    }
    return SplitMetrics(
        accuracy=interval(correct),
        structure=interval(structure) if structure else None,
        format=interval([row.format for row in outputs]),
        tokens=interval([float(row.tokens) for row in outputs]),
        truncated=sum(row.finish_reason == "length" for row in outputs) / len(outputs),
        missing_structure=len(outputs) - len(structure),
        missing_accuracy=len(outputs) - len(correct),
        undecided=undecided,
        undecided_samples=sum(row.undecided_samples for row in outputs),
        pass_at={str(k): interval(values) for k, values in sorted(passes.items()) if values},
        f1=interval(f1) if f1 else None,
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
    pairs = [(left[row.problem_id], value(row)) for row in b if row.problem_id in left]
    both = [(x, y) for x, y in pairs if x is not None and y is not None]
    if not both:
        return None
    found = paired_difference(
        [x for x, _ in both],
        [y for _, y in both],
        resamples=how.resamples,
        confidence=how.confidence,
        seed=how.seed,
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
        checkpoints=checkpoints, paired=tuple(differences), confidence=how.confidence, resamples=how.resamples
    )


def headline(report: EvalReport) -> dict[str, float]:
    """Returns the figures that go to the tracker, under names that every run shares.

    ``<split>_<metric>_<checkpoint>``; ``<benchmark>/<metric>_<checkpoint>``, and ``<benchmark>/<metric>`` for the last one; ``<split>_<metric>_final`` for the last checkpoint that the run has, so
    that methods compare under one name; ``<split>_<metric>_gain_<a>_to_<b>`` for paired differences.
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
    }
    if metrics.structure is not None:
        figures["structure"] = metrics.structure.mean
    if metrics.f1 is not None:
        figures["f1"] = metrics.f1.mean
    figures.update({f"pass_at_{k}": interval.mean for k, interval in metrics.pass_at.items()})
    return figures
