"""How the components of the reward are combined."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from schemas.base import Fraction, JsonValue, Positive, Schema
from schemas.config.plugin import PythonObject


class WeightSchedule(Schema):
    """Linear change of a weight over the first part of training."""

    end: Fraction = Field(description="The weight after `over` optimiser steps.")
    over: Positive = Field(description="Optimiser steps over which the weight moves from its start to `end`.")


Share = Annotated[float, Field(ge=0, lt=1, description="Its share of the reward; 0 only observes it.")]


def _change_of(weight: str) -> Any:
    """The schedule of a weight, which is constant by default."""
    return Field(default=None, description=f"Change of {weight} over training; null keeps it.")


class ComponentConfig(Schema):
    """A further component of the project's own, with its weight."""

    type: Literal["named"] = Field(
        default="named",
        description="A component in rlkd/rewards/components, by the name that it stands under here.",
    )
    weight: Share
    schedule: WeightSchedule | None = _change_of("the weight")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="Keyword arguments for it.")


class PythonComponentConfig(PythonObject):
    """Your own component: a function of a completion, or a class whose objects are called with one."""

    kind: ClassVar[str] = "reward component"
    protocol: ClassVar[str] = "rlkd.rewards.components:RewardComponent"

    weight: Share
    schedule: WeightSchedule | None = _change_of("the weight")


def _form(value: Any) -> str:
    if isinstance(value, int | float):
        return "weight"
    kind = value.get("type", "named") if isinstance(value, dict) else getattr(value, "type", "named")
    return str(kind)


FurtherComponent = Annotated[
    Annotated[Share, Tag("weight")]
    | Annotated[ComponentConfig, Tag("named")]
    | Annotated[PythonComponentConfig, Tag("python")],
    Discriminator(_form),
]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = frozenset(
    [
        "structure",
        "outcome",
        "format",
        "length",
        "alpha",
        "step",
        "group",
        "problem_id",
        "completion",
        "tokens",
        "finish_reason",
        "steps_found",
        "verdicts",
        "reward",
        "advantage",
        "missing",
        "undecided",
        "own_answer",
        "member",
        "spans",
        "components",
        "id",
        "prefix",
        "teacher_steps",
        "student_steps",
        "steps",
        "error",
        "tokens_sampled",
        "truncated",
        "groups",
        "groups_without_difference",
        "no_signal",
        "structure_right",
        "structure_wrong",
        "step_seconds",
        "loss",
        "grad_norm",
        "learning_rate",
        "kl",
        "entropy",
        "clip",
        "clip_low",
        "clip_high",
        "sampler_difference",
        "repeated",
        "guessed",
        "copied",
        "greedy_truncated",
        "teacher_kl",
    ]
)
"""Columns of the ledger and names of training figures, which a component's name must not hide."""


class RewardsConfig(Schema):
    """How the components become one reward.

    reward = (1 - format - length - further weights) * (alpha * structure + (1 - alpha) * outcome) + the weighted terms.

    Everything is in [0, 1]. A missing component that carries weight makes the whole reward missing, never zero.
    """

    alpha: Fraction = Field(
        default=0.5, description="Weight of the structure reward against the outcome; 0 is outcome only."
    )
    alpha_schedule: WeightSchedule | None = _change_of("alpha")
    format: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Weight of the format term (the answer is stated in the asked form).",
    )
    format_schedule: WeightSchedule | None = _change_of("`format`")
    length: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Weight of the length term (1 up to the free share of the budget, then falling to 0 at the limit).",
    )
    length_schedule: WeightSchedule | None = _change_of("`length`")
    length_free: float = Field(
        default=0.75, gt=0, le=1, description="Share of max_completion_tokens that costs nothing."
    )
    components: dict[str, FurtherComponent] = Field(
        default_factory=dict,
        exclude_if=lambda value: not value,  # unused, it is no part of a stage's identity
        description="Further components by name, each with its weight: {brevity: 0.2}, or with more settings "
        '{brevity: {weight: 0.2, options: {words: 80}}}, or your own {mine: {type: python, object: "my_pkg:my_reward", weight: 0.2}}.',
    )
    undecided: Literal["wrong", "missing", "right"] = Field(
        default="wrong",
        exclude_if=lambda value: value == "wrong",  # as it is when not set: no part of a stage's identity
        description="What an answer counts as of which nobody can say whether it equals the reference (units that are not known, "
        "formulas that cannot be read or are too large): `missing` leaves the completion out.",
    )
    structure_gate: Literal["always", "wrong", "right"] = Field(
        default="always",
        description="Where the structure reward counts: always, only where the outcome is wrong, or only where it is right; "
        "elsewhere the outcome takes its weight.",
    )
    unfinished: float = Field(
        default=1.0,
        ge=0,
        le=1,
        exclude_if=lambda value: value == 1.0,  # as it is when not set: no part of a stage's identity
        description="Share of its structure score that a completion without an end keeps: coming to an end is part of the teacher's structure. "
        "0 gives none; 1 pays it as if it had ended.",
    )
    guessed: float = Field(
        default=1.0,
        ge=0,
        le=1,
        exclude_if=lambda value: value == 1.0,  # as it is when not set: no part of a stage's identity
        description="Share of the outcome that an answer keeps which is known not to be what the completion's own path finds; where a guess "
        "pays half, its luck is louder than any step. Needs a path that can be read so (docs/structure-reward.md).",
    )
    observe_structure: bool = Field(
        default=True,
        description="Score structure even where alpha is 0 (for the ledger and the curves); false saves the judge's calls.",
    )

    @field_validator("components")
    @classmethod
    def _names(cls, value: dict[str, FurtherComponent]) -> dict[str, FurtherComponent]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no name of a component: write a small letter, then letters, digits or _"
                )
            if name in _TAKEN or name.removesuffix("_std") in {*_TAKEN, *(set(value) - {name})}:
                raise ValueError(
                    f"{name!r} is taken by a column of the ledger or of `rlkd score`, or by a training figure; choose another name"
                )
        return value

    @model_validator(mode="after")
    def _terms_leave_room(self) -> RewardsConfig:
        most = {
            name: max(weight, schedule.end if schedule is not None else 0.0)
            for name, weight, schedule in self.terms()
        }
        if sum(most.values()) >= 1:
            shown = " + ".join(f"{name} {weight}" for name, weight in most.items())
            raise ValueError(f"{shown} must stay below 1, or nothing is left for structure and outcome")
        return self

    @property
    def further(self) -> dict[str, ComponentConfig | PythonComponentConfig]:
        """The settings of every further component, written out."""
        return {
            name: ComponentConfig(weight=value) if isinstance(value, int | float) else value
            for name, value in self.components.items()
        }

    def terms(self) -> Iterator[tuple[str, float, WeightSchedule | None]]:
        """Name, weight and schedule of everything beside structure and outcome."""
        yield "format", self.format, self.format_schedule
        yield "length", self.length, self.length_schedule
        if self.components:
            for name, settings in self.further.items():
                yield name, settings.weight, settings.schedule

    def alpha_at(self, step: int) -> float:
        """The weight of structure against outcome at an optimiser step (from 0)."""
        return self.alpha if self.alpha_schedule is None else _at(self.alpha, self.alpha_schedule, step)

    def weights_at(self, step: int) -> dict[str, float]:
        """The weight of each component beside structure and outcome at an optimiser step (from 0)."""
        return {
            name: weight if schedule is None else _at(weight, schedule, step)
            for name, weight, schedule in self.terms()
        }

    def shares_at(self, step: int) -> dict[str, float]:
        """The weight of every component in the reward at an optimiser step (from 0); they add up to 1."""
        terms, alpha = self.weights_at(step), self.alpha_at(step)
        core = 1.0 - sum(terms.values())
        return {"structure": core * alpha, "outcome": core * (1 - alpha), **terms}


def ever_weighs(config: RewardsConfig, name: str) -> bool:
    """Whether a weight (``alpha``, or a component's beside structure and outcome) is above 0 at any step."""
    terms = [("alpha", config.alpha, config.alpha_schedule), *config.terms()]
    return any(
        weight > 0 or (schedule is not None and schedule.end > 0)
        for own, weight, schedule in terms
        if own == name
    )


def _at(start: float, schedule: WeightSchedule, step: int) -> float:
    """A weight at a step: linear under its schedule, then constant."""
    share = min(1.0, max(0, step) / schedule.over)
    return start + (schedule.end - start) * share
