"""Settings of the built-in world: which problems it makes and how hard they are."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from schemas.base import Count, Fraction, Positive, Schema
from schemas.config.plugin import PythonObject


class StepRange(Schema):
    """How many needed steps a problem may have, both ends included."""

    min: Positive = Field(default=3, description="Fewest needed steps.")
    max: Positive = Field(default=5, description="Most needed steps.")

    @model_validator(mode="after")
    def _ordered(self) -> StepRange:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max}); swap them")
        return self


class PythonWorld(PythonObject):
    """Your own domain of the built-in world: a World, or a function that makes one."""

    kind: ClassVar[str] = "world"
    protocol: ClassVar[str] = "rlkd.worlds.world:World"


class WorldSettings(Schema):
    """The built-in world: dependency-graph problems in plain English."""

    domains: dict[str, float] = Field(
        default_factory=lambda: {"arithmetic": 1.0},
        description="Share of each domain (arithmetic, logic, relations); shares are normalised to sum to 1.",
    )
    worlds: tuple[PythonWorld, ...] = Field(
        default=(),
        exclude_if=lambda value: not value,  # unused, it is no part of a stage's identity
        description="Domains of your own; give them a share in `domains` by their names.",
    )
    steps: StepRange = Field(
        default_factory=lambda: StepRange(min=3, max=5),
        description="Needed steps (derived quantities) of train, validation and test problems.",
    )
    ood_steps: StepRange = Field(
        default_factory=lambda: StepRange(min=6, max=7),
        description="Needed steps of the out-of-distribution test: deeper graphs than in training.",
    )
    distractors: int = Field(
        default=3, ge=0, le=12, description="Derived quantities that the question does not need."
    )
    spare_facts: int = Field(
        default=1, ge=0, le=12, description="Given quantities that the question does not need."
    )
    overlap: Fraction = Field(
        default=0.7, description="Chance that an input of an unneeded quantity is a needed one."
    )
    sharing: Fraction = Field(
        default=0.25,
        description="Chance that an input of a needed quantity is one that is used elsewhere too.",
    )
    depth_bias: Fraction = Field(
        default=0.5,
        description="Chance that a needed quantity hangs under the newest one: 1 gives chains, 0 bushy trees.",
    )
    operations: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Operations to use, by domain; a domain that is left out uses all of its own.",
    )
    max_value: int = Field(
        default=20, ge=1, le=30, description="Largest value of a numeric quantity; values start at 0."
    )
    max_given: int = Field(default=9, ge=1, le=30, description="Largest value of a given numeric quantity.")
    n_train: Count = Field(default=128, description="Training problems.")
    n_validation: Count = Field(default=200, description="Validation problems.")
    n_test: Count = Field(default=400, description="Test problems, as hard as the training ones.")
    n_ood: Count = Field(default=200, description="Out-of-distribution test problems (deeper graphs).")

    @field_validator("domains")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        if not value or any(share < 0 for share in value.values()) or sum(value.values()) <= 0:
            raise ValueError("give at least one domain a share above 0, and none a share below 0")
        return value

    @model_validator(mode="after")
    def _harder(self) -> WorldSettings:
        if self.n_ood and self.ood_steps.min <= self.steps.max:
            raise ValueError(
                f"ood_steps.min ({self.ood_steps.min}) must be above steps.max ({self.steps.max}): "
                "the out-of-distribution test has deeper graphs"
            )
        return self


class WanderSettings(Schema):
    """How a wandering solution goes astray; its single steps stay right."""

    focus: Fraction = Field(
        default=0.3,
        description="Largest chance that a choice is the teacher's; drawn anew for each path from 0 to this.",
    )
    salience: Fraction = Field(
        default=0.5, description="Of the other choices, the share that takes what the problem states next."
    )
    stop_plan: Fraction = Field(
        default=0.15, description="Chance, per unfocused choice, to stop planning too early."
    )
    ask_given: Fraction = Field(
        default=0.15,
        description="Chance, per unfocused choice of a plan, to ask what a given quantity needs (nothing).",
    )
    give_up: Fraction = Field(
        default=0.12, description="Chance, per unfocused choice, to answer before the end."
    )
    replan: Fraction = Field(
        default=0.1, description="Chance, per unfocused choice, to plan again between steps."
    )
    overreach: Fraction = Field(
        default=0.3,
        description="Chance, per unfocused choice, to try a planned step before its inputs are known.",
    )
    persist: Fraction = Field(
        default=0.25,
        description="Share of the paths that go after an input which they find missing; the others stop or "
        "turn to something else.",
    )
    quit: Fraction = Field(
        default=0.6, description="Chance that such another path stops where an input is missing."
    )
    max_lines: Positive = Field(default=32, description="Lines after which a path stops.")
    wrong_answer: Fraction = Field(
        default=0.3, description="Chance to answer with another quantity than was asked for."
    )
