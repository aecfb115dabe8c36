"""Figures over training steps: from the ledger of rewards and from the stages' metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.evaluation.metrics import FAITHFUL
from rlkd.rewards.scoring import RIGHT
from rlkd.rewards.statistics import SAME
from schemas.report import Quadrant, RewardHealth
from schemas.rollout import RewardRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = ("step", "group", "reward", "structure", "outcome", "format", "tokens", "finish_reason")


@dataclass(frozen=True)
class Series:
    """Values over steps, missing ones left out."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


@dataclass(frozen=True)
class RewardCurves:
    """What the ledger says, step by step and in parts.

    Attributes:
        curves: Mean of each component over a step's completions, and shares of completions or groups,
            by name (``reward``, ``structure``, ``outcome``, ``format``, ``tokens``, ``truncated``,
            ``no_signal``, ``missing``, and what ``rewards.components`` adds).
        health: Early, late and all of training.
        quadrants: Structure against outcome, early and late.
    """

    curves: dict[str, Series] = field(default_factory=dict)
    health: tuple[RewardHealth, ...] = ()
    quadrants: tuple[Quadrant, ...] = ()


def read_metrics(path: Path) -> dict[str, Series]:
    """Reads the series in a ``metrics.jsonl`` (rows ``{"step": n, name: value, ...}``); empty where there is no file.

    Values that are not finite numbers are left out, and so is a last line that a killed process left unfinished.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row: dict[str, Any] = json.loads(line)
            except ValueError:
                if line.endswith("\n"):
                    raise
                break
            step = row.pop("step")
            for name, value in row.items():
                if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                    found.setdefault(name, []).append((step, value))
    return {name: Series(*zip(*sorted(pairs), strict=True)) for name, pairs in found.items()}


def first_of(series: dict[str, Series], *names: str) -> Series:
    """Finds the first series that is there, of several names that the same figure may have."""
    return next((series[name] for name in names if name in series), Series())


def read_ledger(folder: Path) -> RewardCurves:
    """Summarises a ledger (a folder of Parquet files); empty where there is none."""
    if not folder.is_dir() or not any(folder.glob("*.parquet")):
        return RewardCurves()
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = pq.ParquetDataset(folder).schema.names
    further = [name for name in names if name not in {*_COLUMNS, *RewardRecord.model_fields, "length"}]
    table = pq.read_table(folder, columns=[*_COLUMNS, *further])
    if table.num_rows == 0:
        return RewardCurves()
    columns: dict[str, NDArray[np.float64]] = {
        name: table[name].cast(pa.float64()).to_numpy()
        for name in (*_COLUMNS, *further)
        if name != "finish_reason"
    }
    columns["truncated"] = pc.equal(table["finish_reason"], "length").to_numpy().astype(np.float64)
    return summarise(columns)


def summarise(columns: dict[str, NDArray[np.float64]]) -> RewardCurves:
    """Summarises ledger columns (one value per completion; missing ones are NaN)."""
    import numpy as np

    steps = np.unique(columns["step"])
    groups = _groups(columns)
    curves = {
        name: _means(columns["step"], columns[name]) for name in columns if name not in ("step", "group")
    }
    curves["missing"] = _means(columns["step"], np.isnan(columns["reward"]).astype(np.float64))
    curves["no_signal"] = _means(groups[:, 0], groups[:, 1])
    share = max(1, len(steps) // 5)
    parts: tuple[tuple[str, NDArray[np.float64]], ...] = (
        (f"first {_steps(share)}", steps[:share]),
        (f"last {_steps(share)}", steps[-share:]),
        ("the only step" if len(steps) == 1 else f"all {_steps(len(steps))}", steps),
    )
    if len(steps) < 2:
        parts = parts[-1:]
    chosen = [(label, np.isin(columns["step"], of), np.isin(groups[:, 0], of)) for label, of in parts]
    return RewardCurves(
        curves=curves,
        health=tuple(_health(label, columns, rows, groups[in_part]) for label, rows, in_part in chosen),
        quadrants=tuple(
            quadrant(label, columns["structure"][rows].tolist(), columns["outcome"][rows].tolist())
            for label, rows, _ in chosen[:2]
        ),
    )


def quadrant(label: str, structure: Sequence[float | None], outcome: Sequence[float | None]) -> Quadrant:
    """Computes the shares of the four combinations of answer and structure, over rows that have both."""
    rows = [
        (s >= FAITHFUL, o >= RIGHT)
        for s, o in zip(structure, outcome, strict=True)
        if s is not None and o is not None and not math.isnan(s) and not math.isnan(o)
    ]
    total = max(1, len(rows))
    return Quadrant(
        label=label,
        n=len(rows),
        right_structured=rows.count((True, True)) / total,
        right_unstructured=rows.count((False, True)) / total,
        wrong_structured=rows.count((True, False)) / total,
        wrong_unstructured=rows.count((False, False)) / total,
    )


def smooth(series: Series, window: int) -> Series:
    """Computes the centred moving average; near the ends over what there is."""
    half = window // 2
    values = series.values
    means = [
        sum(part) / len(part)
        for part in (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    ]
    return Series(series.steps, tuple(means))


def _steps(count: int) -> str:
    return "step" if count == 1 else f"{count} steps"


def _means(keys: NDArray[np.float64], values: NDArray[np.float64]) -> Series:
    """Mean of the values that are there, for each key in ascending order; a key without any is left out."""
    import numpy as np

    there = ~np.isnan(values)
    found, index = np.unique(keys[there], return_inverse=True)
    sums = np.bincount(index, weights=values[there], minlength=len(found))
    counts = np.bincount(index, minlength=len(found))
    return Series(tuple(found.tolist()), tuple((sums / np.maximum(counts, 1)).tolist()))


def _groups(columns: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """One row per group: its step, and 1 where it has no signal (its rewards do not differ, or there is none), else 0."""
    import numpy as np

    keys = np.stack([columns["step"], columns["group"]], axis=1)
    found, index = np.unique(keys, axis=0, return_inverse=True)
    index = index.reshape(-1)
    reward = columns["reward"]
    there = ~np.isnan(reward)
    low, high = np.full(len(found), np.inf), np.full(len(found), -np.inf)
    np.minimum.at(low, index[there], reward[there])
    np.maximum.at(high, index[there], reward[there])
    return np.stack([found[:, 0], (high - low <= SAME).astype(np.float64)], axis=1)


def _health(
    label: str, columns: dict[str, NDArray[np.float64]], rows: NDArray[np.bool_], groups: NDArray[np.float64]
) -> RewardHealth:
    import numpy as np

    def mean(name: str) -> float | None:
        values = columns[name][rows]
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else None

    return RewardHealth(
        label=label,
        completions=int(rows.sum()),
        groups=len(groups),
        no_difference=int(groups[:, 1].sum()),
        missing=int(np.isnan(columns["reward"][rows]).sum()),
        truncated=int(columns["truncated"][rows].sum()),
        reward=mean("reward"),
        structure=mean("structure"),
        outcome=mean("outcome"),
    )
