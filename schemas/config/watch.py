"""When RL counts as having gone wrong: the thresholds of the watch over its curves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Schema


class WatchConfig(Schema):
    """Signs that the student plays the reward instead of learning; each threshold may be null, for no such alarm.

    "Rises" and "falls" compare the mean of the last `window` steps with that of the first, and need two windows of steps.
    """

    action: Literal["warn", "stop", "off"] = Field(
        default="warn",
        description="At an alarm: say so; or stop training and go on with the checkpoint that is best on validation (needs rl.eval_every). "
        "`missing` and `no_signal` only warn.",
    )
    window: int = Field(default=5, ge=1, description="Steps that a mean is taken over.")
    accuracy_fall: float | None = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Fall of validation accuracy below its best (means of two evaluations), while structure rises by `structure_rise`.",
    )
    structure_rise: float = Field(default=0.02, ge=0, le=1, description="See `accuracy_fall`.")
    step_inflation: float | None = Field(
        default=1.5, gt=1, description="Growth of the steps of a completion, as a factor."
    )
    length_growth: float | None = Field(
        default=2.0, gt=1, description="Growth of the tokens of a completion, as a factor."
    )
    at_limit: float | None = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of completions at the length limit: sampled, or greedy on validation.",
    )
    repeated: float | None = Field(
        default=0.3, gt=0, le=1, description="Share of a completion's lines that stand in it before."
    )
    copied: float | None = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Rise of the share of a completion that is copied from the problem (runs of four words).",
    )
    entropy_left: float | None = Field(
        default=0.1, gt=0, lt=1, description="Share of its first entropy to which the policy may fall."
    )
    no_signal: float | None = Field(
        default=0.9, gt=0, le=1, description="Share of groups whose rewards do not differ."
    )
    missing: float | None = Field(default=0.05, gt=0, le=1, description="Share of missing rewards.")
