"""How the components of the reward are combined."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.base import Schema


class WeightSchedule(Schema):
    """Linear change of a weight over the first part of training."""

    end: float = Field(ge=0, le=1, description="The weight after `over` optimiser steps.")
    over: int = Field(
        ge=1, description="Optimiser steps over which the weight moves from its start to `end`."
    )


class RewardsConfig(Schema):
    """reward = (1 - format - length) * (alpha * structure + (1 - alpha) * outcome) + format and length terms.

    Everything is in [0, 1]. A missing component that carries weight makes the whole reward missing, never zero.
    """

    alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weight of the structure reward against the outcome; 0 is outcome only.",
    )
    alpha_schedule: WeightSchedule | None = Field(
        default=None, description="Change of alpha over training; null keeps it."
    )
    format: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Weight of the format term (the answer is stated in the asked form).",
    )
    format_schedule: WeightSchedule | None = Field(
        default=None, description="Change of `format` over training; null keeps it."
    )
    length: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Weight of the length term (1 up to the free share of the budget, then falling to 0 at the limit).",
    )
    length_schedule: WeightSchedule | None = Field(
        default=None, description="Change of `length` over training; null keeps it."
    )
    length_free: float = Field(
        default=0.75, gt=0, le=1, description="Share of max_completion_tokens that costs nothing."
    )
    structure_gate: Literal["always", "wrong", "right"] = Field(
        default="always",
        description="Where the structure reward counts: always, only where the outcome is wrong, or only where it is right; "
        "elsewhere the outcome takes its weight.",
    )
    observe_structure: bool = Field(
        default=True,
        description="Score structure even where alpha is 0 (for the ledger and the curves); false saves the judge's calls.",
    )

    @model_validator(mode="after")
    def _terms_leave_room(self) -> RewardsConfig:
        terms = ((self.format, self.format_schedule), (self.length, self.length_schedule))
        most = [max(weight, schedule.end if schedule is not None else 0.0) for weight, schedule in terms]
        if sum(most) >= 1:
            raise ValueError(
                f"format {most[0]} + length {most[1]} must stay below 1, or nothing is left for structure and outcome"
            )
        return self


Weight = Literal["alpha", "format", "length"]


def weight_at(config: RewardsConfig, name: Weight, step: int) -> float:
    """A weight at an optimiser step (from 0); linear under a schedule, then constant."""
    start: float = getattr(config, name)
    schedule: WeightSchedule | None = getattr(config, f"{name}_schedule")
    if schedule is None:
        return start
    share = min(1.0, max(0, step) / schedule.over)
    return start + (schedule.end - start) * share


def ever_weighs(config: RewardsConfig, name: Weight) -> bool:
    """Whether a weight is above 0 at any step."""
    schedule: WeightSchedule | None = getattr(config, f"{name}_schedule")
    return getattr(config, name) > 0 or (schedule is not None and schedule.end > 0)
