"""Which teacher traces a run learns from: the same few for the warm start and for RL."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkd.errors import DataError
from rlkd.io import read_rows, write_json_atomic
from schemas.problem import Problem, Split
from schemas.trace import TeacherTrace

DRAWN = "traces.json"
"""File in a warm start's folder that names the traces it learned from."""

Pair = tuple[Problem, TeacherTrace]


def accepted_pairs(data: Path, traces: Path, split: Split) -> list[Pair]:
    """Reads (problem, accepted trace) pairs of a split, in the order of the traces file."""
    problems = {problem.id: problem for problem in read_rows(data / f"{split}.jsonl", Problem)}
    rows = read_rows(traces / "accepted.jsonl", TeacherTrace)
    return [(problems[row.problem_id], row) for row in rows if row.problem_id in problems]


def draw(pairs: Sequence[Pair], count: int | None, seed: int) -> list[Pair]:
    """Draws ``count`` pairs by seed, keeping their order; all of them where ``count`` is ``None`` or too large."""
    if count is None or count >= len(pairs):
        return list(pairs)
    chosen = sorted(random.Random(f"traces/{seed}").sample(range(len(pairs)), count))
    return [pairs[i] for i in chosen]


def training_pairs(data: Path, traces: Path, count: int | None, seed: int) -> list[Pair]:
    """Reads the training traces of a run.

    Raises:
        DataError: No training problem has an accepted trace.
    """
    pairs = accepted_pairs(data, traces, "train")
    if not pairs:
        raise DataError(
            f"{traces / 'accepted.jsonl'}: no training problem has an accepted teacher trace; see rejected.jsonl beside it for the reasons"
        )
    return draw(pairs, count, seed)


def write_drawn(folder: Path, pairs: Sequence[Pair]) -> None:
    """Notes which traces a warm start learned from."""
    write_json_atomic(folder / DRAWN, {"trace_ids": [trace.id for _, trace in pairs]})


def drawn_pairs(inputs: Mapping[str, Path]) -> list[Pair]:
    """Reads the traces that RL works with: those of the warm start, or all accepted ones where there was none.

    Args:
        inputs: Stage folders: ``data``, ``traces`` and, where there was one, ``warm_start``.

    Raises:
        DataError: No training problem has an accepted trace.
    """
    pairs = training_pairs(inputs["data"], inputs["traces"], None, 0)
    if "warm_start" not in inputs:
        return pairs
    names = set(json.loads((inputs["warm_start"] / DRAWN).read_text(encoding="utf-8"))["trace_ids"])
    return [(problem, trace) for problem, trace in pairs if trace.id in names]
