from __future__ import annotations

import logging

import pytest

from rlkd.io import duration
from schemas.artifact import INTERRUPTED, StageEntry
from tasks.display import LogDisplay, current_display, shown_on, stage_line


class Collector:
    def __init__(self) -> None:
        self.said: list[object] = []

    def stage_started(self, name: str) -> None:
        self.said.append(name)

    def progress(self, name: str, done: int, total: int, what: str) -> None:
        self.said.append((name, done, total, what))

    def metrics(self, name: str, step: int, values: dict[str, float]) -> None:
        self.said.append((name, step, values))

    def message(self, text: str) -> None:
        self.said.append(text)

    def stage_finished(self, entry: StageEntry) -> None:
        self.said.append(entry)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (7290, "2 h 01 min"),
    ],
)  # 7290 s = 2 h + 90 s
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_end_of_a_stage_has_its_line() -> None:
    lines = {
        "done": "rl: done in 3.0 s, 12 MiB",
        "reused": "rl: reused (made in 3.0 s by demo)",
        "failed": "rl: failed after 3.0 s",
        "skipped": "rl: skipped (switched off)",
    }
    for status, line in lines.items():
        entry = StageEntry.model_validate(
            {"name": "rl", "status": status, "seconds": 3, "peak_rss_mb": 12, "made_by": "demo"}
        )
        assert stage_line(entry) == line
    interrupted = StageEntry(name="rl", status="failed", seconds=3, error=INTERRUPTED)
    assert stage_line(interrupted) == "rl: stopped after 3.0 s"
    on_gpu = StageEntry(name="rl", status="done", seconds=3, peak_rss_mb=12, peak_gpu_mb=2048)
    assert stage_line(on_gpu) == "rl: done in 3.0 s, 12 MiB, GPU 2048 MiB"


def test_the_log_hears_what_the_chosen_display_hears(caplog: pytest.LogCaptureFixture) -> None:
    chosen = Collector()
    entry = StageEntry(name="rl", status="skipped")
    with caplog.at_level(logging.INFO, "rlkd"), shown_on(chosen):
        display = current_display()
        display.stage_started("rl")
        display.progress("rl", 1, 2, "steps")
        display.metrics("rl", 1, {"loss": 1.0})
        display.message("rl: saved")
        display.stage_finished(entry)
    assert chosen.said == ["rl", ("rl", 1, 2, "steps"), ("rl", 1, {"loss": 1.0}), "rl: saved", entry]
    assert caplog.messages == ["rl: started", "rl: saved", "rl: skipped (switched off)"]
    assert isinstance(current_display(), LogDisplay)
