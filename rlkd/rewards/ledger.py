"""The ledger: one row for every scored completion, as Parquet parts.

A part is written at each checkpoint (``part-<first step>-<last step>.parquet``), atomically and before the
checkpoint counts as complete, so that after a crash the rows past the restored checkpoint can be dropped
and none before it is lost. Each component of the reward is a column of its own. Verdicts are a JSON column: any Parquet reader can read the file.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import DataError
from rlkd.rewards.statistics import components_of
from schemas.rollout import RewardRecord

if TYPE_CHECKING:
    import pyarrow as pa

_PATTERN = "part-*.parquet"


class Ledger:
    """Collects reward records and writes them in parts.

    Args:
        folder: Where the parts go; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[RewardRecord] = []
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob(".*.tmp"):
            torn.unlink()

    def add(self, records: Iterable[RewardRecord]) -> None:
        """Buffers rows until the next :meth:`flush`."""
        self._rows.extend(records)

    def flush(self) -> None:
        """Writes the buffered rows as one part; nothing where there are none."""
        if self._rows:
            _write_part(self.folder, self._rows)
            self._rows = []

    def truncate(self, step: int) -> int:
        """Drops every row of optimiser step ``step`` (from 0) and later, also the buffered ones.

        Returns:
            How many rows were dropped from the parts.
        """
        self._rows = [row for row in self._rows if row.step < step]
        dropped = 0
        for part in sorted(self.folder.glob(_PATTERN)):
            rows = _read_part(part)
            kept = [row for row in rows if row.step < step]
            if len(kept) == len(rows):
                continue
            dropped += len(rows) - len(kept)
            if kept:
                _write_part(self.folder, kept)
            part.unlink()
        return dropped


def read_ledger(folder: Path) -> list[RewardRecord]:
    """All rows of a ledger, in the order of their steps.

    Raises:
        DataError: The folder holds no part, or a part cannot be read.
    """
    parts = sorted(folder.glob(_PATTERN))
    if not parts:
        raise DataError(
            f"{folder}: there is no reward ledger here (no {_PATTERN}); name the folder of an RL stage"
        )
    return [row for part in parts for row in _read_part(part)]


def undecided_answers(folder: Path) -> dict[str, int]:
    """Counts a ledger's completions whose answer is undecided, by reason, the most frequent one first."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    for part in sorted(folder.glob(_PATTERN)):
        if "undecided" in pq.read_schema(part).names:
            counts.update(pq.read_table(part, columns=["undecided"])["undecided"].to_pylist())
    return {reason: count for reason, count in counts.most_common() if reason}


def check_new_ledger(folder: Path) -> None:
    """Refuses a folder that a new ledger would damage, or could not be written to.

    Raises:
        DataError: It is a file, or holds a ledger already.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; name a new folder for the ledger")
    if any(folder.glob(_PATTERN)):
        raise DataError(f"{folder}: holds a reward ledger already, which would be lost; name a new folder")


def _schema(components: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    text, number, integer = pa.string(), pa.float64(), pa.int64()
    kinds: dict[str, Any] = {
        "step": integer,
        "group": integer,
        "problem_id": text,
        "completion": text,
        "tokens": integer,
        "finish_reason": text,
        "steps_found": integer,
        "verdicts": text,
        **dict.fromkeys(components, number),
        "alpha": number,
        "reward": number,
        "advantage": number,
        "missing": pa.list_(text),
        "undecided": text,
        "judged": integer,
        "own_answer": pa.bool_(),
        "member": text,
    }
    return pa.schema(list(kinds.items()))


def _write_part(folder: Path, rows: Sequence[RewardRecord]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = []
    for row in rows:
        value = row.model_dump()
        value |= value.pop("components")
        verdicts = [{"step": verdict.pop("index"), **verdict} for verdict in value["verdicts"]]
        value["verdicts"] = json.dumps(verdicts, ensure_ascii=False)
        value["missing"] = list(row.missing)
        values.append(value)
    steps = [row.step for row in rows]
    path = folder / f"part-{min(steps):07d}-{max(steps):07d}.parquet"
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        pq.write_table(
            pa.Table.from_pylist(values, schema=_schema(components_of(rows))), temporary, compression="zstd"
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_part(path: Path) -> list[RewardRecord]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        values = pq.read_table(path).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path}: not a readable ledger part ({error}); delete it and rerun the RL stage"
        ) from None
    rows = []
    for value in values:
        verdicts = json.loads(value.pop("verdicts"))
        missing = tuple(value.pop("missing"))
        components = {name: value.pop(name) for name in list(value) if name not in RewardRecord.model_fields}
        given = {**value, "verdicts": verdicts, "missing": missing, "components": components}
        rows.append(RewardRecord.model_validate(given))
    return rows
