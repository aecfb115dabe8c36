"""Evaluation results: intervals over problems and paired differences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.alignment import StepMatch
from schemas.base import SCHEMA_VERSION, Schema
from schemas.benchmarks import BenchmarkDifference, BenchmarkFigures
from schemas.rollout import FinishReason

CheckpointName = Literal["base", "warm_start", "rlkd"]
"""The student before training, after the warm start, and after RL distillation; in this order everywhere."""

EvalSplit = Literal["test", "ood", "validation"]
"""Splits that are evaluated: in distribution, harder than what the student was trained on, and what settings are chosen on."""


class Interval(Schema):
    """A mean with a bootstrap interval over problems; fractions, not percent."""

    mean: float
    low: float
    high: float
    n: int


class ProblemOutput(Schema):
    """One greedy completion of one checkpoint on one held-out problem, with its scores; kept for every problem.

    ``correct`` is ``None`` where the verifier failed, ``structure`` where it is missing (no teacher path, a
    fault); ``correct_samples`` of ``samples`` (those with a verdict) is what pass@k is estimated from (0 of 0
    where the problem was not sampled). ``undecided`` says why nobody can tell whether the answer is right, and
    ``undecided_samples`` of how many samples; both count as ``evaluate.undecided`` says, and have no verdict where the
    verifier failed.
    ``f1`` is the word F1 where the problem's benchmark is scored by it (CoQA). ``own_answer`` says whether the answer is what the
    completion's own path finds; ``None`` where that is not known.
    """

    checkpoint: CheckpointName
    split: EvalSplit
    problem_id: str
    domain: str
    difficulty: int | None
    completion: str
    answer: str | None
    correct: bool | None
    structure: float | None
    format: float
    tokens: int
    finish_reason: FinishReason
    samples: int = 0
    correct_samples: int = 0
    undecided: str = ""
    f1: float | None = None
    undecided_samples: int = 0
    own_answer: bool | None = None


class SplitMetrics(Schema):
    """Figures of one checkpoint on one split (or on one domain or difficulty of it).

    Attributes:
        accuracy: Share of greedy completions with the right answer, over those with a verdict.
        structure: Mean structure score over the problems that have one; ``None`` where none has.
        format: Mean format score.
        tokens: Mean length of greedy completions, in tokens.
        truncated: Share of greedy completions that hit the length limit.
        guessed: Greedy completions whose answer is known not to be what their own path finds.
        missing_structure: Problems without a structure score.
        missing_accuracy: Problems without a verdict on the answer.
        undecided: Answers of which nobody can say whether they are right, by reason, the most frequent one first; empty in
            reports of earlier releases. Those without a verdict are left out of accuracy, the others count as ``evaluate.undecided`` says.
        undecided_samples: How many of the samples behind pass@k are undecided, and treated in the same way.
        pass_at: pass@k over the sampled problems, keyed by k as text.
        f1: Mean word F1 over the problems of benchmarks that are scored by it; ``None`` where there is none.
    """

    accuracy: Interval
    structure: Interval | None
    format: Interval
    tokens: Interval
    truncated: float = 0.0
    guessed: int = 0
    missing_structure: int = 0
    missing_accuracy: int = 0
    undecided: dict[str, int] = Field(default_factory=dict)
    undecided_samples: int = 0
    pass_at: dict[str, Interval] = Field(default_factory=dict)
    f1: Interval | None = None


class CheckpointMetrics(Schema):
    """Figures of one checkpoint on one split, whole and sliced; slices are in reading order."""

    checkpoint: CheckpointName
    split: EvalSplit
    overall: SplitMetrics
    by_domain: dict[str, SplitMetrics] = Field(default_factory=dict)
    by_difficulty: dict[str, SplitMetrics] = Field(default_factory=dict)


class PairedDifference(Schema):
    """Difference b - a of a metric over the same problems, with its bootstrap interval."""

    a: str
    b: str
    metric: str
    split: EvalSplit
    diff: float
    low: float
    high: float
    n: int


class EvalReport(Schema):
    """Everything that the evaluate stage measured (``eval_report.json``).

    ``structure_fault`` is what went wrong last in the decomposer or the judge, where structure scores are missing for it;
    ``undecided_counts_as`` what answers counted as of which nobody can say whether they are right;
    ``benchmarks`` are the figures of each checkpoint on each of ``evaluate.benchmarks``, ``benchmark_differences`` the paired ones
    between checkpoints; ``clusters`` says how many clusters (a passage, a template) the problems of a split fall into, where these
    are fewer than its problems.
    """

    checkpoints: tuple[CheckpointMetrics, ...]
    paired: tuple[PairedDifference, ...]
    confidence: float = 0.95
    resamples: int = 2000
    structure_fault: str = ""
    benchmarks: tuple[BenchmarkFigures, ...] = ()
    benchmark_differences: tuple[BenchmarkDifference, ...] = ()
    clusters: dict[str, int] = Field(default_factory=dict)
    undecided_counts_as: Literal["wrong", "missing", "right"] = "wrong"
    schema_version: int = SCHEMA_VERSION

    def find(self, checkpoint: str, split: str) -> CheckpointMetrics | None:
        """Figures of a checkpoint on a split; ``None`` where it was not evaluated."""
        return next((m for m in self.checkpoints if m.checkpoint == checkpoint and m.split == split), None)


class SampleStep(Schema):
    """A step of a path, by its character span, and its partner on the other side where there is one.

    ``partner`` is the index of the aligned step; ``verdict`` holds the judge's probabilities (student side).
    """

    index: int
    start: int
    end: int
    sub_problem: str = ""
    answer: str = ""
    partner: int | None = None
    verdict: StepMatch | None = None


class SampleCompletion(Schema):
    """One checkpoint's greedy completion of a sample problem, with its steps."""

    checkpoint: CheckpointName
    text: str
    correct: bool | None
    structure: float | None
    steps: tuple[SampleStep, ...] = ()


class SampleProblem(Schema):
    """A held-out problem with the teacher's path and every checkpoint's completion (``samples.jsonl``).

    ``kind`` says why it was picked: ``gained``, ``lost``, ``both_right`` or ``both_wrong``, by the first and
    the last checkpoint that were evaluated.
    """

    problem_id: str
    split: EvalSplit
    question: str
    answer: str
    kind: Literal["gained", "lost", "both_right", "both_wrong"]
    domain: str = ""
    difficulty: int | None = None
    teacher_path: str = ""
    teacher_steps: tuple[SampleStep, ...] = ()
    completions: tuple[SampleCompletion, ...] = ()
