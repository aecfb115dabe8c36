"""The data stage: any source to clean, disjoint splits of problems."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.filters import Located, Splits, decontaminate, drop_duplicates, unique_ids
from rlkd.data.sources import DroppedRow, Loaded, open_source
from rlkd.errors import DataError
from rlkd.io import write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import EventSink
from schemas.artifact import StageResult
from schemas.config.data import DataCommon, DataConfig, WorldData
from schemas.problem import Problem, Split

SPLITS: tuple[Split, ...] = get_args(Split)
TEST_SHARE = 0.1
"""Share of a source without a test split that becomes one, where ``data.sizes.test`` is null."""

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
    splits = unique_ids(_located(loaded), dropped)
    notes = list(loaded.notes)
    unused = 0
    if loaded.disjoint or isinstance(config, WorldData):
        notes.append(
            "problems are made by a generator that repeats none; their questions share their wording, so near-duplicate "
            "removal and n-gram decontamination do not apply"
        )
    else:
        splits, unused = _clean_and_cut(splits, config, seed, dropped, notes, ctx.events)
    _check(splits, config, dropped, trained="train" in loaded.splits)
    return _write(ctx, splits, dropped, loaded.rows, unused, notes)


def planned_splits(loaded: Loaded, config: DataConfig, seed: int) -> dict[Split, list[Problem]]:
    """Plans the splits as :func:`prepare_data` will cut them, duplicates and overlaps still in them: enough for an estimate.

    Raises:
        DataError: The sizes that are asked for leave nothing to train on.
    """
    if loaded.disjoint or isinstance(config, WorldData):
        return loaded.splits
    splits, _ = _cut(_carve(_located(loaded), config, seed, []), config, [])
    return {split: [located.problem for located in rows] for split, rows in splits.items()}


def _located(loaded: Loaded) -> Splits:
    return {
        split: [Located(*pair) for pair in zip(problems, loaded.where[split], strict=True)]
        for split, problems in loaded.splits.items()
    }


def _clean_and_cut(
    splits: Splits,
    config: DataCommon,
    seed: int,
    dropped: list[DroppedRow],
    notes: list[str],
    events: EventSink,
) -> tuple[Splits, int]:
    """Duplicates out, missing splits carved, overlap out, sizes applied; returns the number of unused rows too."""
    if config.deduplicate.enabled:
        splits = drop_duplicates(splits, config.deduplicate, dropped)
    events.progress(2, _STEPS, "removing duplicates")
    splits = _carve(splits, config, seed, notes)
    events.progress(3, _STEPS, "splitting")
    if config.decontaminate.enabled:
        before = len(splits["train"])
        splits = decontaminate(splits, config.decontaminate, dropped)
        lost = before - len(splits["train"])
        if lost > 0.2 * before:
            message = f"{lost} of {before} training problems overlap evaluation problems; if they only share instructions, raise data.decontaminate.ngram"
            notes.append(message)
            events.message(message)
    events.progress(4, _STEPS, "removing overlap")
    return _cut(splits, config, notes)


def _shuffled(rows: Sequence[Located], seed: int, name: str) -> list[Located]:
    """The rows in an order that depends on the seed and the split alone, not on other splits."""
    order = list(rows)
    random.Random(f"{seed}:data:{name}").shuffle(order)
    return order


def _carve(splits: Splits, config: DataCommon, seed: int, notes: list[str]) -> Splits:
    """Takes a missing test and validation split out of train, by seed."""
    sizes = config.sizes
    if sizes.ood and "ood" not in splits:
        raise DataError(
            f"data.sizes.ood is {sizes.ood}, but the source has no ood split; name one (data.files.ood or data.splits.ood) or set it to 0"
        )
    carved = {split: _shuffled(rows, seed, split) for split, rows in splits.items()}
    if "train" not in carved and carved.get("test"):
        notes.append("the source is for evaluation only: it has no training problems")
        return {split: carved.get(split, []) for split in SPLITS}
    train = carved.get("train", [])
    missing: list[tuple[Split, int]] = []
    if "test" not in carved:
        missing.append(("test", max(1, round(TEST_SHARE * len(train))) if sizes.test is None else sizes.test))
    if "validation" not in carved:
        missing.append(("validation", sizes.validation))
    needed = sum(size for _, size in missing)
    if needed and needed >= len(train):
        wanted = " and ".join(f"{size} {split}" for split, size in missing)
        raise DataError(
            f"{wanted} problems are to be taken out of {len(train)} training problems, which leaves none to train on; lower data.sizes or give more data"
        )
    for split, size in missing:
        # Test from the back: asked for more test problems, the first training problems stay the same.
        at = len(train) - size if split == "test" else size
        carved[split], train = (train[at:], train[:at]) if split == "test" else (train[:at], train[at:])
        notes.append(f"{split}: {size} problems taken out of train by seed")
    carved["train"] = train
    return {split: carved.get(split, []) for split in SPLITS}


def _cut(splits: Splits, config: DataCommon, notes: list[str]) -> tuple[Splits, int]:
    """Keeps as many problems of each split as the sizes ask for."""
    sizes = config.sizes
    limits: dict[Split, int | None] = {
        "train": sizes.train,
        "validation": sizes.validation,
        "test": sizes.test,
        "ood": sizes.ood,
    }
    unused = 0
    for split, limit in limits.items():
        rows = splits[split]
        if limit is None:
            continue
        if len(rows) < limit:
            notes.append(f"{split}: {len(rows)} problems are left of the {limit} asked for")
        unused += max(0, len(rows) - limit)
        splits[split] = rows[:limit]
    return splits, unused


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
        problems = [_placed(located.problem, split) for located in splits.get(split, [])]
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
