"""A cell of an experiment: one method under one seed and one setting of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.base import JsonValue
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
