"""Settings of pre-training: the small base student of the demo."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.base import Fraction, Positive, Schema
from schemas.config.world import StepRange, WanderSettings, WorldSettings


class TinyModelSettings(Schema):
    """Shape of a small Llama-architecture student."""

    hidden_size: int = Field(default=128, ge=8, description="Width.")
    layers: Positive = Field(default=4, description="Number of layers.")
    heads: Positive = Field(default=4, description="Attention heads; must divide the width.")
    intermediate_size: int = Field(default=344, ge=8, description="Width of the feed-forward layers.")
    max_positions: int = Field(default=512, ge=16, description="Longest text, in tokens.")

    @model_validator(mode="after")
    def _even_heads(self) -> TinyModelSettings:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"a width of {self.hidden_size} does not divide into {self.heads} heads of an even size; change hidden_size or heads"
            )
        return self


SIZES = {
    "0.3M": TinyModelSettings(hidden_size=80, layers=4, heads=4, intermediate_size=216),
    "0.8M": TinyModelSettings(),
    "5M": TinyModelSettings(hidden_size=256, layers=6, heads=8, intermediate_size=688),
}
"""Students of one family by name: one tokenizer and language, other widths and depths."""


DOMAINS = {"arithmetic": 0.6, "logic": 0.2, "relations": 0.2}
"""Shares of the domains in pre-training."""


class SecondPhase(Schema):
    """A second one-cycle phase on deeper problems and more focused wandering, after the first."""

    steps: Positive = Field(default=2500, description="Optimiser steps.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate, as in the first phase.")
    matrix_learning_rate: float = Field(
        default=1e-2, gt=0, description="Peak of the weight matrices under Muon."
    )
    world: WorldSettings = Field(
        default_factory=lambda: WorldSettings(domains=DOMAINS, steps=StepRange(min=2, max=9), n_ood=0),
        description="The problems; their step range covers the out-of-distribution test, so that single "
        "steps are right there too.",
    )
    wander: WanderSettings = Field(
        default_factory=lambda: WanderSettings(focus=0.7), description="How the solutions go astray."
    )


class PretrainSettings(Schema):
    """How the base student is pre-trained on wandering solutions of the built-in world."""

    seed: int = Field(
        default=0, description="Seed of weights and data; the same seed gives the same weights."
    )
    steps: Positive = Field(default=5000, description="Optimiser steps.")
    batch_size: Positive = Field(default=48, description="Solutions in a step; none is seen twice.")
    optimizer: Literal["adamw", "muon"] = Field(
        default="muon", description="Optimiser of the weight matrices; embeddings and norms always use AdamW."
    )
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak of the one-cycle learning rate.")
    matrix_learning_rate: float = Field(
        default=2e-2, gt=0, description="Peak learning rate of the weight matrices under Muon."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of the weight matrices.")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of the steps with a rising rate.")
    threads: Positive = Field(default=2, description="CPU threads; part of what makes a run repeatable.")
    bfloat16: bool = Field(
        default=True, description="Multiply matrices in bfloat16 (the weights stay float32)."
    )
    compile: bool = Field(
        default=True, description="Compile the loss (needs a C++ compiler; about twice as fast)."
    )
    prompt_template: str = Field(
        default="{question}\n", description="How a question becomes a prompt; RL must use the same."
    )
    world: WorldSettings = Field(
        default_factory=lambda: WorldSettings(domains=DOMAINS, steps=StepRange(min=1, max=7), n_ood=0),
        description="The problems of the first phase.",
    )
    easy_share: Fraction = Field(
        default=0.25, description="Share of the steps, at the start, that takes easy problems."
    )
    easy_world: WorldSettings = Field(
        default_factory=lambda: WorldSettings(
            domains=DOMAINS, steps=StepRange(min=1, max=3), distractors=1, spare_facts=0, n_ood=0
        ),
        description="The easy problems.",
    )
    wander: WanderSettings = Field(default_factory=WanderSettings, description="How the solutions go astray.")
    second: SecondPhase | None = Field(
        default_factory=lambda: SecondPhase(), description="A second, shorter phase; null leaves it out."
    )
    model: TinyModelSettings = Field(default_factory=TinyModelSettings, description="Shape of the student.")
    start: str | None = Field(
        default=None,
        description="Folder of a student of the family whose pre-training goes on (its shape is its own); null starts from fresh weights.",
    )
    eval_problems: Positive = Field(default=300, description="Problems for the figures at the end.")
