"""Configuration of an experiment: one base configuration under several methods, seeds and settings."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from schemas.base import OPERATIONAL, JsonValue, Schema, Seed
from schemas.config.named import NamedConfig

EXPERIMENT = "experiment"
Item = TypeVar("Item")
Axis = list[JsonValue] | dict[str, dict[str, JsonValue]]


class PowerConfig(Schema):
    """What is assumed before anything runs, to say what a comparison could show."""

    power: float = Field(default=0.8, gt=0.5, lt=1, description="Probability of finding the difference.")
    disagree: float = Field(
        default=0.2, gt=0, le=1, description="Share of the problems that one of two methods alone gets right."
    )
    seed_sd: float = Field(
        default=0.03, ge=0, lt=1, description="Standard deviation of the difference between seeds."
    )


class CompareConfig(Schema):
    """What is compared, by which figure, and what counts as a difference: fixed before anything runs."""

    metric: Literal["accuracy", "structure", "faithful"] = Field(
        description="The primary metric: the one that the verdicts are about. `faithful` is the share that is right by a right path: with a "
        "structure score of one half at least."
    )
    split: Literal["test", "ood"] = Field(default="test", description="Held-out split that it is taken on.")
    family: list[tuple[str, str]] = Field(
        min_length=1,
        description="Pairs of methods, [A, B]: is A better than B? Their p-values are corrected together (Holm), over "
        "every setting of the grid.",
    )
    margin: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="Difference below which two methods count as equivalent (TOST).",
    )
    level: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Error rate of the family, and of the test of equivalence.",
    )
    over: Literal["seeds", "problems"] = Field(
        default="seeds",
        description="What the intervals speak for: other seeds and other problems (seeds), or other problems under these "
        "very seeds (problems).",
    )
    resamples: int = Field(
        default=10_000,
        ge=200,
        description="Bootstrap resamples. No p-value is below 2 / (resamples + 1), and Holm's correction multiplies it by up to the number of "
        "comparisons.",
    )
    cluster: str | None = Field(
        default="cluster",
        description="Key of a problem's metadata: problems that have the same there (a passage, a template) are resampled together. A problem "
        "without it stands alone; null resamples every problem by itself.",
    )
    power: PowerConfig = Field(default=PowerConfig(), description="What the statement of power assumes.")

    @field_validator("family")
    @classmethod
    def _two_methods(cls, value: list[tuple[str, str]]) -> list[tuple[str, str]]:
        for pair in value:
            if pair[0] == pair[1]:
                raise ValueError(f"{pair[0]} cannot be compared with itself")
        if len({frozenset(pair) for pair in value}) < len(value):
            raise ValueError("a comparison is named twice; name each pair of methods once")
        return value


class TuneConfig(Schema):
    """The same number of values of a setting tried for every method, on validation and on seeds that are not compared."""

    values: dict[str, list[JsonValue]] = Field(
        min_length=1,
        description="Settings with the values that are tried, as many of each: a method tunes the first of them whose section it has "
        "enabled (`rl.optimizer.learning_rate` where it has RL, else `warm_start.optimizer.learning_rate`). Of equal ones the first wins.",
    )
    seeds: list[Seed] = Field(
        min_length=1, description="Seeds that the values are tried on; none of those that are compared."
    )
    metric: Literal["validation accuracy", "validation structure"] = Field(
        default="validation accuracy",
        description="What the best value is chosen by: greedy answers of the last student to the validation problems.",
    )

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, value: list[int]) -> list[int]:
        return once(value)

    @field_validator("values")
    @classmethod
    def _equally_many(cls, value: dict[str, list[JsonValue]]) -> dict[str, list[JsonValue]]:
        for name, tried in value.items():
            if len(tried) < 2:
                raise ValueError(f"{name} has {len(tried)} values; give it at least two to choose from")
            if twice := [item for i, item in enumerate(tried) if item in tried[:i]]:
                raise ValueError(f"{name} has {twice[0]} twice; name each value once")
        if len({len(tried) for tried in value.values()}) > 1:
            counts = ", ".join(f"{name} {len(tried)}" for name, tried in value.items())
            raise ValueError(
                f"methods would try different numbers of values ({counts}); give each setting as many"
            )
        return value

    @property
    def split_metric(self) -> str:
        """Name of the metric among a cell's scores."""
        return self.metric.replace(" ", "/")


class ExperimentConfig(NamedConfig):
    """A base configuration x methods x seeds x a grid of settings; each cell is an ordinary run."""

    kind: Literal["experiment"] = Field(default="experiment", description="Says that this is an experiment.")
    base: str = Field(min_length=1, description="Preset or file of the configuration that all cells share.")
    settings: dict[str, JsonValue] = Field(
        default_factory=dict, description="Sections that replace those of the base, in every cell."
    )
    methods: list[str] = Field(
        min_length=1,
        description="Names of methods (flows/methods), or paths of YAML files with what differs.",
    )
    variant_of: str | None = Field(
        default=None, description="The method that `variants` differ from; it must be among the methods."
    )
    variants: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="Further methods by name, each with the settings in which it differs from `variant_of`: an ablation.",
    )
    seeds: list[Seed] = Field(min_length=1, description="Seeds; every method runs under each.")
    grid: dict[str, Axis] = Field(
        default_factory=dict,
        description="Axes: a setting with its values (`rewards.alpha: [0, 0.5]`), or a name with named settings "
        "(`regime: {sparse: {warm_start: {enabled: false}}, ...}`). A method's own settings win over an axis.",
    )
    tune: TuneConfig | None = Field(
        default=None,
        description="Equal tuning: values tried on validation before the seeds run; null takes every setting as it is.",
    )
    compare: CompareConfig | None = Field(
        default=None, description="The comparisons and their statistics; null only tabulates."
    )
    concurrent: Annotated[int, OPERATIONAL] = Field(
        default=1, ge=1, description="Cells that run at the same time."
    )

    @field_validator("methods", "seeds")
    @classmethod
    def _once(cls, value: list[JsonValue]) -> list[JsonValue]:
        return once(value)

    @field_validator("grid")
    @classmethod
    def _axes_have_values(cls, value: dict[str, Axis]) -> dict[str, Axis]:
        for name, axis in value.items():
            if not axis:
                raise ValueError(f"{name} has no values; give it some, or leave it out")
        return value

    @model_validator(mode="after")
    def _variants_of_a_method(self) -> ExperimentConfig:
        labels = [method_label(method) for method in self.methods]
        if self.variants and self.variant_of not in labels:
            raise ValueError(
                f"variants differ from variant_of, which is {self.variant_of or 'not set'}; name one of the methods ({', '.join(labels)})"
            )
        for name in self.variants:
            if name in labels:
                raise ValueError(f"variants.{name} has the name of a method; rename it")
        return self

    @model_validator(mode="after")
    def _tuned_on_other_seeds(self) -> ExperimentConfig:
        shared = sorted(set(self.seeds) & set(self.tune.seeds)) if self.tune else []
        if shared:
            raise ValueError(
                f"tune.seeds has seed {shared[0]}, which is compared as well; tune on other seeds"
            )
        return self

    @model_validator(mode="after")
    def _comparable(self) -> ExperimentConfig:
        if self.compare is None:
            return self
        known = {method_label(method) for method in self.methods} | set(self.variants)
        for name in (name for pair in self.compare.family for name in pair):
            if name not in known:
                raise ValueError(
                    f"compare.family names {name}, which is not among the methods ({', '.join(sorted(known))})"
                )
        if self.compare.over == "seeds" and len(self.seeds) < 2:
            raise ValueError(
                "compare.over is seeds, which needs at least two seeds; add seeds, or set compare.over to problems"
            )
        return self


def once(values: list[Item]) -> list[Item]:
    """Returns a list in which nothing stands twice.

    Raises:
        ValueError: Something does.
    """
    twice = [item for i, item in enumerate(values) if item in values[:i]]
    if twice:
        raise ValueError(f"{twice[0]} is named twice; name it once")
    return values


def method_label(method: str) -> str:
    """Returns the name of a method that is given by name or by the path of its file."""
    last = method.replace("\\", "/").rpartition("/")[2]
    return last.removesuffix(".yaml").removesuffix(".yml")
