"""Shards of a stage: parts of its rows that are made apart from each other, in any order and place.

A sharded stage's function is called once for each shard, with ``ctx.shard`` set: it makes the rows of that shard and appends
them to a file of the shard's own in ``work/``. Then it is called as ever, finds all rows there, and puts them together. So the
result is that of a run without shards, a shard that died loses only what it had not written, and another number of shards
goes on from what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from rlkd.io import recover_rows

Item = TypeVar("Item")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Shard:
    """One of several shards.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
    """

    index: int
    count: int

    @property
    def name(self) -> str:
        """Its name, for files."""
        return f"shard{self.index}of{self.count}"

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Its part of what is to be done."""
        return list(items[self.index :: self.count])


def own_file(partial: Path, shard: Shard | None) -> Path:
    """The file that a shard appends its rows to; without shards, the stage's own."""
    return partial if shard is None else partial.with_name(f"{partial.stem}.{shard.name}{partial.suffix}")


def known_rows(partial: Path, model: type[Model], shard: Shard | None) -> list[Model]:
    """Reads the rows of an unfinished stage, whichever shard made them.

    Only one's own file is mended where its last line is torn: another shard may be writing into the others.
    """
    own = own_file(partial, shard)
    rows = recover_rows(own, model)
    pattern = f"{partial.stem}.shard*of*{partial.suffix}"
    for path in sorted({partial, *partial.parent.glob(pattern)} - {own}):
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1].splitlines()
        rows += [model.model_validate_json(line) for line in whole if line.strip()]
    return rows
