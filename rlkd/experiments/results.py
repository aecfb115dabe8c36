"""Reads an experiment's cells and compares its methods: ranking, equal budgets, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlkd.errors import RLKDError
from rlkd.evaluation.metrics import SPLITS
from rlkd.evaluation.stats import bootstrap_interval
from rlkd.experiments.budgets import read_costs
from rlkd.experiments.plan import Cell
from rlkd.experiments.statistics import Estimate, Values, estimate
from rlkd.experiments.verdicts import Compared, judge_family, summaries
from rlkd.io import read_rows
from rlkd.reporting.compare import ComparedRun, load_run
from schemas.artifact import RunManifest
from schemas.config.experiment import CompareConfig, ExperimentConfig
from schemas.evaluation import Interval, ProblemOutput
from schemas.experiment import (
    CellResult,
    ComparisonRow,
    CurvePoint,
    EqualBudgetRow,
    ExperimentReport,
    MethodRow,
)

_TABLE = CompareConfig.model_construct(metric="accuracy", split="test", family=[])
"""What a table without comparisons is ranked by."""


@dataclass(frozen=True)
class _Read:
    """A cell with its scores per problem, where it is finished."""

    cell: Cell
    result: CellResult
    run: ComparedRun | None = field(default=None, repr=False)


def read_experiment(
    experiment: ExperimentConfig, cells: Sequence[Cell], folder: Path, errors: Mapping[str, str] | None = None
) -> ExperimentReport:
    """Reads what an experiment has finished so far and compares it.

    Args:
        experiment: The experiment.
        cells: Its cells.
        folder: Its folder, which holds one folder per cell.
        errors: Why cells failed, by name.
    """
    read = [_read_cell(cell, folder / cell.name, (errors or {}).get(cell.name, "")) for cell in cells]
    compare = experiment.compare or _TABLE
    over_seeds = compare.over == "seeds" and len(experiment.seeds) > 1
    comparisons = _comparisons(read, compare, over_seeds)
    return ExperimentReport(
        name=experiment.name,
        description=experiment.description,
        metric=compare.metric,
        split=compare.split,
        margin=compare.margin if experiment.compare else None,
        level=compare.level,
        over="seeds" if over_seeds else "problems",
        cells=tuple(item.result for item in read),
        ranking=_ranking(read, compare, over_seeds),
        comparisons=comparisons,
        summaries=summaries(comparisons),
        equal_sampled=_equal_budget(read, lambda point: float(point.sampled)),
        equal_flops=_equal_budget(read, lambda point: point.flops),
    )


def _read_cell(cell: Cell, folder: Path, error: str) -> _Read:
    made = CellResult(
        cell=cell.name, method=cell.method, seed=cell.seed, setting=cell.setting, axes=dict(cell.axes)
    )
    if not (folder / "run.json").is_file():
        return _Read(
            cell, made.model_copy(update={"status": "failed" if error else "missing", "error": error})
        )
    try:
        manifest = RunManifest.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
        if manifest.status != "done" or manifest.config != cell.config.model_dump(mode="json"):
            why = error or _why(manifest)
            status = "failed" if error or manifest.status in ("failed", "cancelled") else "missing"
            return _Read(cell, made.model_copy(update={"status": status, "error": why}))
        run = load_run(str(folder))
        entries = {entry.name: entry for entry in manifest.stages if entry.sha256}
        budget, curve = read_costs(cell.config, entries)
    except (RLKDError, OSError, ValueError) as fault:
        return _Read(cell, made.model_copy(update={"status": "failed", "error": error or str(fault)}))
    done = made.model_copy(
        update={"status": "done", "scores": _scores(run), "budget": budget, "curve": curve}
    )
    return _Read(cell, done, run)


def _why(manifest: RunManifest) -> str:
    failed = [entry.error for entry in manifest.stages if entry.status == "failed"]
    if failed:
        return failed[0]
    return "it has run with other settings; run the experiment again" if manifest.status == "done" else ""


def _scores(run: ComparedRun) -> dict[str, float]:
    scores = {
        f"{split}/{metric}": sum(values.values()) / len(values)
        for (split, metric), values in run.values.items()
        if values
    }
    rows = read_rows(run.evaluation / "outputs.jsonl", ProblemOutput)
    for split in SPLITS:
        mine = [row for row in rows if row.split == split and row.checkpoint == run.checkpoint]
        if mine:
            scores[f"{split}/truncated"] = sum(row.finish_reason == "length" for row in mine) / len(mine)
    return scores


def _by_place(read: Sequence[_Read]) -> dict[tuple[str, str], list[_Read]]:
    """Cells by (setting, method), in the order of the plan."""
    found: dict[tuple[str, str], list[_Read]] = {}
    for item in read:
        found.setdefault((item.cell.setting, item.cell.method), []).append(item)
    return found


def _ranking(read: Sequence[_Read], compare: CompareConfig, over_seeds: bool) -> tuple[MethodRow, ...]:
    """Methods by the primary metric within each setting; one with a missing seed has no mean and comes last."""
    rows = []
    key = (compare.split, compare.metric)
    for (setting, method), items in _by_place(read).items():
        found = {item.cell.seed: dict(item.run.values.get(key, {})) for item in items if item.run is not None}
        found = {seed: values for seed, values in found.items() if values}
        missing = tuple(item.cell.seed for item in items if item.cell.seed not in found)
        cut = [item.result.scores.get(f"{compare.split}/truncated") for item in items]
        known = [share for share in cut if share is not None]
        rows.append(
            MethodRow(
                method=method,
                setting=setting,
                seeds=tuple(item.cell.seed for item in items),
                missing=missing,
                value=None if missing else _interval(list(found.values()), over_seeds, compare),
                per_seed={str(s): sum(values.values()) / len(values) for s, values in found.items()},
                truncated=sum(known) / len(known) if known and not missing else None,
            )
        )
    settings = list(dict.fromkeys(row.setting for row in rows))
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                settings.index(row.setting),
                row.value is None,
                -(row.value.mean if row.value else 0),
            ),
        )
    )


def _interval(seeds: list[dict[str, float]], over_seeds: bool, compare: CompareConfig) -> Interval:
    count = sum(len(values) for values in seeds)
    if not over_seeds and len(seeds) == 1:
        return bootstrap_interval(
            list(seeds[0].values()), resamples=compare.resamples, confidence=1 - compare.level
        )
    found = estimate(seeds, over_seeds=over_seeds, resamples=compare.resamples)
    low, high = found.interval(1 - compare.level)
    return Interval(mean=found.mean, low=max(0.0, low), high=min(1.0, high), n=count)


def _comparisons(
    read: Sequence[_Read], compare: CompareConfig, over_seeds: bool
) -> tuple[ComparisonRow, ...]:
    places = _by_place(read)
    key = (compare.split, compare.metric)
    compared = []
    for setting in dict.fromkeys(item.cell.setting for item in read):
        for a, b in compare.family:
            left, right = places[setting, a], places[setting, b]
            compared.append(_compare(a, b, setting, left, right, key, compare, over_seeds))
    return judge_family(compared, compare)


def _compare(
    a: str,
    b: str,
    setting: str,
    left: Sequence[_Read],
    right: Sequence[_Read],
    key: tuple[str, str],
    compare: CompareConfig,
    over_seeds: bool,
) -> Compared:
    """A minus B, seed by seed over the same problems."""
    differences: dict[int, Values] = {}
    missing: list[str] = []
    wins = losses = 0
    for one, other in zip(left, right, strict=True):
        mine = one.run.values.get(key) if one.run else None
        theirs = other.run.values.get(key) if other.run else None
        missing += [
            f"seed {x.cell.seed} of {x.cell.method}" for x, v in ((one, mine), (other, theirs)) if not v
        ]
        if not mine or not theirs:
            continue
        if not mine.keys() & theirs.keys():
            return Compared(a, b, setting, why_not=f"seed {one.cell.seed} was evaluated on other problems")
        shared = mine.keys() & theirs.keys()
        differences[one.cell.seed] = {name: mine[name] - theirs[name] for name in shared}
        wins += sum(mine[name] > theirs[name] for name in shared)
        losses += sum(mine[name] < theirs[name] for name in shared)
    found: Estimate | None = None
    if not missing and all(differences.values()):
        found = estimate(list(differences.values()), over_seeds=over_seeds, resamples=compare.resamples)
    return Compared(
        a,
        b,
        setting,
        found=found,
        missing=tuple(missing),
        per_seed={str(s): sum(v.values()) / len(v) for s, v in differences.items() if v},
        problems=sum(len(values) for values in differences.values()),
        wins=(wins, losses) if compare.metric == "accuracy" else None,
    )


def _equal_budget(
    read: Sequence[_Read], spent: Callable[[CurvePoint], float | None]
) -> tuple[EqualBudgetRow, ...]:
    """Validation accuracy at the largest budget that every method with a curve has reached.

    Of each seed the last validation within the budget counts; what a method did with more is left out.
    """
    rows: list[EqualBudgetRow] = []
    for setting in dict.fromkeys(item.cell.setting for item in read):
        places = {m: items for (s, m), items in _by_place(read).items() if s == setting}
        ends = [
            value
            for items in places.values()
            for item in items
            if item.result.curve and (value := spent(item.result.curve[-1])) is not None
        ]
        if len(ends) < 2:
            continue
        budget = min(ends)
        for method, items in places.items():
            values = [_last_within(item.result.curve, spent, budget) for item in items]
            if any(item.result.curve for item in items):
                known = [value for value in values if value is not None]
                mean = sum(known) / len(known) if len(known) == len(values) else None
                rows.append(EqualBudgetRow(method=method, setting=setting, budget=budget, accuracy=mean))
    return tuple(rows)


def _last_within(
    curve: Iterable[CurvePoint], spent: Callable[[CurvePoint], float | None], budget: float
) -> float | None:
    within = [point for point in curve if (value := spent(point)) is not None and value <= budget]
    return within[-1].accuracy if within else None
