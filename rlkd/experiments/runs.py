"""``rlkd compare``: finished runs on the page of an experiment, and what makes runs incomparable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from rlkd.errors import UserError
from rlkd.experiments.checks import SAME, differing, first_difference
from rlkd.experiments.finished import Read, read_finished
from rlkd.experiments.folder import is_experiment, try_folder
from rlkd.experiments.page import write_experiment
from rlkd.experiments.results import build_report
from rlkd.io import iter_rows
from rlkd.pipeline.run_folder import make_folder, read_run
from rlkd.reporting.compare import NO_PART, ComparedRun, load_runs
from schemas.artifact import RunManifest
from schemas.config.experiment import CompareConfig
from schemas.config.pipeline import PipelineConfig
from schemas.experiment import CellResult
from schemas.problem import Problem

Over = Literal["seeds", "problems"]
_JUDGED_BY = [section for section in SAME if section != "data"]
"""Sections that say how answers are read and judged; which problems were asked is read off the problems themselves."""

_BY_SEED = ("warm_start.max_epochs", "traces.teacher.student")
"""What a cell takes of another one of its seed, so that it differs between the seeds of one method of an experiment."""


def compare_page(arguments: Sequence[str], folder: Path, over: Over | None = None) -> list[Path]:
    """Writes ``experiment.html`` and ``experiment.json`` of runs; the first label is compared with each other one.

    Args:
        arguments: ``RUN`` or ``LABEL=RUN``, as for :func:`~rlkd.reporting.compare.compare_runs`.
        folder: Where they go.
        over: What the intervals speak for; by default other seeds where every method has the same two or more.

    Raises:
        UserError: A run cannot be read, runs do not compare, an interval over seeds is asked of one seed, or the folder cannot be used.
    """
    if is_experiment(folder):
        raise UserError(
            f"{folder} holds an experiment, whose page this would replace; choose another --output"
        )
    try_folder(folder)
    runs = load_runs(arguments)
    check_comparable(runs)
    labels = list(dict.fromkeys(run.label for run in runs))
    seeds = {label: {run.seed for run in runs if run.label == label} for label in labels}
    fewest = min(len(found) for found in seeds.values())
    if over == "seeds" and fewest < 2:
        alone = next(label for label, found in seeds.items() if len(found) < 2)
        raise UserError(
            f"{alone} has one seed, and an interval over seeds needs two; add runs, or take --over problems"
        )
    same = len({frozenset(found) for found in seeds.values()}) == 1
    chosen: Over = over or ("seeds" if same and fewest > 1 else "problems")
    compare = CompareConfig.model_construct(
        metric="accuracy", split="test", family=[(labels[0], other) for other in labels[1:]], over=chosen
    )
    read = [_read(run, compare.split) for run in runs]
    report = build_report(" against ".join(labels), "Finished runs, side by side.", read, compare)
    make_folder(folder)
    return write_experiment(report, folder)


def _read(run: ComparedRun, split: str) -> Read:
    manifest = read_run(run.folder)
    made = CellResult(cell=run.name, method=run.label, seed=run.seed)
    return read_finished(made, run, manifest, _config(manifest), split)


def _config(manifest: RunManifest) -> PipelineConfig | None:
    """A run's configuration; ``None`` where it is of another version and cannot be read."""
    try:
        return PipelineConfig.model_validate(manifest.config)
    except ValidationError:
        return None


def check_comparable(runs: Sequence[ComparedRun]) -> None:
    """Refuses runs that were asked different problems, or whose answers were read or judged in different ways.

    Runs of one label must be seeds of one method, each seed once.

    Raises:
        UserError: Two do not compare; the message names the difference.
    """
    _check_labels(runs)
    first, firsts = runs[0], dict[int, ComparedRun]()
    for run in runs[1:]:
        _refuse(first, run, _judged_otherwise(first, run))
    for run in runs:
        same_seed = firsts.setdefault(run.seed, run)
        if same_seed is not run:
            _refuse(same_seed, run, _asked_otherwise(same_seed, run))


def _refuse(a: ComparedRun, b: ComparedRun, what: str) -> None:
    if what:
        raise UserError(
            f"{a.folder} and {b.folder} do not compare: {what}; evaluate both on the same problems in the same way"
        )


def _check_labels(runs: Sequence[ComparedRun]) -> None:
    """Refuses a label that joins more than the seeds of one method.

    Raises:
        UserError: Two runs of a label have one seed, or differ in more than the seed.
    """
    firsts: dict[str, ComparedRun] = {}
    seeds: dict[tuple[str, int], ComparedRun] = {}
    for run in runs:
        same = seeds.setdefault((run.label, run.seed), run)
        if same is not run:
            raise UserError(
                f"{same.folder} and {run.folder} both have seed {run.seed} under the label {run.label}; "
                "name one of them, or give them labels of their own (LABEL=RUN)"
            )
        first = firsts.setdefault(run.label, run)
        what = _made_otherwise(first, run)
        if what:
            raise UserError(
                f"{first.folder} and {run.folder} are not seeds of one method: {what}; give them labels of their own (LABEL=RUN)"
            )


def _settings(run: ComparedRun) -> dict[str, Any]:
    """A run's settings with every default stated; as they were written down where they are of another version."""
    manifest = read_run(run.folder)
    config = _config(manifest)
    return manifest.config if config is None else config.model_dump(mode="json")


def _made_otherwise(a: ComparedRun, b: ComparedRun) -> str:
    """The first setting in which two runs differ, but for the seed and what makes no other method; empty where there is none."""
    if a.method == b.method:
        return ""
    of_one = a.folder.parent == b.folder.parent and is_experiment(a.folder.parent)
    left, right = _settings(a), _settings(b)
    names = [name for name in dict.fromkeys([*left, *right]) if name not in NO_PART]
    found = (
        first_difference(left.get(name), right.get(name), name, _BY_SEED if of_one else ()) for name in names
    )
    return next((f"they differ in {what}" for what in found if what), "")


def _judged_otherwise(a: ComparedRun, b: ComparedRun) -> str:
    """The first difference in how the answers of two runs were read and judged; empty where there is none."""
    left, right = _config(read_run(a.folder)), _config(read_run(b.folder))
    if left is None or right is None:
        return ""
    found = (differing(left, right, section) for section in _JUDGED_BY)
    return next((f"they differ in {what}" for what in found if what), "")


def _asked_otherwise(a: ComparedRun, b: ComparedRun) -> str:
    """The first difference in the problems that two runs of one seed were asked; empty where there is none."""
    for split in dict.fromkeys(split for split, _ in (*a.values, *b.values)):
        one, other = (
            {name for (where, _), values in run.values.items() if where == split for name in values}
            for run in (a, b)
        )
        if one != other:
            alone = sorted(one ^ other)
            return f"they were asked {len(one)} and {len(other)} {split} problems, {len(alone)} of them only one of the two ({alone[0]})"
        if a.problems != b.problems:
            found = _other_texts(a, b, split)
            if found:
                return found
    return ""


def _other_texts(a: ComparedRun, b: ComparedRun, split: str) -> str:
    texts = []
    for run in (a, b):
        manifest = read_run(run.folder)
        data = next((Path(entry.uri) for entry in manifest.stages if entry.name == "data"), None)
        file = data / f"{split}.jsonl" if data is not None else None
        if file is None or not file.is_file():
            return ""
        texts.append(
            {p.id: (p.question, p.answer, p.metadata.get("verifier")) for p in iter_rows(file, Problem)}
        )
    for name, one in texts[0].items():
        other = texts[1].get(name)
        if other is not None and one != other:
            what = next(
                w for w, x, y in zip(("question", "answer", "verifier"), one, other, strict=True) if x != y
            )
            return f"{split} problem {name} has another {what} in each"
    return ""
