"""Checks the cells of an experiment against each other: what no single cell shows, found before anything starts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rlkd.config.derived import is_enabled
from rlkd.experiments.cell import Cell
from rlkd.pipeline.stages import STAGES, resolve
from schemas.config.data import WorldData
from schemas.config.experiment import ExperimentConfig
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import CheckpointName

SAME = ("data", "student.output", "evaluate")
"""What two cells must share for a difference between them to be the method's: held-out problems, how answers are read and judged."""

APART = ("evaluate.checkpoints", "evaluate.batch_size", "data.world.n_train", "data.sizes.train")
"""Settings of these that may differ: each method evaluates its own last checkpoint, and the number of training problems changes none
that is held out (every source takes those first)."""


def check_cells(experiment: ExperimentConfig, cells: Sequence[Cell], whole: bool) -> list[str]:
    """Lists what is wrong with the cells together, one sentence each.

    Args:
        experiment: The experiment.
        cells: Its cells, those that try values among them.
        whole: Whether these are all; else some were wrong, and nothing is said of what is not there.
    """
    compared = [cell for cell in cells if cell.trial is None]
    return [
        *_long_names(cells),
        *_same_names(cells),
        *_copies(experiment, compared),
        *_untrained(compared),
        *_followed(compared),
        *_tuning(experiment, cells, whole),
        *_unmeasured(experiment, compared),
        *_incomparable(experiment, compared),
        *_too_few_resamples(experiment, compared),
    ]


def _incomparable(experiment: ExperimentConfig, cells: Sequence[Cell]) -> list[str]:
    """Comparisons of the family whose cells are evaluated in different ways, the difference named."""
    if experiment.compare is None:
        return []
    sections = [*SAME, "structures"] if experiment.compare.metric in ("structure", "faithful") else list(SAME)
    by_place = {(cell.method, cell.setting, cell.seed): cell for cell in cells}
    faults: dict[str, None] = {}
    for a, b in experiment.compare.family:
        for (method, setting, seed), cell in by_place.items():
            other = by_place.get((b, setting, seed))
            if method != a or other is None:
                continue
            for section in sections:
                differs = differing(cell.config, other.config, section)
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


_UNSTATED = object()
"""A setting that is left out where it has its default."""


def differing(a: PipelineConfig, b: PipelineConfig, section: str) -> str:
    """Names the first setting of a section in which two configurations differ, with both values; empty where there is none."""
    left, right = (_at(config.model_dump(mode="json"), section) for config in (a, b))
    return first_difference(left, right, section, APART)


def first_difference(left: Any, right: Any, where: str, apart: Sequence[str] = ()) -> str:
    """Names the first setting in which two values of one place differ; empty where there is none.

    Args:
        left: The one value.
        right: The other.
        where: Their place, with dots.
        apart: Places that may differ.
    """
    if where in apart:
        return ""
    if isinstance(left, dict) and isinstance(right, dict):
        found = (
            first_difference(left.get(name, _UNSTATED), right.get(name, _UNSTATED), f"{where}.{name}", apart)
            for name in dict.fromkeys([*left, *right])
        )
        return next((what for what in found if what), "")
    if left == right:
        return ""
    one, other = ("its default" if value is _UNSTATED else json.dumps(value) for value in (left, right))
    return f"{where} ({one} and {other})"


def _long_names(cells: Sequence[Cell]) -> list[str]:
    """Cells whose name is no name of a folder: most file systems take 255 bytes, and `.yaml` and `.log` come after it."""
    return [
        f"cell {cell.name[:40]}... has a name of {len(cell.name)} characters, which is that of its folder; shorten the labels of the grid"
        for cell in cells
        if len(cell.name) > 200
    ]


def _same_names(cells: Sequence[Cell]) -> list[str]:
    """Cells that would share a folder, with the labels that come to the same name: `alpha` and `beta` in Greek come to nothing."""
    by_name: dict[str, list[Cell]] = {}
    for cell in cells:
        by_name.setdefault(cell.name, []).append(cell)
    faults = []
    for name, same in by_name.items():
        if len(same) > 1:
            places = " and ".join(
                dict.fromkeys(", ".join([cell.method, *cell.axes.values()]) for cell in same)
            )
            faults.append(
                f"two cells would be called {name} ({places}); rename a method or a value of the grid, in Latin letters or digits"
            )
    return faults


def _made(config: PipelineConfig) -> str:
    """All that a run's stages are made with, the report left out; settings of stages that it does not have make no difference."""
    values = config.model_dump(mode="json")
    sections = {
        section: _at(values, section)
        for spec in (resolve(spec, config) for spec in STAGES)
        if spec.name != "report" and is_enabled(config, spec.name)
        for section in spec.sections
    }
    return json.dumps(sections, sort_keys=True)


def _at(values: Any, place: str) -> Any:
    for part in place.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _copies(experiment: ExperimentConfig, cells: Sequence[Cell]) -> list[str]:
    """Compared methods, and settings of the grid, that differ in nothing: a difference of exactly 0 would count as a finding.

    Methods that are the same in one setting only are no fault: on an axis of `rewards.alpha` outcome only is RLKD at 0.
    """
    if experiment.compare is None:
        return []
    by_method: dict[str, dict[tuple[str, int], str]] = {}
    by_setting: dict[str, dict[tuple[str, int], str]] = {}
    for cell in cells:
        made = f"{_made(cell.config)} {cell.takes} {cell.follows}"
        by_method.setdefault(cell.method, {})[cell.setting, cell.seed] = made
        by_setting.setdefault(cell.setting, {})[cell.method, cell.seed] = made
    same = [
        *(f"methods {a} and {b}" for a, b in experiment.compare.family if _equal(by_method, a, b)),
        *(
            f"settings {a} and {b}"
            for a, b in itertools.combinations(by_setting, 2)
            if _equal(by_setting, a, b)
        ),
    ]
    return [
        f"{what} are the same: they differ in no setting; take one out, or change what should differ"
        for what in same
    ]


def _equal(made: Mapping[str, Mapping[tuple[str, int], str]], a: str, b: str) -> bool:
    return a in made and made[a] == made.get(b)


def _ends_with(config: PipelineConfig) -> CheckpointName:
    """The checkpoint that a run ends with."""
    if is_enabled(config, "rl"):
        return "rlkd"
    return "warm_start" if is_enabled(config, "warm_start") else "base"


def _untrained(cells: Sequence[Cell]) -> list[str]:
    """Methods that do not evaluate the student that they end with: another one would be compared under their name."""
    wrong = {
        cell.method: _ends_with(cell.config)
        for cell in cells
        if _ends_with(cell.config) not in cell.config.evaluate.checkpoints
    }
    return [
        f"method {method} ends with the student {last}, which evaluate.checkpoints leaves out; add it there"
        for method, last in wrong.items()
    ]


def _followed(cells: Sequence[Cell]) -> list[str]:
    """Methods that go on from the student of one that trains none."""
    by_name = {cell.name: cell for cell in cells}
    wrong = {
        (cell.method, other.method): None
        for cell in cells
        if cell.takes == "student_of"
        and (other := by_name.get(cell.follows)) is not None
        and _ends_with(other.config) == "base"
    }
    return [
        f"method {method} goes on from the student of {other}, which trains none; name a method that does"
        for method, other in wrong
    ]


def _tuning(experiment: ExperimentConfig, cells: Sequence[Cell], whole: bool) -> list[str]:
    """Tuned settings that no method tunes, that change what is evaluated, or that nothing can be chosen by."""
    if experiment.tune is None:
        return []
    faults = []
    for key in experiment.tune.values:
        section = key.partition(".")[0]
        if section not in PipelineConfig.model_fields:
            faults.append(f"tune.values: {key} is no setting; there is no section {section}")
        elif any(key == part or key.startswith(f"{part}.") for part in SAME) and key not in APART:
            faults.append(f"tune.values: {key} changes what is evaluated; tune what a method is trained with")
    if whole and not faults and all(cell.tuned is None for cell in cells):
        names = ", ".join(experiment.tune.values)
        faults.append(
            f"tune.values: no method trains with {names}; tune a section that one does, or take tune out"
        )
    trials = [cell.config for cell in cells if cell.trial is not None]
    if any(held_out(config, "validation") == 0 for config in trials):
        faults.append(
            "tune: there are no validation problems to choose by; set data.world.n_validation or data.sizes.validation"
        )
    return faults


def held_out(config: PipelineConfig, split: str) -> int | None:
    """Tells how many problems of a held-out split there are; ``None`` where that shows only when the data is read.

    Args:
        config: The configuration.
        split: ``validation``, ``test`` or ``ood``. Of a source that is read, sizes are the most that a split may have: 0 alone says it.
    """
    data = config.data
    if isinstance(data, WorldData):
        made: int = getattr(data.world, f"n_{split}")
        return made
    return 0 if getattr(data.sizes, split, None) == 0 else None


def _unmeasured(experiment: ExperimentConfig, cells: Sequence[Cell]) -> list[str]:
    """Cells without a figure on the split that is compared."""
    compare = experiment.compare
    if compare is None:
        return []
    named = {name for pair in compare.family for name in pair}
    faults: dict[str, None] = {}
    for cell in cells:
        if cell.method not in named:
            continue
        if compare.split not in cell.config.evaluate.splits:
            faults[
                f"compare.split is {compare.split}, which evaluate.splits leaves out for method {cell.method}; add it, or compare another split"
            ] = None
        elif held_out(cell.config, compare.split) == 0:
            where = f" with {cell.setting}" if cell.setting else ""
            faults[
                f"there are no {compare.split} problems to compare on{where}; make some, or compare another split"
            ] = None
    return list(faults)
