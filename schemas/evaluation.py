"""Evaluation results: intervals over problems and paired differences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, Schema

CheckpointName = Literal["base", "warm_start", "rlkd"]


class Interval(Schema):
    """A mean with a bootstrap interval over problems; fractions, not percent."""

    mean: float
    low: float
    high: float
    n: int


class ProblemOutput(Schema):
    """One greedy completion of one checkpoint on one held-out problem, with its scores; kept for every problem.

    ``structure`` is ``None`` where it is missing (no teacher path, a fault); ``correct_samples`` of
    ``samples`` is what pass@k is estimated from (0 of 0 where the problem was not sampled).
    """

    checkpoint: str
    split: str
    problem_id: str
    domain: str
    difficulty: int | None
    completion: str
    answer: str | None
    correct: bool
    structure: float | None
    format: float
    tokens: int
    finish_reason: str
    samples: int = 0
    correct_samples: int = 0


class SplitMetrics(Schema):
    """Figures of one checkpoint on one split (or on one domain or difficulty of it).

    ``pass_at`` is keyed by k as text; ``tokens`` is the mean length of greedy completions.
    """

    accuracy: Interval
    structure: Interval | None
    format: Interval
    tokens: Interval
    pass_at: dict[str, Interval] = Field(default_factory=dict)


class CheckpointMetrics(Schema):
    """Figures of one checkpoint on one split, whole and sliced."""

    checkpoint: str
    split: str
    overall: SplitMetrics
    by_domain: dict[str, SplitMetrics] = Field(default_factory=dict)
    by_difficulty: dict[str, SplitMetrics] = Field(default_factory=dict)


class PairedDifference(Schema):
    """Difference b - a of a metric over the same problems, with its bootstrap interval."""

    a: str
    b: str
    metric: str
    split: str
    diff: float
    low: float
    high: float
    n: int


class EvalReport(Schema):
    """Everything that the evaluate stage measured."""

    checkpoints: tuple[CheckpointMetrics, ...]
    paired: tuple[PairedDifference, ...]
    schema_version: int = SCHEMA_VERSION
