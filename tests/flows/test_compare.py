from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import run_command
from rlkd.io import write_json_atomic, write_rows
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import ProblemOutput
from schemas.experiment import ExperimentReport
from schemas.problem import Problem


def run_folder(
    root: Path,
    name: str,
    right: bool,
    problem: str = "p",
    seed: int = 0,
    config: dict[str, Any] | None = None,
) -> Path:
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
        RunManifest(
            name=name, config={**(config or {}), "seed": seed}, config_digest="", store="", stages=(entry,)
        ),
    )
    return folder


def test_compare_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run_folder(tmp_path, "one", True), run_folder(tmp_path, "two", False)
    assert run_command(["compare", f"RLKD={first}", str(second)]) == 0
    printed = capsys.readouterr().out
    assert "| RLKD | 0 | 100.0% [0.0, 100.0] |" in printed  # one problem says nothing of others
    assert "| seed 0 | +100.0 [−100.0, +100.0] |" in printed


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
    from rlkd.reporting.compare import _interval, load_run

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
    found = _interval([(run, {"p0": 0.5, "p1": 1.0, "p2": 1.0})], 200, 0.95)
    # two clusters: a replicate is 0.5, 2.5 / 3 or 1
    assert found is not None
    assert (found.low, found.high) == (0.5, 1.0)


def settings(**changes: Any) -> dict[str, Any]:
    """A configuration with every default stated, as a run writes it down."""
    values = {"name": "x", "data": {"type": "world"}, **changes}
    return PipelineConfig.model_validate(values).model_dump(mode="json")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(["compare", *arguments]) == 2
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"evaluate": {"undecided": "right"}}, 'evaluate.undecided (its default and "right")'),
        ({"evaluate": {"max_problems": 5}}, "evaluate.max_problems (null and 5)"),
        ({"student": {"output": "boxed"}}, 'student.output ("answer_line" and "boxed")'),
    ],
)
def test_answers_that_were_judged_another_way_do_not_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], difference: str
) -> None:
    first = run_folder(tmp_path, "one", True, config=settings())
    # Also where the seed is another one: the methods' means would differ by how they are judged.
    for seed in (0, 1):
        second = run_folder(tmp_path, f"two{seed}", False, seed=seed, config=settings(**changes))
        assert said(capsys, f"a={first}", f"b={second}") == (
            f"rlkd: error: {first} and {second} do not compare: they differ in {difference}; "
            "evaluate both on the same problems in the same way"
        )


def test_how_fast_a_student_was_evaluated_is_no_difference(tmp_path: Path) -> None:
    first = run_folder(tmp_path, "one", True, config=settings())
    second = run_folder(tmp_path, "two", True, config=settings(evaluate={"batch_size": 3}))
    assert run_command(["compare", f"a={first}", f"b={second}"]) == 0


def test_a_label_joins_the_seeds_of_one_method_each_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_folder(tmp_path, "one", True, config=settings())
    again = run_folder(tmp_path, "again", False, problem="q", config=settings())
    assert said(capsys, f"x={first}", f"x={again}") == (
        f"rlkd: error: {first} and {again} both have seed 0 under the label x; "
        "name one of them, or give them labels of their own (LABEL=RUN)"
    )
    other = run_folder(tmp_path, "other", False, seed=1, config=settings(rl={"steps": 7}))
    assert said(capsys, f"x={first}", f"x={other}") == (
        f"rlkd: error: {first} and {other} are not seeds of one method: they differ in rl.steps (100 and 7); "
        "give them labels of their own (LABEL=RUN)"
    )
    seed = run_folder(tmp_path, "seed", False, seed=1, config=settings(name="y", description="another seed"))
    assert run_command(["compare", f"x={first}", f"x={seed}"]) == 0


def test_what_a_cell_takes_of_one_of_its_seed_makes_no_other_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        run_folder(
            tmp_path, f"s{seed}", True, seed=seed, config=settings(warm_start={"max_epochs": 5 + seed})
        )
        for seed in (0, 1)
    ]
    labelled = [f"x={run}" for run in runs]
    assert "they differ in warm_start.max_epochs (5.0 and 6.0)" in said(capsys, *labelled)
    (tmp_path / "cells").mkdir()
    (tmp_path / "experiment.yaml").write_text("")
    assert run_command(["compare", *labelled]) == 0


def test_where_the_page_cannot_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [f"{name}={run_folder(tmp_path, name, True)}" for name in ("a", "b")]
    (tmp_path / "file").write_text("")
    for name in ("file", "file/x"):
        assert said(capsys, *runs, "-o", str(tmp_path / name)).startswith(
            f"rlkd: error: cannot write to {tmp_path / name}: "
        )
    (tmp_path / "x" / "cells").mkdir(parents=True)
    (tmp_path / "x" / "experiment.yaml").write_text("")
    assert said(capsys, *runs, "-o", str(tmp_path / "x")) == (
        f"rlkd: error: {tmp_path / 'x'} holds an experiment, whose page this would replace; choose another --output"
    )


def test_over_is_about_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_folder(tmp_path, "a", True)
    assert said(capsys, str(run), "--over", "problems") == (
        "rlkd: error: --over says what the intervals of the page speak for; name the page's folder with --output, or leave it out"
    )
