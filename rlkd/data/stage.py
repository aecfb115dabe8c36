"""The data stage: any source to clean, disjoint splits of problems."""

from __future__ import annotations

from collections import Counter

from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.filters import Splits, decontaminate, drop_duplicates, unique_ids
from rlkd.data.sources import DroppedRow, Loaded, open_source
from rlkd.data.splits import SPLITS, carve, cut, located
from rlkd.errors import DataError
from rlkd.io import write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import EventSink
from schemas.artifact import StageResult
from schemas.config.data import DataCommon, DataConfig, WorldData
from schemas.problem import Problem, Split

_STEPS = 5


def prepare_data(ctx: StageContext) -> StageResult:
    """Loads, cleans and splits problems.

    Writes ``<split>.jsonl`` for every split, ``dropped.jsonl`` and ``summary.json``. Rows loaded =
    rows kept + rows dropped + rows unused (good, but more than ``data.sizes`` asks for).

    Raises:
        DataError: The source cannot be read, is malformed, or leaves a needed split empty.
        WorldError: The built-in world cannot make the problems that were asked for.
    """
    config, seed = ctx.config.data, ctx.config.seed
    loaded = open_source(config).load(seed)
    ctx.events.progress(1, _STEPS, "loading")
    dropped = list(loaded.dropped)
    splits = unique_ids(located(loaded), dropped)
    notes = list(loaded.notes)
    unused = 0
    if loaded.disjoint or isinstance(config, WorldData):
        notes.append(
            "problems are made by a generator that repeats none; their questions share their wording, so near-duplicate "
            "removal and n-gram decontamination do not apply"
        )
    else:
        splits, unused = _clean_and_cut(splits, config, seed, loaded, dropped, notes, ctx.events)
    _check(splits, config, dropped, trained="train" in loaded.splits)
    return _write(ctx, splits, dropped, loaded.rows, unused, notes)


def planned_splits(loaded: Loaded, config: DataConfig, seed: int) -> dict[Split, list[Problem]]:
    """Plans the splits as :func:`prepare_data` will cut them, duplicates and overlaps still in them: enough for an estimate.

    Raises:
        DataError: The sizes that are asked for leave nothing to train on.
    """
    if loaded.disjoint or isinstance(config, WorldData):
        return loaded.splits
    splits, _ = cut(carve(located(loaded), config, seed, []), config, [])
    return {split: [row.problem for row in rows] for split, rows in splits.items()}


def _clean_and_cut(
    splits: Splits,
    config: DataCommon,
    seed: int,
    loaded: Loaded,
    dropped: list[DroppedRow],
    notes: list[str],
    events: EventSink,
) -> tuple[Splits, int]:
    """Duplicates out, missing splits carved, overlap out, sizes applied; returns the number of unused rows too."""
    if config.deduplicate.enabled:
        alike = loaded.alike.get("deduplicate", frozenset())
        splits = drop_duplicates(splits, config.deduplicate, dropped, alike)
    events.progress(2, _STEPS, "removing duplicates")
    splits = carve(splits, config, seed, notes)
    events.progress(3, _STEPS, "splitting")
    if config.decontaminate.enabled:
        before = len(splits["train"])
        alike = loaded.alike.get("decontaminate", frozenset())
        splits = decontaminate(splits, config.decontaminate, dropped, alike)
        lost = before - len(splits["train"])
        if lost > 0.2 * before:
            message = f"{lost} of {before} training problems overlap evaluation problems; if they only share instructions, raise data.decontaminate.ngram"
            notes.append(message)
            events.message(message)
    events.progress(4, _STEPS, "removing overlap")
    return cut(splits, config, notes)


def _check(splits: Splits, config: DataConfig, dropped: list[DroppedRow], *, trained: bool) -> None:
    reasons = (
        ", ".join(
            f"{count} {reason}" for reason, count in Counter(row.reason for row in dropped).most_common()
        )
        or "none dropped"
    )
    for split in ("train", "test") if trained else ("test",):
        if not splits.get(split):
            hint = (
                "raise data.world.n_" + split
                if isinstance(config, WorldData)
                else "check the source, data.columns and the filters"
            )
            raise DataError(f"no {split} problem is left ({reasons}); {hint}")


def _placed(problem: Problem, split: Split) -> Problem:
    """A problem in its split. Clusters are for standard errors, and training must not depend on them."""
    if split in ("train", "validation") and CLUSTER_KEY in problem.metadata:
        rest = {key: value for key, value in problem.metadata.items() if key != CLUSTER_KEY}
        return problem.model_copy(update={"split": split, "metadata": rest})
    return problem.model_copy(update={"split": split})


def _write(
    ctx: StageContext, splits: Splits, dropped: list[DroppedRow], rows: int, unused: int, notes: list[str]
) -> StageResult:
    kept: dict[str, int] = {}
    for split in SPLITS:
        problems = [_placed(row.problem, split) for row in splits.get(split, [])]
        kept[split] = write_rows(ctx.folder / f"{split}.jsonl", problems)
    write_rows(ctx.folder / "dropped.jsonl", dropped)
    reasons = dict(Counter(row.reason for row in dropped).most_common())
    summary = {
        "loaded": rows,
        "dropped": reasons,
        "kept": kept,
        "unused": unused,
        "notes": notes,
        "source": ctx.config.data.type,
    }
    write_json_atomic(ctx.folder / "summary.json", summary)
    for note in notes:
        ctx.events.message(note)
    ctx.events.progress(_STEPS, _STEPS, "writing")
    metrics = {f"kept_{split}": float(count) for split, count in kept.items()}
    return StageResult(
        rows=sum(kept.values()),
        summary=summary,
        metrics={"loaded": float(rows), "dropped": float(len(dropped)), **metrics},
    )
