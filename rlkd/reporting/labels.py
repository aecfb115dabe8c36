"""How checkpoints, metrics and numbers are written in reports."""

from __future__ import annotations

from schemas.evaluation import EvalReport, Interval

CHECKPOINT_LABELS = {"base": "Base", "warm_start": "Warm start", "rlkd": "RLKD"}
CHECKPOINT_NOTES = {
    "base": "the student as it came",
    "warm_start": "after SFT on the teacher's traces",
    "rlkd": "after RL with the structure reward",
}
SPLIT_LABELS = {"test": "In distribution", "ood": "Out of distribution", "validation": "Validation"}
READING_LABELS = {"greedy": "greedy", "strict": "strict", "sampled": "avg@k"}
BENCHMARK_METRIC_LABELS = {"accuracy": "accuracy", "exact_match": "EM", "f1": "F1"}
METRIC_LABELS = {
    "accuracy": "Accuracy",
    "structure": "Structure",
    "f1": "Word F1",
    "faithful": "Right by a right path",
}
SHARES = ("accuracy", "faithful")
"""Metrics that are shares of problems."""
PLOTTED = ("accuracy", "structure")
"""Metrics that every evaluation has."""
KIND_LABELS = {
    "gained": "Solved only after the last stage",
    "both_wrong": "Still wrong",
    "both_right": "Right before and after",
    "lost": "Lost by the last stage",
}


def percent(value: float, digits: int = 1) -> str:
    """Formats a fraction as percent: ``0.1234`` is ``12.3%``."""
    return f"{100 * value:.{digits}f}%"


def points(value: float) -> str:
    """Formats a difference of fractions in percentage points, with its sign; no sign where it rounds to 0."""
    return _with_sign(f"{100 * value:+.1f}")


def signed(value: float) -> str:
    """Formats a difference of scores with its sign; no sign where it rounds to 0."""
    return _with_sign(f"{value:+.3f}")


def _with_sign(text: str) -> str:
    if not text.strip("+-0."):
        return text[1:]
    return text.replace("-", "\N{MINUS SIGN}")


def interval(value: Interval | None, as_percent: bool = True) -> str:
    """Formats a mean with its interval: ``62.0% [57.2, 66.8]``, or ``0.612 [0.590, 0.634]``; a dash where missing."""
    if value is None:
        return "\N{EN DASH}"
    if as_percent:
        return f"{percent(value.mean)} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def intervals_note(report: EvalReport) -> str:
    """Says what the intervals of an evaluation are over: ``95% bootstrap intervals over problems``."""
    over = "clusters of problems that share a passage or template" if report.clusters else "problems"
    return f"{report.confidence:.0%} bootstrap intervals over {over}"


def problems_of(report: EvalReport, split: str, n: int) -> str:
    """Says how many problems a split has, and in how many clusters: ``500 problems in 100 clusters``."""
    clusters = report.clusters.get(split)
    return f"{n} problems" + (f" in {clusters} clusters" if clusters else "")


def duration(seconds: float) -> str:
    """Formats seconds: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def memory(mebibytes: float) -> str:
    """Formats memory; a dash where it was not measured."""
    if mebibytes <= 0:
        return "\N{EN DASH}"
    return f"{mebibytes:.0f} MB" if mebibytes < 1024 else f"{mebibytes / 1024:.1f} GB"


def reason(text: str) -> str:
    """Writes a reason's key as words: ``near_duplicate`` is ``near duplicate``."""
    return text.replace("_", " ")
