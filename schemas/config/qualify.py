"""Qualification: what the structure reward must show before RL may train on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Count, Fraction, Positive, Schema


class WorldPairs(Schema):
    """Paths made by the built-in world for held-out problems, right and wrong, with labels that are known."""

    type: Literal["world"] = Field(default="world", description="Paths made by the built-in world.")
    problems: int = Field(default=80, ge=2, description="Validation problems (drawn by seed).")
    per_problem: int = Field(
        default=4,
        ge=2,
        description="Paths per problem: one of the solver's own, in another order where there is one, and wandering ones.",
    )


class StudentPairs(Schema):
    """The student's own samples (warm-started where it is), labelled by the verifier: what RL will score."""

    type: Literal["student"] = Field(default="student", description="Samples of the student before RL.")
    problems: int = Field(
        default=64,
        ge=2,
        description="Validation problems (drawn by seed); without validation problems, training ones.",
    )
    per_problem: Positive = Field(default=4, description="Samples per problem.")
    temperature: float = Field(default=1.0, gt=0, description="Sampling temperature.")


class FilePairs(Schema):
    """Labelled solutions from a file.

    Rows are ``{problem, teacher, solution, right}`` (``teacher`` a path or a list of paths; optional ``id`` and
    ``domain``), or GSM8K's model solutions: ``{question, ground_truth, <model>: {solution, is_correct}, ...}``.
    """

    type: Literal["file"] = Field(default="file", description="Labelled solutions from a JSONL file.")
    path: str = Field(
        min_length=1, description="JSONL file; environment variables such as $RLKD_DATA are expanded."
    )
    references: str | None = Field(
        default=None,
        description="JSONL file with rows {question, answer} whose answers are the teacher's paths, found by the question; "
        "null takes the row's own `teacher` or `ground_truth`.",
    )
    start: Count = Field(default=0, description="First row, from 0.")
    stop: Positive | None = Field(
        default=None, description="Row before which reading stops; null reads to the end."
    )
    strip_marks: bool = Field(
        default=False,
        description="Take calculator marks (`<<2*3=6>>`) out of all paths, as a model that writes prose has none.",
    )

    @model_validator(mode="after")
    def _start_before_stop(self) -> FilePairs:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop ({self.stop}) must be above start ({self.start})")
        return self


PairsConfig = Annotated[WorldPairs | StudentPairs | FilePairs, Field(discriminator="type")]


class Thresholds(Schema):
    """What the reward must reach. Each is optional: null asks nothing. Shares and probabilities are in [0, 1]."""

    auroc_hidden: Fraction | None = Field(
        default=0.7,
        description="At least: lower end of the AUROC's interval, the last step hidden on both sides.",
    )
    baseline_gap: float | None = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="At least: hidden AUROC less that of the best trivial baseline (last number, unordered numbers, same words, length), upper end of its interval.",
    )
    scrambled: Fraction | None = Field(
        default=0.9,
        description="At least: share of right paths whose score falls when a dependent step comes too early.",
    )
    swapped: Fraction | None = Field(
        default=0.9,
        description="At least: share of right paths whose score stays within 0.02 when independent steps are swapped.",
    )
    wrong_value: Fraction | None = Field(
        default=0.9, description="At least: share whose score falls when an intermediate value is wrong."
    )
    wrong_end: Fraction | None = Field(
        default=0.95,
        description="At least: share of teacher paths whose score falls when their end is made wrong.",
    )
    cut_short: Fraction | None = Field(
        default=0.95,
        description="At least: share of teacher paths of three steps or more whose score falls when only their last step, or their second half, is left (the worse of these).",
    )
    last_step: Fraction | None = Field(
        default=0.5,
        description="At most: mean score of the last step alone of teacher paths of three steps or more. Above it, RL may learn to leave out the reasoning.",
    )
    paraphrased: Fraction | None = Field(
        default=0.9, description="At least: share whose score stays within 0.02 when the wording changes."
    )
    padding: Fraction | None = Field(
        default=0.95,
        description="At least: share whose score does not rise with an irrelevant or repeated step, a repeated path, the problem copied in or text aimed at the judge (the worst of these).",
    )
    empty: Fraction | None = Field(default=0.0, description="At most: mean score of an empty path.")
    yes_bias: Fraction | None = Field(
        default=0.1,
        description="At most: share of yes about steps that are certainly different, for the worst of the judge's three questions.",
    )
    parse_failures: Fraction | None = Field(
        default=0.05,
        description="At most: share of paths that the decomposer fails on, or in which it finds no step though they hold some.",
    )
    missing: Fraction | None = Field(default=0.05, description="At most: share of pairs without a score.")
    repeatable: Fraction | None = Field(
        default=0.95,
        description="At least: share of pairs whose score is the same within 0.02 when they are scored again, nothing cached.",
    )
    cost_s: float | None = Field(
        default=None, gt=0, description="At most: seconds for scoring 1,000 completions, nothing cached."
    )


class QualifyConfig(Schema):
    """Qualification of the structure reward, before RL."""

    enabled: bool | None = Field(
        default=None,
        description="Whether it is done. null: where RL trains on the structure reward (rl.enabled, and rewards.alpha or its schedule above 0).",
    )
    pairs: PairsConfig | None = Field(
        default=None,
        description="Where labelled pairs come from. null: the built-in world for its own problems, otherwise the student's samples.",
    )
    limit: int | None = Field(
        default=400, ge=10, description="Most pairs (whole problems, drawn by seed); null takes all."
    )
    changed: Positive = Field(
        default=100, description="Most right paths that are changed to see what the score notices."
    )
    repeats: int = Field(
        default=64,
        ge=2,
        description="Pairs that are scored twice with nothing cached, for repeatability and cost.",
    )
    unrelated: Positive = Field(
        default=100, description="Pairs of steps of unrelated problems that the judge is asked about."
    )
    min_cases: int = Field(
        default=20,
        ge=2,
        description="Cases (for an AUROC: right and wrong pairs each) below which a figure is shown and not held against its threshold.",
    )
    resamples: int = Field(default=1000, ge=100, description="Bootstrap resamples over problems.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Coverage of the intervals.")
    thresholds: Thresholds = Field(default=Thresholds(), description="What it must reach.")
    strict: bool = Field(
        default=False, description="A threshold whose figure could not be measured counts as missed."
    )
    action: Literal["auto", "refuse", "warn"] = Field(
        default="auto",
        description="What a missed threshold does: RL does not start (refuse), or a message and the report say so (warn). auto: refuse where "
        "the reward is broken (baseline_gap, last_step, empty, yes_bias, parse_failures, missing, repeatable), warn where it is only weak.",
    )
