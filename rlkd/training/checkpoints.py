"""Checkpoints of an unfinished training stage: complete or absent, and what is cut back on resume.

The Trainer writes a checkpoint file by file. A marker written last says that it is whole; one without the
marker is removed. Optimiser, scheduler and RNG states are the only pickles, private to ``work/`` and loaded
with ``weights_only``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from rlkd.io import write_json_atomic, write_text_atomic

MARKER = "complete.json"
CHECKPOINTS = "checkpoints"
"""The folder of a stage's checkpoints."""


def checkpoint_root(folder: Path) -> Path:
    """Where a stage keeps its checkpoints while it is unfinished."""
    return folder / "work" / CHECKPOINTS


def step_of(checkpoint: Path) -> int:
    """Optimiser step of a checkpoint folder (``checkpoint-<step>``)."""
    return int(checkpoint.name.rpartition("-")[2])


def all_checkpoints(root: Path) -> list[Path]:
    """Checkpoint folders, whole or not, in order of their steps."""
    return sorted((p for p in root.glob("checkpoint-*") if p.name.rpartition("-")[2].isdigit()), key=step_of)


def mark_complete(checkpoint: Path) -> None:
    """Marks a checkpoint as whole; to be called after its last file."""
    for file in checkpoint.iterdir():
        _sync(file)
    write_json_atomic(checkpoint / MARKER, {"step": step_of(checkpoint)})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_checkpoint(root: Path) -> Path | None:
    """The last whole checkpoint; torn ones and later leftovers are removed."""
    found = None
    for checkpoint in all_checkpoints(root):
        if (checkpoint / MARKER).is_file():
            found = checkpoint
        else:
            shutil.rmtree(checkpoint)
    return found


def prune(root: Path, keep: set[Path]) -> None:
    """Removes every checkpoint but those named."""
    kept = {path.resolve() for path in keep}
    for checkpoint in all_checkpoints(root):
        if checkpoint.resolve() not in kept:
            shutil.rmtree(checkpoint)


class MetricsFile:
    """``metrics.jsonl``: ``{"step": n, name: value, ...}`` per optimiser step, n counting from 1 (0: before the first)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one row."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def read(self) -> list[dict[str, float]]:
        """All rows."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def truncate(self, step: int) -> None:
        """Drops rows after ``step``, and a torn last line."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        write_text_atomic(self.path, "".join(line + "\n" for line in kept))


def last_figures(metrics: MetricsFile, components: Iterable[str]) -> dict[str, float]:
    """Computes means of RL's figures over the last tenth of the run, as headline figures."""
    rows = [row for row in metrics.read() if row["step"] > 0]
    tail = rows[-max(1, len(rows) // 10) :]
    names = (
        "reward",
        *components,
        *("tokens", "truncated", "groups_without_difference", "missing", "undecided"),
    )
    figures = {}
    for name in names:
        values = [row[name] for row in tail if name in row]
        if values:
            figures[f"train_{name}"] = sum(values) / len(values)
    return figures
