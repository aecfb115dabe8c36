"""The plan of an experiment: every cell with its configuration, all of them valid before anything starts."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from typing import Any

from rlkd.config.derived import is_enabled
from rlkd.config.load import load_overlaid, overlay
from rlkd.errors import CheckpointError, ConfigError
from rlkd.experiments.methods import circles, method_names, one_line, read_methods, taken_from
from rlkd.pipeline.stages import STAGES
from rlkd.student.checkpoints import check_local_path
from rlkd.training.rl import check_settings
from schemas.base import JsonValue
from schemas.config.experiment import Axis, ExperimentConfig
from schemas.config.pipeline import PipelineConfig


@dataclass(frozen=True)
class Cell:
    """One run of an experiment.

    Attributes:
        name: Its name, and that of its folder.
        method: Its method.
        seed: Its seed.
        setting: Its place in the grid, in words; empty without a grid.
        axes: The value on each axis of the grid, as a text.
        config: Its configuration.
        follows: Name of the cell whose result a setting of this one is taken from; empty for none.
        takes: What is taken: the operations that it cost (``flops_of``), or the student that it ended with (``student_of``).
        trial: What it tries, where it is there for the choice of a setting; ``None`` where it is compared.
        tuned: What its setting is chosen from; ``None`` where nothing is chosen for it.
    """

    name: str
    method: str
    seed: int
    setting: str
    axes: Mapping[str, str]
    config: PipelineConfig = field(repr=False)
    follows: str = ""
    takes: str = ""
    trial: Trial | None = None
    tuned: Tuned | None = field(default=None, repr=False)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the cells that must be finished before it starts."""
        trials = self.tuned.cells if self.tuned is not None else ()
        return (*([self.follows] if self.follows else []), *(cell.name for cell in trials))


@dataclass(frozen=True)
class Trial:
    """A value that a cell tries: a configuration key with dots, the value, and its place among those tried."""

    key: str
    value: JsonValue
    index: int


@dataclass(frozen=True)
class Tuned:
    """What the value of a configuration key is chosen from.

    Attributes:
        key: The key, with dots: ``rl.temperature``.
        metric: The validation score that the best is told by, as it is named among a cell's scores.
        cells: The cells that try its values, on seeds of their own.
    """

    key: str
    metric: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _Point:
    """One setting of the grid: values of the axes in words, and the settings that they stand for."""

    axes: dict[str, str]
    values: dict[str, Any]

    @property
    def text(self) -> str:
        return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in self.axes.items())


def plan_cells(experiment: ExperimentConfig, methods: Traversable, presets: Traversable) -> list[Cell]:
    """Makes every cell of an experiment: for each setting and seed all methods, so that what is comparable is made together.

    Args:
        experiment: The experiment.
        methods: Folder of the methods that ship with the project.
        presets: Folder of the presets.

    Raises:
        ConfigError: A method or a cell is wrong; the message lists every fault, one sentence each.
    """
    overlays, faults = read_methods(experiment.methods, methods)
    # One name would stand for two methods: `similarity` in flows/methods has a warm start, a variant of credit-zero none.
    faults += [
        f"variant {name} has the name of a method that is something else; give it another ({name}-{experiment.variant_of})"
        for name in experiment.variants
        if name in method_names(methods)
    ]
    base = overlays.get(experiment.variant_of or "", {})
    overlays |= {name: overlay(base, values) for name, values in experiment.variants.items()}
    after = {
        name: taken_from(name, values.pop("experiment", None), overlays, faults)
        for name, values in overlays.items()
    }
    faults += circles({name: other for name, (_, other) in after.items()})
    plan = _Plan(experiment, presets, overlays, after, faults)
    cells: list[Cell] = []
    for point in _points(experiment.grid):
        tuned = {method: plan.tuned(method, point) for method in overlays}
        cells += [cell for found in tuned.values() if found is not None for cell in found.cells]
        for seed, method in itertools.product(experiment.seeds, overlays):
            if (cell := plan.cell(method, point, seed)) is not None:
                cells.append(replace(cell, tuned=tuned[method]))
    names = [cell.name for cell in cells]
    faults += [
        f"two cells would be called {name}; rename a method or a value of the grid"
        for name in dict.fromkeys(name for name in names if names.count(name) > 1)
    ]
    faults += [*_incomparable(experiment, cells), *_too_few_resamples(experiment, cells)]
    if faults:
        head = f"experiment {experiment.name}: {len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise ConfigError("\n".join([head, *(f"  - {fault}" for fault in faults)]))
    return cells


_TRIED_ON: dict[str, Any] = {
    "evaluate": {"splits": ["validation"], "samples": 0, "pass_at": [], "benchmarks": []},
    "tracking": {"registered_model": ""},
}
"""How a cell that tries a value differs from one that is compared: it sees no test problem, and registers no student."""


@dataclass(frozen=True)
class _Plan:
    """Makes single cells; what is wrong with one goes to the faults."""

    experiment: ExperimentConfig
    presets: Traversable
    overlays: Mapping[str, dict[str, Any]]
    after: Mapping[str, tuple[str, str]]
    faults: list[str]

    def cell(self, method: str, point: _Point, seed: int, trial: Trial | None = None) -> Cell | None:
        """A method under a seed and a setting, with a value tried where there is a trial; ``None`` where it is wrong."""
        name = _cell_name(method, point, seed, trial)
        layers = [self.experiment.settings, point.values, self.overlays[method]]
        layers += [nested(trial.key, trial.value), _TRIED_ON] if trial is not None else []
        try:
            config = load_overlaid(
                self.experiment.base, [*layers, {"name": name, "seed": seed}], self.presets
            )
            check_settings(config)
            if config.student.model.type == "checkpoint":
                check_local_path(config.student.model.path)
        except (ConfigError, CheckpointError) as error:
            self.faults.append(f"cell {name}: {one_line(str(error))}")
            return None
        takes, other = self.after[method]
        follows = self._followed(other, point, seed, trial) if other else ""
        return Cell(name, method, seed, point.text, point.axes, config, follows, takes, trial)

    def _followed(self, other: str, point: _Point, seed: int, trial: Trial | None) -> str:
        """The cell of another method that goes first; of its trials the one at the same place among the values."""
        if trial is None:
            return _cell_name(other, point, seed)
        key = self._key_of(other, point)
        values = self.experiment.tune.values[key] if self.experiment.tune and key else []
        its = Trial(key, values[trial.index], trial.index) if values else None
        return _cell_name(other, point, seed, its)

    def tuned(self, method: str, point: _Point) -> Tuned | None:
        """The cells that try a method's values; ``None`` where nothing is tuned, or the method trains nothing."""
        tune, key = self.experiment.tune, self._key_of(method, point)
        if tune is None or not key:
            return None
        for where, layer in (("the grid", point.values), (f"method {method}", self.overlays[method])):
            if _has(layer, key):
                self.faults.append(f"{key} is tuned, but {where} sets it; take it out of one of them")
                return None
        found = [
            self.cell(method, point, seed, Trial(key, value, i))
            for i, value in enumerate(tune.values[key])
            for seed in tune.seeds
        ]
        return Tuned(key, tune.split_metric, tuple(cell for cell in found if cell is not None))

    def _key_of(self, method: str, point: _Point) -> str:
        """The first of the tuned keys that changes what a method trains; empty for none."""
        if self.experiment.tune is None:
            return ""
        layers = [self.experiment.settings, point.values, self.overlays[method]]
        try:
            config = load_overlaid(self.experiment.base, layers, self.presets)
        except ConfigError:
            return ""  # the cell itself says what is wrong
        training = [spec for spec in STAGES if spec.family == "train" and spec.name != "qualify"]
        made = [spec for spec in training if is_enabled(config, spec.name)]
        covered = {section.partition(".")[0] for spec in made for section in spec.sections}
        covered |= {"data", "traces"} if made else set()
        return next((name for name in self.experiment.tune.values if name.partition(".")[0] in covered), "")


def _has(values: Mapping[str, Any], dotted: str) -> bool:
    """Whether settings set one that is named with dots."""
    found: Any = values
    for part in dotted.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return True


def _cell_name(method: str, point: _Point, seed: int, trial: Trial | None = None) -> str:
    first, last = ([], []) if trial is None else (["tune"], [_word(trial.value)])
    return _slug("-".join([*first, method, *point.axes.values(), *last, f"s{seed}"]))


def _points(grid: Mapping[str, Axis]) -> list[_Point]:
    """Every combination of the axes' values; one empty setting without axes."""
    points = [_Point({}, {})]
    for name, axis in grid.items():
        if isinstance(axis, dict):
            choices = [(label, values) for label, values in axis.items()]
        else:
            choices = [(_word(value), nested(name, value)) for value in axis]
        points = [
            _Point({**point.axes, name: label}, overlay(point.values, values))
            for point in points
            for label, values in choices
        ]
    return points


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """Turns a setting that is named with dots into sections: ``{"a.b": 1}`` into ``{"a": {"b": 1}}``."""
    for part in reversed(dotted.split(".")):
        value = {part: value}
    found: dict[str, Any] = value
    return found


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")


_SAME = ("data", "student.output", "evaluate")
"""What two cells must share for a difference between them to be the method's: held-out problems, how answers are read and judged."""

_APART = ("evaluate.checkpoints", "evaluate.batch_size", "data.world.n_train", "data.sizes.train")
"""Settings of these that may differ: each method evaluates its own last checkpoint, and the number of training problems changes none
that is held out (every source takes those first)."""


def _incomparable(experiment: ExperimentConfig, cells: Sequence[Cell]) -> list[str]:
    """Comparisons of the family whose cells are evaluated in different ways, the difference named."""
    if experiment.compare is None:
        return []
    sections = (
        [*_SAME, "structures"] if experiment.compare.metric in ("structure", "faithful") else list(_SAME)
    )
    by_place = {(cell.method, cell.setting, cell.seed): cell for cell in cells if cell.trial is None}
    faults: dict[str, None] = {}
    for a, b in experiment.compare.family:
        for (method, setting, seed), cell in by_place.items():
            other = by_place.get((b, setting, seed))
            if method != a or other is None:
                continue
            for section in sections:
                differs = _differing(cell.config, other.config, section)
                if differs:
                    faults[f"{a} and {b} cannot be compared: they differ in {differs}"] = None
    return list(faults)


def _too_few_resamples(experiment: ExperimentConfig, cells: Sequence[Cell]) -> list[str]:
    """A fault where the family is so large that the least p-value, 2 / (resamples + 1), is not below the level once corrected."""
    compare = experiment.compare
    if compare is None:
        return []
    comparisons = len(compare.family) * len({cell.setting for cell in cells})
    least = 2 * comparisons / (compare.resamples + 1)
    if least < compare.level:
        return []
    needed = int(2 * comparisons / compare.level) + 1
    return [
        f"compare.resamples: with {compare.resamples} resamples and {comparisons} comparisons no corrected p-value is below {least:.2g}, and none "
        f"could be below the level {compare.level:g}; take more than {needed} resamples or compare less"
    ]


def _differing(a: PipelineConfig, b: PipelineConfig, section: str) -> str:
    """The first setting of a section in which two configurations differ; empty where there is none."""
    left, right = (config.model_dump(mode="json") for config in (a, b))
    for part in section.split("."):
        left, right = left[part], right[part]
    return _first_difference(left, right, section)


def _first_difference(left: Any, right: Any, where: str) -> str:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys([*left, *right]):
            if f"{where}.{name}" in _APART:
                continue
            if found := _first_difference(left.get(name), right.get(name), f"{where}.{name}"):
                return found
        return ""
    return "" if left == right else f"{where} ({json.dumps(left)} and {json.dumps(right)})"
