"""What an experiment found: budgets, ranking, comparisons with verdicts (``experiment.json``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, JsonValue, Schema
from schemas.evaluation import Interval

CellStatus = Literal["done", "failed", "missing"]
VerdictWord = Literal["better", "worse", "equivalent", "no difference shown", "missing", "not comparable"]


class Budget(Schema):
    """What a cell cost, as if its shared stages had been made for it alone, and so the cell whose student it goes on from.

    Attributes:
        parameters: Weights of the student (N).
        sampled: Tokens that the student sampled in RL, and to write its own traces.
        trained: Tokens that went forward and backward, prompts included, in SFT and RL.
        teacher: Tokens of the teacher's paths that it learned from, as the student's tokenizer counts them.
        scored: Tokens of the student that a teacher model scored (``rl.objective.distil``).
        judged: Pairs of steps that a judge compared to reward samples, whether it worked each out or knew it from its cache.
        money: What sampled teachers cost, in their currency.
        steps: Optimiser steps of SFT and RL.
        flops: 2N for a token forward and 6N for a trained one.
        seconds: Wall time of its stages, evaluation left out.
    """

    parameters: int | None = None
    scored: int = 0
    judged: int = 0
    money: float = 0.0
    sampled: int = 0
    trained: int = 0
    teacher: int = 0
    steps: int = 0
    flops: float | None = None
    seconds: float = 0.0

    def after(self, earlier: Budget) -> Budget:
        """Adds what was spent before; operations that are not known for one are not known for both."""
        spent = {
            name: getattr(self, name) + getattr(earlier, name)
            for name in ("scored", "judged", "money", "sampled", "trained", "teacher", "steps", "seconds")
        }
        known = self.flops is not None and earlier.flops is not None
        return self.model_copy(
            update={**spent, "flops": (self.flops or 0) + (earlier.flops or 0) if known else None}
        )


class CurvePoint(Schema):
    """Validation accuracy at a step of RL, with what had been spent by then."""

    step: int
    sampled: int
    flops: float | None
    accuracy: float
    structure: float | None = None

    def after(self, earlier: Budget) -> CurvePoint:
        """Adds what was spent before RL began."""
        known = self.flops is not None and earlier.flops is not None
        flops = (self.flops or 0) + (earlier.flops or 0) if known else None
        return self.model_copy(update={"sampled": self.sampled + earlier.sampled, "flops": flops})


class CellResult(Schema):
    """One cell: a method under one seed and one setting of the grid.

    Attributes:
        cell: Its name and folder.
        status: ``missing`` where it has not run.
        error: What it failed of.
        scores: Figures of its last checkpoint by split, e.g. ``test/accuracy``: greedy ``accuracy``, ``structure``, ``truncated`` (at the
            length limit), ``faithful`` (right by a right path), and ``pass@k`` of samples; ``train/silent``, the share of
            groups without a signal at the end of RL; ``train/alarms`` of its watch; ``train/start``, validation accuracy before RL.
        domains: Greedy accuracy in each domain of the primary split.
        budget: What it cost; ``None`` where it is not finished.
        curve: Validation in RL.
    """

    cell: str
    method: str
    seed: int
    setting: str = ""
    axes: dict[str, JsonValue] = Field(default_factory=dict)
    status: CellStatus = "missing"
    error: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    domains: dict[str, float] = Field(default_factory=dict)
    budget: Budget | None = None
    curve: tuple[CurvePoint, ...] = ()


class MethodRow(Schema):
    """A method under one setting; ``value`` only where no seed is missing."""

    method: str
    setting: str
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    value: Interval | None
    per_seed: dict[str, float]
    truncated: float | None = None
    shown: dict[str, float] = Field(default_factory=dict)
    """Means over the seeds of the other figures of :class:`CellResult`, on the primary split; none where a seed is missing."""


class ComparisonRow(Schema):
    """A minus B in the primary metric, under one setting.

    Attributes:
        verdict: In a word.
        sentence: In a sentence, made from the numbers.
        difference: A minus B with its interval; ``None`` where it cannot be made.
        equivalence: The interval that must lie within the margin for the methods to be equivalent (coverage 1 - 2 x level).
        p: Two-sided, of this comparison alone.
        p_holm: Corrected over the family.
        p_is_bound: Whether no resample lies beyond 0, so that the p-values are no larger than these, and may be smaller.
        per_seed: A minus B of each seed that both have.
        wins: Problems (of all seeds) that A alone gets right, and B alone; for accuracy.
        effect: Cohen's h of the two accuracies; for accuracy.
        axes: The setting, by axis of the grid.
    """

    a: str
    b: str
    setting: str
    verdict: VerdictWord
    sentence: str
    difference: Interval | None = None
    equivalence: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None
    p_is_bound: bool = False
    per_seed: dict[str, float] = Field(default_factory=dict)
    wins: tuple[int, int] | None = None
    effect: float | None = None
    axes: dict[str, JsonValue] = Field(default_factory=dict)


class Example(Schema):
    """A problem that one of two methods alone gets right, with both completions; ``cut`` at the length limit."""

    a: str
    b: str
    problem_id: str
    question: str
    winner: str
    a_text: str
    b_text: str
    a_cut: bool = False
    b_cut: bool = False


class TuningRow(Schema):
    """A value of a setting that was tried for a method, on validation.

    Attributes:
        method: The method.
        setting: The setting of the grid, as in :class:`MethodRow`.
        tuned: The setting whose values are tried; empty for a method that has nothing to tune.
        value: The value.
        per_seed: Its validation score under each seed that is finished.
        score: Their mean; ``None`` where a seed is missing.
        chosen: Whether the method's seeds ran with it.
        at_edge: Whether it is the smallest or largest value and was chosen: a better one may lie outside.
        missing: Cells that are not finished.
        error: Why the first of them failed.
        seconds: Wall time of its cells, evaluation left out.
        flops: Operations of its cells; ``None`` where they cannot be told.
    """

    method: str
    setting: str = ""
    tuned: str = ""
    value: JsonValue = None
    per_seed: dict[str, float] = Field(default_factory=dict)
    score: float | None = None
    chosen: bool = False
    at_edge: bool = False
    missing: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    flops: float | None = None


class EqualBudgetRow(Schema):
    """Validation accuracy of a method once every method has spent the same; ``None`` where it has no curve or a seed is missing."""

    method: str
    setting: str
    budget: float
    accuracy: float | None


class ExperimentReport(Schema):
    """Everything that an experiment found (``experiment.json``)."""

    name: str
    description: str = ""
    metric: str = "accuracy"
    split: str = "test"
    margin: float | None = None
    level: float = 0.05
    over: str = "seeds"
    cells: tuple[CellResult, ...] = ()
    ranking: tuple[MethodRow, ...] = ()
    comparisons: tuple[ComparisonRow, ...] = ()
    summaries: tuple[str, ...] = ()
    equal_sampled: tuple[EqualBudgetRow, ...] = ()
    equal_flops: tuple[EqualBudgetRow, ...] = ()
    tuning: tuple[TuningRow, ...] = ()
    tuned_by: str = ""
    power: str = ""
    examples: tuple[Example, ...] = ()
    schema_version: int = SCHEMA_VERSION
