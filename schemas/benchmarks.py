"""What an evaluation on named benchmarks keeps (a row for each answer) and reports (figures and differences with standard errors)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, JsonValue, Schema
from schemas.rollout import FinishReason


class AnswerRow(Schema):
    """One answer of a model to one problem of a benchmark, with its scores; a line of an append-only file.

    Attributes:
        key: Digest of all that the answer depends on: model, way of asking, problem, sampling, number of the sample.
        problem_id: The problem.
        cluster: What it shares with other problems (passage, template); empty where it stands alone.
        sample: Number of the sample; ``None`` for the greedy answer.
        completion: The text.
        answer: The answer that counts, read leniently; ``None`` where the text holds none.
        right: Whether that is the reference answer; ``None`` where nobody can say, or the verifier failed.
        scores: The benchmark's metrics of the answer read leniently, by name, in [0, 1].
        strict: The same of the answer as the output form asks for it; 0 where it is stated otherwise.
        undecided: Why nobody can say whether the answer is right; empty where that is known.
        tokens: Length in tokens.
        finish_reason: ``stop``, or ``length`` where the limit cut it off.
        asked: Whether the model was asked; not where the prompt is too long for it.
    """

    key: str
    problem_id: str
    cluster: str = ""
    sample: int | None = None
    completion: str
    answer: str | None
    right: bool | None
    scores: dict[str, float | None]
    strict: dict[str, float | None]
    undecided: str = ""
    tokens: int = Field(ge=0)
    finish_reason: FinishReason
    asked: bool = True


class Figure(Schema):
    """A mean over problems with its standard error and interval, clustered where problems share something.

    Attributes:
        mean: The mean, a fraction.
        se: Its standard error; ``None`` where there is one cluster only.
        low, high: The interval.
        n: Problems.
        clusters: Clusters that they fall into; ``n`` where each stands alone.
    """

    mean: float
    se: float | None
    low: float
    high: float
    n: int
    clusters: int


class BenchmarkFigures(Schema):
    """Figures of one model on one benchmark.

    Attributes:
        benchmark: Its name.
        split: The split that was evaluated.
        model: The checkpoint's name in a run's evaluation; else empty.
        problems: Problems with a greedy answer.
        greedy: Figures of the greedy answers read leniently, by metric.
        greedy_strict: The same read strictly.
        samples: Samples of each sampled problem.
        sampled: avg@k: means over the samples of a problem, read leniently, by metric.
        sampled_strict: The same read strictly.
        pass_at: pass@k by k as text.
        majority: Whether the answer that most samples give is right (majority@k with k = ``samples``).
        tokens: Mean length of the greedy answers.
        truncated: Share of the greedy answers that hit the length limit.
        no_answer: Greedy answers in which no answer was found.
        too_long: Problems whose prompt is too long for the model; they count as wrong.
        unanswered: Requests that failed; they are asked for again by the next call, and are in no figure.
        undecided: Answers of which nobody can say whether they are right, by reason, samples included.
        undecided_counts_as: What they count as (``evaluate.undecided``); without a verdict where the verifier failed.
        notes: What else is to be known (rows left out, the split that was taken).
    """

    benchmark: str
    split: str
    model: str = ""
    problems: int
    greedy: dict[str, Figure]
    greedy_strict: dict[str, Figure]
    samples: int = 0
    sampled: dict[str, Figure] = Field(default_factory=dict)
    sampled_strict: dict[str, Figure] = Field(default_factory=dict)
    pass_at: dict[str, Figure] = Field(default_factory=dict)
    majority: Figure | None = None
    tokens: float
    truncated: float
    no_answer: int = 0
    too_long: int = 0
    unanswered: int = 0
    undecided: dict[str, int] = Field(default_factory=dict)
    undecided_counts_as: str = "wrong"
    notes: tuple[str, ...] = ()


class BenchmarkDifference(Schema):
    """Difference b - a of two models on the same problems of a benchmark.

    Attributes:
        benchmark: Its name.
        a, b: The models: checkpoints of a run, or names as they were given.
        reading: ``greedy`` (answers read leniently), ``strict`` (those stated in the output form) or ``sampled`` (avg@k).
        metric: The metric.
        difference: Its mean over the problems that both have a value for, with standard error and interval, clustered where
            problems share something.
    """

    benchmark: str
    a: str
    b: str
    reading: Literal["greedy", "strict", "sampled"]
    metric: str
    difference: Figure


class HarnessFigure(Schema):
    """A figure of a task of lm-eval, as it names and computes it; ``n`` problems, ``version`` of the task."""

    task: str
    metric: str
    value: float
    se: float | None
    n: int
    version: str = ""


class ModelEvaluation(Schema):
    """One model on benchmarks (``evaluation.json`` of `rlkd evaluate`).

    Attributes:
        model: Its name, as it was given.
        identity: Digest of the weights (or of the address and name) and of the way of asking.
        asked: How it was asked: chat, instructions, output form, limits.
        temperature: Of the samples.
        seed: Of what is random.
        confidence: Coverage of the intervals.
        cost: What the answers of an endpoint took, in words; empty for a local model.
        benchmarks: The figures.
        lm_eval: Figures of tasks of lm-eval, where some were asked for.
        differences: To the models that it was evaluated against (``--against``).
    """

    model: str
    identity: str
    asked: dict[str, JsonValue]
    temperature: float
    seed: int
    confidence: float
    cost: str = ""
    benchmarks: tuple[BenchmarkFigures, ...]
    lm_eval: tuple[HarnessFigure, ...] = ()
    differences: tuple[BenchmarkDifference, ...] = ()
    schema_version: int = SCHEMA_VERSION
