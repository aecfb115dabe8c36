"""Several runs side by side: methods against each other on the same problems, over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlkd.errors import UserError
from rlkd.evaluation.clusters import clusters_of
from rlkd.evaluation.estimate import estimate
from rlkd.evaluation.metrics import CHECKPOINTS, METHOD_METRICS, METRICS, SPLITS
from rlkd.io import iter_rows, read_rows, sha256_json
from rlkd.pipeline.run_folder import RUN_FILE, read_run
from rlkd.reporting.labels import METRIC_LABELS, SPLIT_LABELS, interval, points, signed
from rlkd.reporting.markdown import cell, table
from schemas.artifact import StageEntry
from schemas.evaluation import Interval, ProblemOutput
from schemas.problem import Problem

Values = dict[tuple[str, str], dict[str, float]]
"""For each (split, metric), the value of each problem that has one."""

NO_PART = {"seed", "name", "description", "report", "tracking", "launch"}
"""Sections of a configuration that do not make it another method."""


@dataclass(frozen=True)
class ComparedRun:
    """A run's final student on the held-out problems.

    Attributes:
        label: The method: runs with the same label are seeds of one method.
        name: Name of its folder.
        method: Digest of its configuration but for the seed and what changes no figure.
        folder: The run folder.
        seed: Its seed.
        evaluation: Folder of its evaluation in the store: runs that reused one share it.
        problems: Digest of the data stage: only runs on the same data are paired.
        structures: Digest of what its structure scores are made with.
        checkpoint: The last checkpoint that it has.
        values: Its scores.
    """

    label: str
    name: str
    method: str
    folder: Path
    seed: int
    evaluation: Path
    problems: str
    structures: str
    checkpoint: str
    values: Values = field(repr=False)
    clusters: dict[str, str] = field(default_factory=dict, repr=False)
    """Cluster of each problem that shares a passage or template with others."""


def compare_runs(arguments: Sequence[str], *, resamples: int = 2000, confidence: float = 0.95) -> str:
    """Renders a Markdown table of runs and their paired differences to the first method.

    Args:
        arguments: ``RUN`` or ``LABEL=RUN``: run folders. Without a label, the name of a run's configuration is its
            label, or its folder where runs with that name differ in more than their seed. Runs with one label are seeds
            of the same method.
        resamples: Bootstrap resamples over problems.
        confidence: Coverage of the intervals.

    Raises:
        UserError: A run cannot be read, has no evaluation, or is named twice under one label.
    """
    runs = load_runs(arguments)
    labels = list(dict.fromkeys(run.label for run in runs))
    parts = [
        f"Final student of each run, greedy; {confidence:.0%} bootstrap intervals over problems (over clusters of them where they share a passage or template), "
        "a problem that several seeds have resampled for all of them together.",
        _methods(runs, labels, resamples, confidence),
    ]
    if len({run.structures for run in runs}) > 1:
        parts.append(
            "**The structure scores do not compare**: the runs made them with different settings (section `structures`)."
        )
    if len(runs) > len(labels):
        parts += ["Every run:", _every_run(runs, resamples, confidence)]
    for other in labels[1:]:
        parts += [
            f"**{cell(labels[0])} against {cell(other)}** (difference {cell(labels[0])} \N{MINUS SIGN} {cell(other)}, same problems, runs of the same seed paired)",
            _differences(runs, labels[0], other, resamples, confidence),
        ]
    return "\n\n".join(parts) + "\n"


def load_runs(arguments: Sequence[str]) -> list[ComparedRun]:
    """Reads runs and tells their methods apart; see :func:`compare_runs`.

    Raises:
        UserError: A run cannot be read, has no evaluation, or is named twice under one label.
    """
    return _told_apart([load_run(argument) for argument in arguments], arguments)


def _told_apart(runs: Sequence[ComparedRun], arguments: Sequence[str]) -> list[ComparedRun]:
    """Runs that only share the name of their configuration under their folders; seeds of one method stay together."""
    unnamed = [run for run, argument in zip(runs, arguments, strict=True) if not _split_label(argument)[0]]
    methods = {
        label: {run.method for run in runs if run.label == label} for label in {run.label for run in unnamed}
    }
    found = [
        replace(run, label=run.name) if run in unnamed and len(methods[run.label]) > 1 else run
        for run in runs
    ]
    seen: dict[Path, Path] = {}
    for run in found:
        if run.evaluation in seen:
            first = seen[run.evaluation]
            same = (
                f"{run.folder} is named twice"
                if first == run.folder
                else f"{first} and {run.folder} hold one student"
            )
            raise UserError(f"{same} (evaluated in {run.evaluation}), and would count as two; name it once")
        seen[run.evaluation] = run.folder
    return found


def load_run(argument: str) -> ComparedRun:
    """Reads a run folder, given as ``RUN`` or ``LABEL=RUN``.

    Raises:
        UserError: It is not a run folder, or its run has no evaluation.
    """
    label, folder = _split_label(argument)
    run = read_run(folder)
    entries = run.finished
    if "evaluate" not in entries:
        raise UserError(
            f"{folder} has no evaluation; finish it with: rlkd run {folder / 'config.yaml'} --output {folder}"
        )
    file = Path(entries["evaluate"].uri) / "outputs.jsonl"
    if not file.is_file():
        raise UserError(
            f"{file} is gone; make it again with: rlkd run {folder / 'config.yaml'} --output {folder} --from evaluate"
        )
    rows = read_rows(file, ProblemOutput)
    checkpoints = [name for name in CHECKPOINTS if any(row.checkpoint == name for row in rows)]
    if not checkpoints:
        raise UserError(
            f"{file} has no answers; make it again with: rlkd run {folder / 'config.yaml'} --output {folder} --from evaluate"
        )
    last = checkpoints[-1]
    return ComparedRun(
        label=label or run.name,
        name=folder.resolve().name,
        method=sha256_json({key: value for key, value in run.config.items() if key not in NO_PART}),
        folder=folder.resolve(),
        seed=_seed(run.config.get("seed", 0), folder),
        evaluation=file.parent,
        problems=entries["data"].sha256 if "data" in entries else "",
        structures=sha256_json(run.config.get("structures")),
        checkpoint=last,
        values=_values([row for row in rows if row.checkpoint == last]),
        clusters=_clusters(entries.get("data")),
    )


def _seed(value: object, folder: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(
            f"{folder / RUN_FILE}: config.seed is {value!r}, which is no whole number; run the configuration again"
        )
    return value


def _clusters(data: StageEntry | None) -> dict[str, str]:
    files = [Path(data.uri) / f"{split}.jsonl" for split in SPLITS] if data is not None else []
    problems = [problem for file in files if file.is_file() for problem in iter_rows(file, Problem)]
    return clusters_of(problems)


def _split_label(argument: str) -> tuple[str, Path]:
    """A label only where the part before ``=`` is not itself part of an existing path."""
    label, equals, rest = argument.partition("=")
    if not equals or Path(argument).exists():
        return "", Path(argument)
    return label.strip(), Path(rest)


def _values(rows: Sequence[ProblemOutput]) -> Values:
    values: Values = {}
    for row in rows:
        for metric, read in METHOD_METRICS.items():
            value = read(row)
            if value is not None:
                values.setdefault((row.split, metric), {})[row.problem_id] = value
    return values


def _interval(
    parts: Sequence[tuple[ComparedRun, dict[str, float]]],
    resamples: int,
    confidence: float,
    least: float = 0.0,
) -> Interval | None:
    """Mean of runs over the problems that each has, with an interval over problems, from ``least`` on; ``None`` without a value."""
    seeds = [values for _, values in parts if values]
    if not seeds:
        return None
    clusters = {name: cluster for run, _ in parts for name, cluster in run.clusters.items()}
    found = estimate(seeds, over_seeds=False, resamples=resamples, clusters=clusters)
    low, high = found.interval(confidence)
    return Interval(mean=found.mean, low=max(least, low), high=high, n=sum(map(len, seeds)))


def _columns(runs: Sequence[ComparedRun]) -> list[tuple[str, str]]:
    return [
        (split, metric)
        for split in SPLITS
        for metric in METRICS
        if any((split, metric) in run.values for run in runs)
    ]


def _column_names(columns: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{METRIC_LABELS[metric]}, {SPLIT_LABELS[split].lower()}" for split, metric in columns]


def _methods(runs: Sequence[ComparedRun], labels: Sequence[str], resamples: int, confidence: float) -> str:
    columns = _columns(runs)
    rows = []
    for label in labels:
        mine = [run for run in runs if run.label == label]
        rows.append(
            (
                label,
                ", ".join(str(run.seed) for run in mine),
                *(
                    interval(
                        _interval([(run, run.values.get(column, {})) for run in mine], resamples, confidence),
                        as_percent=column[1] == "accuracy",
                    )
                    for column in columns
                ),
            )
        )
    return table(("Method", "Seeds", *_column_names(columns)), rows, left=2)


def _every_run(runs: Sequence[ComparedRun], resamples: int, confidence: float) -> str:
    columns = _columns(runs)
    rows = [
        (
            run.label,
            run.name,
            run.seed,
            *(
                interval(
                    _interval([(run, run.values.get(column, {}))], resamples, confidence),
                    as_percent=column[1] == "accuracy",
                )
                for column in columns
            ),
        )
        for run in runs
    ]
    return table(("Method", "Run", "Seed", *_column_names(columns)), rows, left=2)


def _differences(
    runs: Sequence[ComparedRun], first: str, other: str, resamples: int, confidence: float
) -> str:
    """Differences seed by seed, and over all seeds; only runs of one seed on the same data are paired."""
    pairs = [
        (a, b)
        for a in runs
        for b in runs
        if (a.label, b.label) == (first, other) and a.seed == b.seed and a.problems == b.problems
    ]
    if not pairs:
        return "No two of these runs share seed and data, so that nothing can be paired."
    columns = _columns(runs)
    differences = [
        [(a, _difference(a.values.get(column, {}), b.values.get(column, {}))) for column in columns]
        for a, b in pairs
    ]
    rows: list[tuple[str, ...]] = []
    for (a, _), found in zip(pairs, differences, strict=True):
        cells = [
            _difference_cell([part], column, resamples, confidence)
            for part, column in zip(found, columns, strict=True)
        ]
        rows.append((f"seed {a.seed}", *cells))
    if len(pairs) > 1:
        cells = [
            _difference_cell([found[i] for found in differences], column, resamples, confidence)
            for i, column in enumerate(columns)
        ]
        rows.append((f"all {len(pairs)}", *cells))
    return table(("Runs", *_column_names(columns)), rows)


def _difference(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
    return {problem: value - b[problem] for problem, value in a.items() if problem in b}


def _difference_cell(
    parts: Sequence[tuple[ComparedRun, dict[str, float]]],
    column: tuple[str, str],
    resamples: int,
    confidence: float,
) -> str:
    found = _interval(parts, resamples, confidence, -math.inf)  # differences
    if found is None:
        return "\N{EN DASH}"
    show = points if column[1] == "accuracy" else signed
    return f"{show(found.mean)} [{show(found.low)}, {show(found.high)}]"
