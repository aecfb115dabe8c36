"""What is measured on held-out problems, and what the report shows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.base import ADDED, Count, Positive, Schema
from schemas.evaluation import CheckpointName, EvalSplit


class NamedBenchmark(Schema):
    """A benchmark by name, and the user's own copy of it."""

    name: str = Field(min_length=1, description="Its name, e.g. gsm8k or reasoning_gym/gsm_symbolic.")
    path: str | None = Field(
        default=None,
        description="Your own copy, a file or a folder; null takes $RLKD_DATA where the benchmark lies there, else the hub.",
    )


class EvaluateConfig(Schema):
    """Evaluation of the base, the warm-started and the final student."""

    max_problems: Positive | None = Field(default=None, description="Problems per split; null takes all.")
    checkpoints: tuple[CheckpointName, ...] = Field(
        default=("base", "warm_start", "rlkd"),
        min_length=1,
        description="Which checkpoints are evaluated (those that the run makes).",
    )
    samples: Count = Field(default=8, description="Samples per problem for pass@k; 0 for greedy only.")
    pass_at: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 4, 8), description="The k of pass@k; a k larger than `samples` is left out."
    )
    pass_problems: Positive | None = Field(
        default=100, description="Problems of each split that are sampled for pass@k; null takes all."
    )
    temperature: float = Field(default=1.0, gt=0, description="Sampling temperature for pass@k.")
    undecided: Literal["wrong", "missing", "right"] = Field(
        default="wrong",
        exclude_if=lambda value: value == "wrong",  # as it is when not set: no part of a stage's identity
        description="What an answer counts as of which nobody can say whether it equals the reference, in accuracy and pass@k alike; "
        "`missing` leaves it out.",
    )
    batch_size: Positive = Field(default=128, description="Completions generated at once.")
    resamples: int = Field(default=2000, ge=100, description="Bootstrap resamples over problems.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Coverage of the intervals.")

    benchmarks: Annotated[tuple[str | NamedBenchmark, ...], ADDED] = Field(
        default=(),
        description="Further benchmarks that every checkpoint is evaluated on, by name or as {name, path}; `max_problems`, `samples` and "
        "`pass_problems` hold for each.",
    )

    splits: Annotated[tuple[EvalSplit, ...], ADDED] = Field(
        default=("test", "ood"),
        min_length=1,
        description="Splits that are evaluated; `validation` alone where settings are to be chosen and no test figure is to be seen.",
    )

    @field_validator("splits")
    @classmethod
    def _each_split_once(cls, value: tuple[EvalSplit, ...]) -> tuple[EvalSplit, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a split is named twice; name each once")
        return value

    @property
    def named_benchmarks(self) -> tuple[NamedBenchmark, ...]:
        """The further benchmarks, each as name and path."""
        return tuple(NamedBenchmark(name=b) if isinstance(b, str) else b for b in self.benchmarks)


class ReportConfig(Schema):
    """What the report shows."""

    samples: Count = Field(default=4, description="Completions shown side by side with the teacher's path.")
    title: str = Field(default="", description="Title; empty takes the configuration's name.")


class TrackingConfig(Schema):
    """MLflow."""

    enabled: bool = Field(default=True, description="Whether the run is tracked in MLflow.")
    experiment: str = Field(default="rlkd", description="Experiment name.")
    registered_model: str = Field(
        default="rlkd-student",
        description="Name under which the final student is registered; empty for none.",
    )
    system_metrics: bool = Field(default=True, description="Log CPU, memory and GPU use.")


class KeepConfig(Schema):
    """What stays on the disk beside the results; changes no result, and no stage's identity."""

    checkpoints: bool = Field(
        default=False,
        description="Keep the trainer's checkpoints of finished stages, with optimizer state (`checkpoints/` in the stage's folder); "
        "false removes them when a stage is finished. Those of an unfinished stage stay either way.",
    )
    unused_days: float | None = Field(
        default=None,
        ge=1,
        description="When a whole run is done, remove from its folder of runs what no run refers to and nobody has touched for that many "
        "days, as `rlkd clean --older-than` does; null removes nothing.",
    )
