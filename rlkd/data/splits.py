"""Cutting splits: missing ones are carved out of train, and each keeps as many problems as are asked for."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from rlkd.data.filters import Located, Splits
from rlkd.data.sources.base import Loaded
from rlkd.errors import DataError
from schemas.config.data import DataCommon, MixtureData
from schemas.problem import Split

SPLITS: tuple[Split, ...] = get_args(Split)
TEST_SHARE = 0.1
"""Share of a source without a test split that becomes one, where ``data.sizes.test`` is null."""


def located(loaded: Loaded) -> Splits:
    """Puts each problem together with where it was read, and the part of a mixture that it is of."""
    return {
        split: [
            Located(problem, where, part)
            for problem, where, part in zip(
                problems, loaded.where[split], loaded.parts.get(split, [""] * len(problems)), strict=True
            )
        ]
        for split, problems in loaded.splits.items()
    }


def shuffled(rows: Sequence[Located], seed: int, name: str) -> list[Located]:
    """The rows in an order that depends on the seed and the split alone, not on other splits."""
    order = list(rows)
    random.Random(f"{seed}:data:{name}").shuffle(order)
    return order


def carve(splits: Splits, config: DataCommon, seed: int, notes: list[str]) -> Splits:
    """Takes a missing test and validation split out of train, by seed; of a mixture, in each part as it would be alone.

    Raises:
        DataError: That would leave nothing to train on.
    """
    if not isinstance(config, MixtureData):
        return _carve(splits, config, seed, notes)
    carved: Splits = {split: [] for split in SPLITS}
    for part in config.parts:
        own = {split: [row for row in rows if row.part == part.name] for split, rows in splits.items()}
        said: list[str] = []
        try:
            found = _carve({split: rows for split, rows in own.items() if rows}, part.source, seed, said)
        except DataError as error:
            raise DataError(f"data.parts, {part.name}: {error}") from None
        notes += [f"{part.name}: {note}" for note in said]
        for split, rows in found.items():
            carved[split] += rows
    return {split: shuffled(rows, seed, split) for split, rows in carved.items()}


def _carve(splits: Splits, config: DataCommon, seed: int, notes: list[str]) -> Splits:
    sizes = config.sizes
    if sizes.ood and "ood" not in splits:
        raise DataError(
            f"data.sizes.ood is {sizes.ood}, but the source has no ood split; name one (data.files.ood or data.splits.ood) or set it to 0"
        )
    carved = {split: shuffled(rows, seed, split) for split, rows in splits.items()}
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


def cut(splits: Splits, config: DataCommon, notes: list[str]) -> tuple[Splits, int]:
    """Keeps as many problems of each split as the sizes ask for."""
    unused = 0
    if isinstance(config, MixtureData):
        splits, unused = _cut_parts(splits, config, notes)
    sizes = config.sizes
    limits: dict[Split, int | None] = {
        "train": sizes.train,
        "validation": sizes.validation,
        "test": sizes.test,
        "ood": sizes.ood,
    }
    for split, limit in limits.items():
        rows = splits[split]
        if limit is None:
            continue
        if len(rows) < limit:
            notes.append(f"{split}: {len(rows)} problems are left of the {limit} asked for")
        unused += max(0, len(rows) - limit)
        splits[split] = rows[:limit]
    return splits, unused


def _cut_parts(splits: Splits, config: MixtureData, notes: list[str]) -> tuple[Splits, int]:
    """Keeps of each part of a mixture what its own sizes and its weight allow, in the order that they are in."""
    kept: Splits = {}
    for split, rows in splits.items():
        held = Counter(row.part for row in rows)
        quota = {}
        for part in config.parts:
            limit = getattr(part.source.sizes, split)
            quota[part.name] = held[part.name] if limit is None else min(limit, held[part.name])
            if limit is not None and held[part.name] < limit:
                notes.append(
                    f"{part.name}, {split}: {held[part.name]} problems are left of the {limit} asked for"
                )
        if split == "train":
            quota = _weighed(quota, config, notes)
        taken: Counter[str] = Counter()
        kept[split] = []
        for row in rows:
            if taken[row.part] < quota[row.part]:
                taken[row.part] += 1
                kept[split].append(row)
    return kept, sum(map(len, splits.values())) - sum(map(len, kept.values()))


def _weighed(held: dict[str, int], config: MixtureData, notes: list[str]) -> dict[str, int]:
    """How many training problems each part gives by its weight: all that its weight allows without another running short, or its
    share of ``data.sizes.train``.
    """
    weights = {part.name: part.weight for part in config.parts if part.weight is not None}
    if not weights:
        return held
    whole = sum(weights.values())
    wanted = config.sizes.train
    if wanted is None:
        wanted = math.floor(min(held[name] / weight for name, weight in weights.items()) * whole + 1e-9)
    shares = {name: wanted * weight / whole for name, weight in weights.items()}
    quota = {name: math.floor(share + 1e-9) for name, share in shares.items()}
    left = wanted - sum(quota.values())
    for name in sorted(quota, key=lambda name: quota[name] - shares[name])[:left]:  # the largest remainders
        quota[name] += 1
    for name, count in quota.items():
        if held[name] < count:
            notes.append(
                f"{name}, train: {held[name]} problems are left of the {count} that its weight asks for"
            )
    return {name: min(count, held[name]) for name, count in quota.items()}
