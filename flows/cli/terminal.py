"""Runs as a person at a terminal sees them: progress bars while a stage works, one line when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rlkd.io import duration
from schemas.artifact import StageEntry
from tasks.display import Display, stage_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_MARKS = {"done": "[green]✓[/]", "reused": "[cyan]↺[/]", "skipped": "[dim]–[/]", "failed": "[red]✗[/]"}
_SHOWN = ("reward", "structure", "outcome", "validation_accuracy", "eval_loss", "loss")
_LINE_EVERY_S = 30.0


class PlainDisplay:
    """Lines on standard output, for logs and pipes.

    Args:
        clock: Tells the seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._said = clock()
        self._figures: dict[str, str] = {}

    def stage_started(self, name: str) -> None:
        """One line."""
        self._first, self._said, self._figures = None, self._clock(), {}
        self._print(f"{name}: started")

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        """A line now and then: how far, the telling figures, and how long at this pace."""
        now = self._clock()
        if self._first is None:
            self._first = now, done  # a resumed stage begins in the middle
        if now - self._said < _LINE_EVERY_S:
            return
        self._said = now
        began, at = self._first
        left = (
            f"about {duration((now - began) / (done - at) * (total - done))} left"
            if at < done < total
            else ""
        )
        figures = [self._figures[key] for key in _SHOWN if key in self._figures][:4]
        parts = [f"{name}: {done} of {total} {what}".rstrip(), *figures, left]
        self._print(", ".join(filter(None, parts)))

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        """Remembered for the next line."""
        self._figures |= {key: f"{key} {values[key]:.3g}" for key in _SHOWN if key in values}

    def message(self, text: str) -> None:
        """One line."""
        self._print(text)

    def stage_finished(self, entry: StageEntry) -> None:
        """One line."""
        self._print(stage_line(entry))

    def _print(self, text: str) -> None:
        print(text, flush=True)


class RichDisplay:
    """Bars and coloured lines."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self.console = console
        self.bars = progress
        self.bar: TaskID | None = None
        self._figures = ""

    def stage_started(self, name: str) -> None:
        """A bar without an end, until the stage says how much there is to do."""
        self._drop()
        self._figures = ""
        self.bar = self.bars.add_task(name, total=None, what="", figures="")

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bars.update(self.bar, completed=done, total=total, what=what)

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        """Shows the telling ones beside the bar."""
        shown = [f"{key} {values[key]:.3g}" for key in _SHOWN if key in values][:3]
        if shown and self.bar is not None:
            self.bars.update(self.bar, figures="  ".join(shown))

    def message(self, text: str) -> None:
        """One line above the bar."""
        self.console.print(f"  [dim]{_escape(text)}[/]", highlight=False)

    def stage_finished(self, entry: StageEntry) -> None:
        """One line in place of the bar."""
        self._drop()
        name, _, rest = stage_line(entry).partition(": ")
        self.console.print(f"{_MARKS[entry.status]} [bold]{name:<11}[/] {_escape(rest)}", highlight=False)

    def _drop(self) -> None:
        if self.bar is not None:
            self.bars.remove_task(self.bar)
            self.bar = None


@contextmanager
def terminal() -> Iterator[Display]:
    """The display that fits standard output."""
    if not sys.stdout.isatty():
        yield PlainDisplay()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console()
    columns: tuple[Any, ...] = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description:<11}[/]"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[what]}[/]"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[figures]}[/]"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield RichDisplay(console, progress)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """A sign of life for the seconds in which services start; nothing without a terminal."""
    if not sys.stdout.isatty():
        yield
        return
    from rich.console import Console

    with Console().status(text):
        yield


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table for people; tabs between columns where output is not a terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold dim", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*[_escape(cell) for cell in row])
    Console().print(table)


def since(started: float) -> str:
    """Time since a moment of :func:`time.monotonic`, as a person writes it."""
    return duration(time.monotonic() - started)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
