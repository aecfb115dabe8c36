from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from flows.cli.terminal import PlainDisplay, RichDisplay, print_table, terminal
from schemas.artifact import StageEntry

DONE = StageEntry(name="rl", status="done", seconds=125.0, peak_rss_mb=900.4)
REUSED = StageEntry(name="data", status="reused", seconds=1.25, made_by="demo")


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal() as display:
        assert isinstance(display, PlainDisplay)
        display.stage_started("rl")
        display.progress("rl", 1, 2, "steps")
        display.metrics("rl", 1, {"reward": 0.5})
        display.message("rl: saved")
        display.stage_finished(DONE)
        display.stage_finished(REUSED)
    assert capsys.readouterr().out.splitlines() == [
        "rl: started",
        "rl: saved",
        "rl: done in 2 min 05 s, 900 MiB",
        "data: reused (made in 1.2 s by demo)",
    ]


def test_a_terminal_shows_a_bar_and_then_a_line() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, color_system=None)
    columns = (
        TextColumn("{task.description} {task.fields[what]} {task.fields[figures]}"),
        MofNCompleteColumn(),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        display = RichDisplay(console, progress)
        display.stage_started("rl")
        display.progress("rl", 3, 10, "steps")
        display.metrics("rl", 3, {"reward": 0.5, "other": 1.0})
        progress.refresh()
        shown = output.getvalue()
        assert "rl steps reward 0.5" in shown
        assert "3/10" in shown
        display.message("rl: [odd] words")
        display.stage_finished(DONE)
        assert not progress.tasks
        display.progress("rl", 4, 10, "steps")  # after the end: nothing to move
        display.metrics("rl", 4, {"reward": 0.6})
        display.stage_finished(REUSED)
    lines = output.getvalue()
    assert "rl: [odd] words" in lines
    assert "✓ rl          done in 2 min 05 s, 900 MiB" in lines
    assert "↺ data        reused (made in 1.2 s by demo)" in lines


def test_tables_have_tabs_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("title", ["a", "b"], [["1", "x [y]"], ["2", ""]])
    assert capsys.readouterr().out == "1\tx [y]\n2\t\n"


def test_without_a_terminal_a_line_every_30_seconds_says_how_far_and_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 100.0
    display = PlainDisplay(lambda: now)
    display.stage_started("rl")
    for second in range(0, 70, 10):
        now = 100.0 + second
        display.metrics("rl", second // 10, {"reward": 0.25 + second / 100, "outcome": 0.5, "kl": 0.1})
        display.progress("rl", 20 + second // 10, 50, "steps")  # resumed at step 20
    # One step in 10 s: at 30 s step 23, so 27 steps of 10 s are left; at 60 s step 26, so 24.
    assert capsys.readouterr().out.splitlines() == [
        "rl: started",
        "rl: 23 of 50 steps, reward 0.55, outcome 0.5, about 4 min 30 s left",
        "rl: 26 of 50 steps, reward 0.85, outcome 0.5, about 4 min 00 s left",
    ]
