"""The report's tables of further benchmarks (``evaluate.benchmarks``)."""

from __future__ import annotations

from collections.abc import Mapping

from rlkd.reporting.labels import BENCHMARK_METRIC_LABELS, CHECKPOINT_LABELS, READING_LABELS, percent, points
from schemas.benchmarks import Figure
from schemas.evaluation import EvalReport

BENCHMARK_COLUMNS = (
    "Benchmark",
    "Checkpoint",
    "Greedy",
    "Strict",
    "avg@k",
    "pass@k",
    "majority@k",
    "Cut off",
    "Undecided",
)


def benchmark_rows(report: EvalReport) -> list[tuple[str, ...]]:
    """Lists the figures on ``evaluate.benchmarks``, a row for each checkpoint, by the benchmark's own metric."""
    found = sorted(report.benchmarks, key=lambda b: b.benchmark)  # within a benchmark in training order
    return [
        (
            f"{b.benchmark} ({b.problems}{_in_clusters(next(iter(b.greedy.values()), None), b.problems)})",
            CHECKPOINT_LABELS[b.model],
            _metrics(b.greedy),
            _metrics(b.greedy_strict),
            _metrics(b.sampled),
            _metrics({f"k={k}": b.pass_at[k] for k in sorted(b.pass_at, key=int)[-1:]}),
            _metrics({f"k={b.samples}": b.majority} if b.majority else {}),
            percent(b.truncated),
            str(sum(b.undecided.values())),
        )
        for b in found
    ]


BENCHMARKS_NOTE = (
    "Greedy answers read leniently; strict, only those stated in the student's form; avg@k, the mean of k samples. Intervals are over "
    "problems, clustered where these share a passage or template."
)


DIFFERENCE_COLUMNS = ("Benchmark", "Step", "Answers", "Metric", "Difference", "Interval")


def difference_rows(report: EvalReport) -> list[tuple[str, ...]]:
    """Lists the paired differences between checkpoints on ``evaluate.benchmarks``, in points."""
    return [
        (
            f"{found.benchmark} ({found.difference.n}{_in_clusters(found.difference, found.difference.n)})",
            f"{CHECKPOINT_LABELS[found.a]} \N{RIGHTWARDS ARROW} {CHECKPOINT_LABELS[found.b]}",
            READING_LABELS[found.reading],
            BENCHMARK_METRIC_LABELS.get(found.metric, found.metric),
            f"{points(found.difference.mean)} points",
            f"{points(found.difference.low)} to {points(found.difference.high)}",
        )
        for found in report.benchmark_differences
    ]


def benchmark_notes(report: EvalReport) -> list[str]:
    """Lists what is to be known of the benchmarks, each once."""
    notes = [f"{found.benchmark}: {note}" for found in report.benchmarks for note in found.notes]
    for found in report.benchmarks:
        if found.undecided:
            counts = ", ".join(f"{count} x {why}" for why, count in found.undecided.items())
            notes.append(
                f"{found.benchmark}, {CHECKPOINT_LABELS[found.model]}: answers of which nobody can say whether they are right "
                f"(they count as {found.undecided_counts_as}): {counts}"
            )
    return list(dict.fromkeys(notes))


def _metrics(figures: Mapping[str, Figure]) -> str:
    names = {"accuracy": "", "exact_match": "EM ", "f1": "F1 "}
    return (
        "; ".join(
            f"{names.get(name, f'{name}: ')}{percent(f.mean)} [{100 * f.low:.1f}, {100 * f.high:.1f}]"
            for name, f in figures.items()
        )
        or "\N{EN DASH}"
    )


def _in_clusters(figure: Figure | None, problems: int) -> str:
    return f" in {figure.clusters} clusters" if figure is not None and figure.clusters < problems else ""
