from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.main import run_command
from rlkd.io import write_json_atomic, write_rows
from schemas.artifact import RunManifest, StageEntry
from schemas.evaluation import ProblemOutput
from schemas.experiment import ExperimentReport
from schemas.problem import Problem


def run_folder(root: Path, name: str, right: bool, problem: str = "p", seed: int = 0) -> Path:
    folder = root / name
    folder.mkdir()
    row = ProblemOutput(
        checkpoint="rlkd",
        split="test",
        problem_id=problem,
        domain="math",
        difficulty=None,
        completion="",
        answer=None,
        correct=right,
        structure=None,
        format=1.0,
        tokens=1,
        finish_reason="stop",
    )
    write_rows(folder / "outputs.jsonl", [row])
    entry = StageEntry(name="evaluate", status="reused", uri=str(folder))
    write_json_atomic(
        folder / "run.json",
        RunManifest(name=name, config={"seed": seed}, config_digest="", store="", stages=(entry,)),
    )
    return folder


def test_compare_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run_folder(tmp_path, "one", True), run_folder(tmp_path, "two", False)
    assert run_command(["compare", f"RLKD={first}", str(second)]) == 0
    printed = capsys.readouterr().out
    assert "| RLKD | 0 | 100.0% [100.0, 100.0] |" in printed
    assert "| seed 0 | +100.0 [+100.0, +100.0] |" in printed


def test_compare_refuses_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_compare_writes_the_page_of_an_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        f"{label}={run_folder(tmp_path, f'{label}{seed}', right, seed=seed)}"
        for label, right in (("new", True), ("old", False))
        for seed in (0, 1)
    ]
    assert run_command(["compare", *runs, "-o", str(tmp_path / "page")]) == 0
    assert "experiment.html" in capsys.readouterr().out
    report = ExperimentReport.model_validate_json((tmp_path / "page" / "experiment.json").read_text())
    assert [(row.method, row.per_seed) for row in report.ranking] == [
        ("new", {"0": 1.0, "1": 1.0}),
        ("old", {"0": 0.0, "1": 0.0}),
    ]
    assert (report.over, report.comparisons[0].a, report.comparisons[0].b) == ("seeds", "new", "old")
    assert report.comparisons[0].difference is not None
    assert report.comparisons[0].difference.mean == 1.0


def test_runs_that_were_asked_other_problems_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = run_folder(tmp_path, "one", True), run_folder(tmp_path, "two", False, problem="q")
    assert run_command(["compare", f"a={first}", f"b={second}"]) == 2
    said = capsys.readouterr().err
    assert "do not compare: they were asked 1 and 1 test problems, 2 of them only one of the two (p)" in said


def test_an_interval_over_seeds_needs_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run_folder(tmp_path, "one", True), run_folder(tmp_path, "two", False)
    asked = ["compare", f"a={first}", f"b={second}", "-o", str(tmp_path / "page"), "--over", "seeds"]
    assert run_command(asked) == 2
    assert "a has one seed, and an interval over seeds needs two" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_problems_of_one_passage_are_resampled_together(tmp_path: Path) -> None:
    from rlkd.reporting.compare import _interval, _pooled, load_run

    folder = run_folder(tmp_path, "one", True)
    rows = [
        Problem(id=f"p{i}", question="?", answer="1", metadata={"cluster": "c"} if i else {})
        for i in range(3)
    ]
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "test.jsonl", rows)
    manifest = RunManifest.model_validate_json((folder / "run.json").read_text())
    data = StageEntry(name="data", status="done", uri=str(tmp_path / "data"), sha256="d")
    write_json_atomic(folder / "run.json", manifest.model_copy(update={"stages": (data, *manifest.stages)}))
    run = load_run(str(folder))
    assert run.clusters == {"p1": "c", "p2": "c"}
    pooled = _pooled([(run, {"p0": 0.0, "p1": 1.0, "p2": 1.0}), (run, {"p0": 1.0})])
    assert pooled == [(0.5, ""), (1.0, "d/c"), (1.0, "d/c")]
    found = _interval(pooled, 200, 0.95)
    # two clusters: a replicate is 0.5, 2.5 / 3 or 1
    assert found is not None and (found.low, found.high) == (0.5, 1.0)
