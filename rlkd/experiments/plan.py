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
from rlkd.config.layers import Layer, overlay
from rlkd.config.load import load_overlaid
from rlkd.errors import CheckpointError, ConfigError
from rlkd.experiments.cell import Cell, Trial, Tuned
from rlkd.experiments.checks import check_cells
from rlkd.experiments.methods import circles, method_names, one_line, read_methods, taken_from
from rlkd.pipeline.stages import STAGES
from rlkd.student.checkpoints import check_local_path
from rlkd.training.rl import check_settings
from schemas.config.experiment import Axis, ExperimentConfig


@dataclass(frozen=True)
class _Point:
    """One setting of the grid: values of the axes in words, and a layer of settings that each stands for."""

    axes: dict[str, str]
    layers: tuple[Layer, ...]

    @property
    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for layer in self.layers:
            values = overlay(values, layer.values)
        return values

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
        name: taken_from(name, values.pop("experiment", None), overlays, faults, method_names(methods))
        for name, values in overlays.items()
    }
    faults += circles({name: other for name, (_, other) in after.items()})
    points = _points(experiment.grid)
    faults += _given_elsewhere(experiment, points, overlays)
    plan = _Plan(experiment, presets, overlays, after, faults)
    cells: list[Cell] = []
    for point in points:
        tuned = {method: plan.tuned(method, point) for method in overlays}
        cells += [cell for found in tuned.values() if found is not None for cell in found.cells]
        for seed, method in itertools.product(experiment.seeds, overlays):
            if (cell := plan.cell(method, point, seed)) is not None:
                cells.append(replace(cell, tuned=tuned[method]))
    faults += [*plan.cell_faults(), *check_cells(experiment, cells, whole=not plan.wrong)]
    if faults := list(dict.fromkeys(faults)):
        head = f"experiment {experiment.name}: {len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise ConfigError("\n".join([head, *(f"  - {fault}" for fault in faults)]))
    return cells


def _given_elsewhere(
    experiment: ExperimentConfig, points: Sequence[_Point], overlays: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Places that set what the cells get from the experiment itself: it would be passed over without a word."""
    layers = [
        ("settings", experiment.settings),
        *((f"method {name}", layer) for name, layer in overlays.items()),
    ]
    layers += [("the grid", point.values) for point in points]
    if experiment.tune is not None:
        layers += [("tune.values", {name.partition(".")[0]: None}) for name in experiment.tune.values]
    given = {"seed": "the seeds stand in `seeds`", "name": "each cell has a name of its own"}
    return [
        f"{where} sets {key}, but {why}; take it out there"
        for where, layer in layers
        for key, why in given.items()
        if key in layer
    ]


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
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """Names of the cells with a fault, by the fault."""

    def cell_faults(self) -> list[str]:
        """What is wrong with cells, once for all cells that it is wrong with."""
        return [
            f"cell {names[0]}: {fault}"
            if len(names) == 1
            else f"{len(names)} cells ({names[0]} to {names[-1]}): {fault}"
            for fault, names in self.wrong.items()
        ]

    def cell(self, method: str, point: _Point, seed: int, trial: Trial | None = None) -> Cell | None:
        """A method under a seed and a setting, with a value tried where there is a trial; ``None`` where it is wrong."""
        name = _cell_name(method, point, seed, trial)
        layers = self._layers(method, point)
        if trial is not None:
            layers += [Layer("tune.values", nested(trial.key, trial.value)), Layer("tune", _TRIED_ON)]
        layers.append(Layer("the experiment", {"name": name, "seed": seed}))
        try:
            config = load_overlaid(self.experiment.base, layers, self.presets)
            check_settings(config)
            if config.student.model.type == "checkpoint":
                check_local_path(config.student.model.path)
        except (ConfigError, CheckpointError) as error:
            self.wrong.setdefault(one_line(str(error)), []).append(name)
            return None
        takes, other = self.after[method]
        follows = self._followed(other, point, seed, trial) if other else ""
        return Cell(name, method, seed, point.text, point.axes, config, follows, takes, trial)

    def _layers(self, method: str, point: _Point) -> list[Layer]:
        """What is laid over the base, by the names that a fault is told by."""
        kind = "variant" if method in self.experiment.variants else "method"
        return [
            Layer("settings of the experiment", self.experiment.settings),
            *point.layers,
            Layer(f"{kind} {method}", self.overlays[method]),
        ]

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
        try:
            config = load_overlaid(self.experiment.base, self._layers(method, point), self.presets)
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
    points = [_Point({}, ())]
    for name, axis in grid.items():
        if isinstance(axis, dict):
            choices = [(label, Layer(f"grid.{name}.{label}", values)) for label, values in axis.items()]
        else:
            choices = [(_word(value), Layer(f"grid.{name}", nested(name, value))) for value in axis]
        points = [
            _Point({**point.axes, name: label}, (*point.layers, layer))
            for point in points
            for label, layer in choices
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
