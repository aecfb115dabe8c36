"""Reads an experiment's cells and compares its methods: ranking, equal budgets, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rlkd.errors import RLKDError
from rlkd.evaluation.clusters import clusters_of
from rlkd.evaluation.estimate import Estimate, Values, estimate
from rlkd.experiments.cell import Cell
from rlkd.experiments.details import examples, final_outputs
from rlkd.experiments.finished import Read, read_cell
from rlkd.experiments.follow import settled
from rlkd.experiments.power import power_sentence
from rlkd.experiments.tuning import read_tuning
from rlkd.experiments.verdicts import Compared, judge_family, summaries
from rlkd.reporting.labels import SHARES
from schemas.config.experiment import CompareConfig, ExperimentConfig
from schemas.evaluation import Interval
from schemas.experiment import (
    Budget,
    CellResult,
    ComparisonRow,
    CurvePoint,
    EqualBudgetRow,
    Example,
    ExperimentReport,
    MethodRow,
)

_TABLE = CompareConfig.model_construct(metric="accuracy", split="test", family=[])
"""What a table without comparisons is ranked by."""


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
    compare = experiment.compare or _TABLE
    compared = [cell for cell in cells if cell.trial is None]
    read = [_read(cell, folder, (errors or {}).get(cell.name, ""), compare.split) for cell in compared]
    read = _charged(read, {cell.name: cell.follows for cell in compared if cell.takes == "student_of"})
    report = build_report(experiment.name, experiment.description, read, compare)
    if experiment.tune is None:
        return report
    tuning = read_tuning(compared, folder, errors or {})
    return report.model_copy(update={"tuning": tuning, "tuned_by": experiment.tune.metric})


def _read(cell: Cell, root: Path, error: str, split: str) -> Read:
    try:
        cell = settled(cell, root)
    except (RLKDError, OSError, ValueError) as fault:
        error = error or str(fault)
    return read_cell(cell, root / cell.name, error, split)


def _charged(read: Sequence[Read], before: Mapping[str, str]) -> list[Read]:
    """Charges a cell that goes on from another one's student for that one too: ``rft-2`` for the round of ``rft``."""
    by_name = {item.result.cell: item for item in read}

    def whole(name: str) -> Budget | None:
        item = by_name.get(name)
        own = item.result.budget if item is not None else None
        earlier = whole(before[name]) if name in before else Budget(flops=0.0)
        return own.after(earlier) if own is not None and earlier is not None else None

    def charged(result: CellResult) -> CellResult:
        earlier = whole(before[result.cell])
        curve = () if earlier is None else tuple(point.after(earlier) for point in result.curve)
        return result.model_copy(update={"budget": whole(result.cell), "curve": curve})

    return [
        replace(item, result=charged(item.result)) if item.result.cell in before else item for item in read
    ]


def build_report(
    name: str, description: str, read: Sequence[Read], compare: CompareConfig
) -> ExperimentReport:
    """Compares the methods of finished runs.

    Args:
        name: Name of the report.
        description: One line about it.
        read: The runs.
        compare: What is compared; an empty family only tabulates.
    """
    seeds = {item.result.seed for item in read}
    over_seeds = compare.over == "seeds" and len(seeds) > 1
    comparisons = _comparisons(read, compare, over_seeds)
    return ExperimentReport(
        name=name,
        description=description,
        metric=compare.metric,
        split=compare.split,
        margin=compare.margin if compare.family else None,
        level=compare.level,
        over="seeds" if over_seeds else "problems",
        cells=tuple(item.result for item in read),
        ranking=_ranking(read, compare, over_seeds),
        comparisons=comparisons,
        summaries=summaries(comparisons),
        equal_sampled=_equal_budget(read, lambda point: float(point.sampled)),
        equal_flops=_equal_budget(read, lambda point: point.flops),
        power=_power(read, compare, len(seeds)),
        examples=_examples(read, compare),
    )


def _power(read: Sequence[Read], compare: CompareConfig, seeds: int) -> str:
    """What the family could show with the problems that there are; empty where nothing is finished or compared."""
    problems: dict[str, set[str]] = {}
    for item in read:
        found = item.run.values.get((compare.split, "accuracy"), {}) if item.run else {}
        problems.setdefault(item.result.setting, set()).update(found)
    count = max(map(len, problems.values()), default=0)
    if not compare.family or compare.metric != "accuracy" or not count:
        return ""
    return power_sentence(count, seeds, len(compare.family) * len(problems), compare)


def _examples(read: Sequence[Read], compare: CompareConfig) -> tuple[Example, ...]:
    """Outputs side by side: of the first comparison with two finished cells, its first seed and setting."""
    by_key = {(i.result.setting, i.result.method, i.result.seed): i for i in read if i.run is not None}
    for a, b in compare.family:
        for (setting, method, seed), one in by_key.items():
            other = by_key.get((setting, b, seed))
            if method != a or other is None or one.run is None or other.run is None:
                continue
            rows = [
                (name, final_outputs(item.run.evaluation, item.run.checkpoint))
                for name, item in ((a, one), (b, other))
                if item.run is not None
            ]
            questions = {problem.id: problem.question for problem in one.problems(compare.split)}
            return tuple(examples(rows[0], rows[1], questions, compare.split))
    return ()


def _by_place(read: Sequence[Read]) -> dict[tuple[str, str], list[Read]]:
    """Cells by (setting, method), in the order of the plan."""
    found: dict[tuple[str, str], list[Read]] = {}
    for item in read:
        found.setdefault((item.result.setting, item.result.method), []).append(item)
    return found


def _ranking(read: Sequence[Read], compare: CompareConfig, over_seeds: bool) -> tuple[MethodRow, ...]:
    """Methods by the primary metric within each setting; one with a missing seed has no mean and comes last."""
    rows = []
    key = (compare.split, compare.metric)
    for (setting, method), items in _by_place(read).items():
        found = {
            item.result.seed: dict(item.run.values.get(key, {})) for item in items if item.run is not None
        }
        found = {seed: values for seed, values in found.items() if values}
        missing = tuple(item.result.seed for item in items if item.result.seed not in found)
        cut = [item.result.scores.get(f"{compare.split}/truncated") for item in items]
        known = [share for share in cut if share is not None]
        rows.append(
            MethodRow(
                method=method,
                setting=setting,
                seeds=tuple(item.result.seed for item in items),
                missing=missing,
                value=None
                if missing
                else _interval(list(found.values()), over_seeds, compare, _clusters(items, compare)),
                per_seed={str(s): sum(values.values()) / len(values) for s, values in found.items()},
                truncated=sum(known) / len(known) if known and not missing else None,
                shown={} if missing else _shown(items, compare.split),
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


def _clusters(items: Iterable[Read], compare: CompareConfig) -> dict[str, str]:
    """Clusters of the problems of all finished cells: seeds may draw other problems."""
    read = {item.data: item for item in items if item.run is not None}
    found = [clusters_of(item.problems(compare.split), compare.cluster) for item in read.values()]
    return {name: cluster for clusters in found for name, cluster in clusters.items()}


def _shown(items: Sequence[Read], split: str) -> dict[str, float]:
    """Means over the seeds of the figures that all of them have."""
    scores = [item.result.scores for item in items]
    names = [name for name in scores[0] if all(name in other for other in scores)]
    kept = [name for name in names if name.startswith((f"{split}/", "train/"))]
    return {name.removeprefix(f"{split}/"): sum(s[name] for s in scores) / len(scores) for name in kept}


def _interval(
    seeds: list[dict[str, float]], over_seeds: bool, compare: CompareConfig, clusters: Mapping[str, str]
) -> Interval:
    count = sum(len(values) for values in seeds)
    found = estimate(seeds, over_seeds=over_seeds, resamples=compare.resamples, clusters=clusters)
    low, high = found.interval(1 - compare.level)
    return Interval(mean=found.mean, low=max(0.0, low), high=min(1.0, high), n=count)


def _comparisons(read: Sequence[Read], compare: CompareConfig, over_seeds: bool) -> tuple[ComparisonRow, ...]:
    places = _by_place(read)
    key = (compare.split, compare.metric)
    compared = []
    for setting in dict.fromkeys(item.result.setting for item in read):
        for a, b in compare.family:
            left, right = places[setting, a], places[setting, b]
            compared.append(_compare(a, b, setting, left, right, key, compare, over_seeds))
    return judge_family(compared, compare)


def _compare(
    a: str,
    b: str,
    setting: str,
    left: Sequence[Read],
    right: Sequence[Read],
    key: tuple[str, str],
    compare: CompareConfig,
    over_seeds: bool,
) -> Compared:
    """A minus B, seed by seed over the same problems."""
    differences: dict[int, Values] = {}
    missing: list[str] = []
    wins = losses = 0
    means: list[tuple[float, float]] = []
    axes = {name: str(value) for name, value in left[0].result.axes.items()}
    for one, other in _paired(left, right):
        mine = one.run.values.get(key) if one.run else None
        theirs = other.run.values.get(key) if other.run else None
        missing += [
            f"seed {x.result.seed} of {x.result.method}" for x, v in ((one, mine), (other, theirs)) if not v
        ]
        if not mine or not theirs:
            continue
        shared = mine.keys() & theirs.keys()
        if not shared:
            return Compared(
                a, b, setting, why_not=f"seed {one.result.seed} was evaluated on other problems", axes=axes
            )
        means += [(mine[name], theirs[name]) for name in shared]
        differences[one.result.seed] = {name: mine[name] - theirs[name] for name in shared}
        wins += sum(mine[name] > theirs[name] for name in shared)
        losses += sum(mine[name] < theirs[name] for name in shared)
    found: Estimate | None = None
    if not missing and all(differences.values()):
        found = estimate(
            list(differences.values()),
            over_seeds=over_seeds,
            resamples=compare.resamples,
            clusters=_clusters([*left, *right], compare),
        )
    return Compared(
        a,
        b,
        setting,
        found=found,
        missing=tuple(missing),
        per_seed={str(s): sum(v.values()) / len(v) for s, v in differences.items() if v},
        pairs=sum(len(values) for values in differences.values()),
        wins=(wins, losses) if compare.metric in SHARES else None,
        means=(sum(x for x, _ in means) / len(means), sum(y for _, y in means) / len(means))
        if means
        else None,
        axes=axes,
    )


def _paired(left: Sequence[Read], right: Sequence[Read]) -> Iterator[tuple[Read, Read]]:
    """Cells of two methods seed by seed; where one has no cell for a seed, a missing one stands in."""
    theirs = {item.result.seed: item for item in right}
    mine = {item.result.seed: item for item in left}
    for seed in sorted({*mine, *theirs}):
        yield mine.get(seed) or _absent(left[0], seed), theirs.get(seed) or _absent(right[0], seed)


def _absent(like: Read, seed: int) -> Read:
    result = like.result
    return Read(
        CellResult(cell="", method=result.method, seed=seed, setting=result.setting, axes=result.axes)
    )


def _equal_budget(
    read: Sequence[Read], spent: Callable[[CurvePoint], float | None]
) -> tuple[EqualBudgetRow, ...]:
    """Validation accuracy at the largest budget that every method with a curve has reached.

    Of each seed the last validation within the budget counts; what a method did with more is left out.
    """
    rows: list[EqualBudgetRow] = []
    for setting in dict.fromkeys(item.result.setting for item in read):
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
