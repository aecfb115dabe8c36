"""Progress and step metrics of a running stage, as a stream of small events.

A stage function reports to an :class:`EventSink`. In a job process the sink appends JSON lines to a
file that the parent follows; the library knows nothing of who listens (Prefect, MLflow, a terminal).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class EventSink(Protocol):
    """Takes what a stage says about itself while it runs."""

    def progress(self, done: int, total: int, what: str = "") -> None:
        """``done`` of ``total`` units are finished (``what`` names the unit, e.g. ``traces``)."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Figures at an optimiser step. The stage keeps its own copy in ``metrics.jsonl``."""

    def message(self, text: str) -> None:
        """One line that a person should see."""


class NullSink:
    """Ignores everything."""

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Ignored."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""


class FileSink:
    """Appends one JSON object per event to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _write(self, event: Mapping[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Writes a progress event."""
        self._write({"type": "progress", "done": done, "total": total, "what": what})

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a metrics event."""
        self._write({"type": "metrics", "step": step, "values": dict(values)})

    def message(self, text: str) -> None:
        """Writes a message event."""
        self._write({"type": "message", "text": text})
