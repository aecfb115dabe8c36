"""What a run shows: the report where it did not get to its report stage, and what it says that it cost."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlkd.config.load import parse_config
from schemas.artifact import RunManifest, StageEntry
from tasks import publishing, tracking
from tasks.publishing import write_report
from tasks.runs import RunRef


def run_of(folder: Path, *stages: StageEntry) -> Any:
    """As much of a run as its report looks at."""
    folder.mkdir()
    config = parse_config({"name": "t", "data": {"type": "world"}})
    manifest = RunManifest(
        name="t", config={"name": "t"}, config_digest="0", store=str(folder), stages=stages, status="failed"
    )
    return SimpleNamespace(folder=folder, config=config, manifest=manifest)


def test_a_failed_run_shows_its_finished_stages_and_how_far_training_came(tmp_path: Path) -> None:
    data, training, absent = tmp_path / "data", tmp_path / "rl.redo", tmp_path / "gone"
    for made in (data, training):
        made.mkdir()
    (data / "summary.json").write_text('{"loaded": 12, "dropped": {"malformed": 2}}')
    (training / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n{"step": 3, "lo'
    )
    run = run_of(
        tmp_path / "run",
        StageEntry(name="data", status="done", sha256="1", uri=str(data)),
        StageEntry(
            name="structures", status="failed", uri=str(absent), error="x"
        ),  # nothing of it can be shown
        StageEntry(name="warm_start", status="failed", uri=str(training), error="NaN in the loss"),
    )
    found = write_report(run)
    assert (found.rows.loaded, found.rows.dropped) == (12, {"malformed": 2})
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<svg") == 1  # the loss, up to the line that was cut off
    assert "NaN in the loss" in page
    assert json.loads((tmp_path / "run" / "report.json").read_text())["stages"][2]["status"] == "failed"


def test_a_run_of_which_nothing_is_there_has_a_report_all_the_same(tmp_path: Path) -> None:
    run = run_of(
        tmp_path / "run",
        StageEntry(name="data", status="failed", uri=str(tmp_path / "gone"), error="there is no file x"),
    )
    assert write_report(run).rows.loaded == 0
    assert "there is no file x" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(("status", "made"), [("reused", "nothing: every stage was reused"), ("done", "rl")])
def test_a_run_says_what_it_made_and_only_that_costs_it_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Any, made: str
) -> None:
    figures: dict[str, float] = {}
    tags: dict[str, str] = {}
    monkeypatch.setattr(tracking, "log_metrics", lambda uri, run, values: figures.update(values))
    monkeypatch.setattr(tracking, "set_tags", lambda uri, run, values: tags.update(values))
    monkeypatch.setattr(tracking, "log_files", lambda *_: None)
    costs = {"sha256": "1", "seconds": 600.0, "peak_rss_mb": 900.0, "peak_gpu_mb": 80.0}
    run = run_of(
        tmp_path / "run",
        StageEntry(name="data", status="reused", **costs),  # type: ignore[arg-type]
        StageEntry(name="rl", status=status, **costs),  # type: ignore[arg-type]
    )
    report = write_report(run).model_copy(
        update={"extra": {"headline": ["It solves 60%."]}, "wall_seconds": 2.0}
    )
    publishing._log_report(RunRef(folder=str(run.folder), mlflow_run_id="m"), run, report)
    spent = {"usage/seconds_rl": 600.0, "usage/peak_rss_mb_rl": 900.0, "usage/peak_gpu_mb_rl": 80.0}
    assert figures == {"usage/wall_seconds": 2.0, **(spent if status == "done" else {})}
    assert tags["rlkd.made"] == made
    assert ("This run made nothing: every stage was reused." in tags[tracking.NOTE_TAG]) == (
        status == "reused"
    )
    assert "- It solves 60%." in tags[tracking.NOTE_TAG]
