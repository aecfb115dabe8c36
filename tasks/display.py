"""What a person sees of a run: whoever starts a run chooses a display, and tasks talk to it.

Lines go to the log of the Prefect run as well, or alone where nobody chose (a worker).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rlkd.io import duration
from schemas.artifact import INTERRUPTED, StageEntry


class Display(Protocol):
    """Shows a run while it goes on."""

    def stage_started(self, name: str) -> None:
        """Shows that a stage begins to be made (not called for reused ones)."""

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        """Shows that a stage has done ``done`` of ``total`` units."""

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        """Shows a stage's figures at an optimiser step."""

    def message(self, text: str) -> None:
        """Shows one line that a person should see."""

    def stage_finished(self, entry: StageEntry) -> None:
        """Shows that a stage ended, however it ended."""


class LogDisplay:
    """Lines in the log of the Prefect run (or of this module, outside of one)."""

    def stage_started(self, name: str) -> None:
        """Prints one line."""
        _logger().info("%s: started", name)

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        """Nothing: the progress artifact shows it."""

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        """Nothing: MLflow has them."""

    def message(self, text: str) -> None:
        """Prints one line."""
        _logger().info(text)

    def stage_finished(self, entry: StageEntry) -> None:
        """Prints one line with time, and whether it was reused."""
        _logger().info(stage_line(entry))


class Tee:
    """Several displays at once."""

    def __init__(self, *displays: Display) -> None:
        self.displays = displays

    def stage_started(self, name: str) -> None:
        """Passed on."""
        for display in self.displays:
            display.stage_started(name)

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        """Passed on."""
        for display in self.displays:
            display.progress(name, done, total, what)

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        """Passed on."""
        for display in self.displays:
            display.metrics(name, step, values)

    def message(self, text: str) -> None:
        """Passed on."""
        for display in self.displays:
            display.message(text)

    def stage_finished(self, entry: StageEntry) -> None:
        """Passed on."""
        for display in self.displays:
            display.stage_finished(entry)


_current: ContextVar[Display | None] = ContextVar("display", default=None)


def current_display() -> Display:
    """Finds the log, and the display that was chosen, if any."""
    chosen = _current.get()
    return LogDisplay() if chosen is None else Tee(chosen, LogDisplay())


@contextmanager
def shown_on(display: Display) -> Iterator[None]:
    """Runs inside this context show themselves on ``display``."""
    token = _current.set(display)
    try:
        yield
    finally:
        _current.reset(token)


def stage_line(entry: StageEntry) -> str:
    """Formats one line about a stage: name, what happened, time."""
    if entry.status == "reused":
        return (
            f"{entry.name}: reused (made in {duration(entry.seconds)} by {entry.made_by or 'an earlier run'})"
        )
    if entry.status == "skipped":
        return f"{entry.name}: skipped (switched off)"
    if entry.status == "failed":
        return f"{entry.name}: {'stopped' if entry.error == INTERRUPTED else 'failed'} after {duration(entry.seconds)}"
    return f"{entry.name}: done in {duration(entry.seconds)}, {memory_text(entry)}"


def memory_text(entry: StageEntry) -> str:
    """Formats the peak memory of a stage, resident and on the GPU where it used one."""
    gpu = f", GPU {entry.peak_gpu_mb:.0f} MiB" if entry.peak_gpu_mb else ""
    return f"{entry.peak_rss_mb:.0f} MiB{gpu}"


def _logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    from prefect.context import FlowRunContext, TaskRunContext
    from prefect.logging import get_run_logger

    if FlowRunContext.get() or TaskRunContext.get():
        return get_run_logger()
    return logging.getLogger("rlkd")
