"""The report of a run that did not get to its report stage."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rlkd.config.load import parse_config
from schemas.artifact import RunManifest, StageEntry
from tasks.publishing import write_report


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
