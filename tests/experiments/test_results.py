"""What cells left behind, read into budgets, ranking and verdicts; figures worked out by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from flows.configure import plan_experiment
from rlkd.errors import StageError
from rlkd.experiments.budgets import matching_epochs
from rlkd.experiments.cell import Cell
from rlkd.experiments.finished import Read
from rlkd.experiments.follow import settled
from rlkd.experiments.page import render_experiment, write_experiment
from rlkd.experiments.results import _TABLE, _clusters, read_experiment
from rlkd.io import write_json_atomic, write_rows
from rlkd.pipeline.run_folder import read_run
from rlkd.reporting.compare import ComparedRun
from rlkd.rewards.ledger import Ledger
from schemas.artifact import RunManifest, StageEntry
from schemas.config.experiment import ExperimentConfig
from schemas.config.traces import StudentTeacher
from schemas.evaluation import ProblemOutput
from schemas.experiment import CellResult, ExperimentReport
from schemas.problem import Problem
from schemas.rollout import RewardRecord
from schemas.trace import TeacherTrace

PROBLEMS = 200


def experiment(**changes: Any) -> ExperimentConfig:
    values = {
        "name": "x",
        "description": "A & B",
        "base": "demo",
        "methods": ["sft+grpo", "sft+rlkd"],
        "seeds": [0, 1],
        "compare": {"metric": "accuracy", "family": [["sft+rlkd", "sft+grpo"]], "resamples": 400},
        **changes,
    }
    return ExperimentConfig.model_validate(values)


def output(problem: int, right: bool) -> ProblemOutput:
    return ProblemOutput(
        checkpoint="rlkd",
        split="test",
        problem_id=f"p{problem}",
        domain="math",
        difficulty=None,
        completion="",
        answer=None,
        correct=right,
        structure=0.5,
        format=1.0,
        tokens=3,
        finish_reason="length" if problem < 20 else "stop",
    )


def finish(cell: Cell, root: Path, right: set[int]) -> None:
    """A finished cell: two practice problems, two RL steps of two completions each, and a model of 6 weights."""
    store = root / "store" / cell.name
    folders = {name: store / name for name in ("data", "traces", "warm_start", "rl", "evaluate")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    problems = [
        Problem(id=f"q{i}", question="one two", answer="1", domain="math", split="train") for i in (0, 1)
    ]
    write_rows(folders["data"] / "train.jsonl", problems)
    traces = [
        TeacherTrace(id=f"q{i}/0", problem_id=f"q{i}", teacher="t", path="a b c", answer="1", accepted=True)
        for i in (0, 1)
    ]
    write_rows(folders["traces"] / "accepted.jsonl", traces)
    write_json_atomic(folders["warm_start"] / "traces.json", {"trace_ids": ["q0/0", "q1/0"]})
    (folders["warm_start"] / "metrics.jsonl").write_text('{"step": 3, "loss": 1.0, "epoch": 1.5}\n')
    model = folders["rl"] / "model"
    model.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(24))
    ledger = Ledger(folders["rl"] / "ledger")
    for step, tokens in ((0, 10), (1, 20)):
        ledger.add(
            RewardRecord(
                step=step,
                group=step,
                problem_id="q0",
                completion="",
                tokens=tokens,
                finish_reason="stop",
                advantage=0.5,
                judged=3,
            )
            for _ in range(2)
        )
    ledger.flush()
    rows = [
        {"step": 0, "validation_accuracy": 0.1},
        {"step": 1, "validation_accuracy": 0.2},
        {"step": 2, "validation_accuracy": 0.4},
    ]
    (folders["rl"] / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_rows(folders["evaluate"] / "outputs.jsonl", [output(i, i in right) for i in range(PROBLEMS)])
    entries = tuple(
        StageEntry(name=name, status="done", uri=str(folder), sha256="0", seconds=5.0)
        for name, folder in folders.items()
    )
    (root / cell.name).mkdir()
    manifest = RunManifest(
        name=cell.name,
        config=cell.config.model_dump(mode="json"),
        config_digest="",
        store=str(root / "store"),
        stages=entries,
        status="done",
    )
    write_json_atomic(root / cell.name / "run.json", manifest)


def read(config: ExperimentConfig, root: Path, right: dict[str, set[int]]) -> ExperimentReport:
    cells = plan_experiment(config)
    for cell in cells:
        if cell.name in right:
            finish(cell, root, right[cell.name])
    return read_experiment(config, cells, root)


def test_budgets_by_hand(tmp_path: Path) -> None:
    report = read(experiment(), tmp_path, {"sft-grpo-s0": {1}})
    cell = report.cells[0]
    assert cell.budget is not None
    # Without a tokenizer words are counted: 2 of each prompt ("one two"), 3 of each path.
    # SFT: 2 traces x (2 + 3) tokens x 1.5 epochs = 15. RL: 2 x 10 + 2 x 20 = 60 sampled, with 4 prompts of 2: 68 trained.
    assert (cell.budget.sampled, cell.budget.trained, cell.budget.teacher) == (60, 15 + 68, 6)
    assert cell.budget.steps == 3 + 2  # the SFT's last step, and the RL steps that were made of the demo's 50
    # N = 6: SFT 6 x 15 = 90, RL (2 + 6) x 68 = 544: 634 x 6.
    assert (cell.budget.parameters, cell.budget.flops) == (6, 634 * 6)
    assert cell.budget.judged == 12  # 3 pairs of steps for each of 2 x 2 completions
    assert cell.budget.seconds == 20.0  # four stages of 5 s; evaluation is not counted
    # After step 1: 20 tokens, with their prompts 24: (90 + 8 x 24) x 6.
    assert [(p.step, p.sampled, p.flops, p.accuracy) for p in cell.curve] == [
        (0, 0, 90 * 6, 0.1),
        (1, 20, (90 + 8 * 24) * 6, 0.2),
        (2, 60, 634 * 6, 0.4),
    ]
    assert cell.scores["test/truncated"] == 0.1  # 20 of 200


def test_a_clear_gain_is_better(tmp_path: Path) -> None:
    few, many = set(range(80)), set(range(140))
    report = read(
        experiment(),
        tmp_path,
        {"sft-grpo-s0": few, "sft-grpo-s1": few, "sft-rlkd-s0": many, "sft-rlkd-s1": many | {140, 141}},
    )
    [row] = report.comparisons
    # 60/200 = 0.30 and 62/200 = 0.31: 0.305 in the mean; 60 + 62 problems that it alone gets right.
    assert row.verdict == "better"
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(0.305)
    assert row.per_seed == {"0": pytest.approx(0.30), "1": pytest.approx(0.31)}
    assert row.wins == (122, 0)
    assert [r.method for r in report.ranking] == ["sft+rlkd", "sft+grpo"]
    assert report.ranking[1].value is not None
    assert report.ranking[1].value.mean == pytest.approx(0.4)
    # Equal budgets: every cell ends at 60 sampled tokens and 634 x 6 operations, where validation is 0.4.
    assert {(r.method, r.budget, r.accuracy) for r in report.equal_sampled} == {
        ("sft+grpo", 60, 0.4),
        ("sft+rlkd", 60, 0.4),
    }
    assert len(report.equal_flops) == 2


def test_problems_of_every_seed_have_their_clusters(tmp_path: Path) -> None:
    seeds = {"s0": {"a": "book", "b": "book"}, "s1": {"b": "book", "c": "film"}}
    for name, clusters in seeds.items():
        rows = [
            Problem(id=problem, question="q", answer="1", split="test", metadata={"cluster": cluster})
            for problem, cluster in clusters.items()
        ]
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "test.jsonl", rows)
    run = ComparedRun("m", "m", "", tmp_path, 0, tmp_path, "", "", "rlkd", {})
    result = CellResult(cell="", method="m", seed=0, setting="")
    cells = [Read(result, run, tmp_path / name) for name in seeds] + [Read(result)]
    assert _clusters(cells, _TABLE) == {"a": "book", "b": "book", "c": "film"}


def test_a_missing_seed_is_shown_and_never_averaged_over(tmp_path: Path) -> None:
    report = read(
        experiment(), tmp_path, {"sft-grpo-s0": {1}, "sft-grpo-s1": {1}, "sft-rlkd-s0": set(range(150))}
    )
    [row] = report.comparisons
    assert row.verdict == "missing"
    assert "seed 1 of sft+rlkd is missing" in row.sentence
    assert row.difference is None
    assert row.per_seed == {"0": pytest.approx(149 / 200)}
    last = report.ranking[-1]
    assert (last.method, last.value, last.missing) == ("sft+rlkd", None, (1,))
    page = render_experiment(report)
    assert "seed 1 missing" in page
    assert "sft-rlkd-s1" in page


def test_a_cell_of_other_settings_does_not_count(tmp_path: Path) -> None:
    read(experiment(), tmp_path, {"sft-grpo-s0": {1}})
    changed = experiment(settings={"rl": {"steps": 7}})
    report = read_experiment(changed, plan_experiment(changed), tmp_path)
    assert report.cells[0].status == "missing"
    assert "other settings" in report.cells[0].error


def test_the_page_escapes_texts_and_holds_the_numbers_of_the_json(tmp_path: Path) -> None:
    right = {1, 2, 3}
    report = read(experiment(seeds=[0], compare=None), tmp_path, {"sft-grpo-s0": right, "sft-rlkd-s0": right})
    json_file, html = write_experiment(report, tmp_path)
    assert ExperimentReport.model_validate_json(json_file.read_text()) == report
    page = html.read_text()
    assert "A &amp; B" in page
    assert "1.5%" in page  # 3 of 200
    assert report.comparisons == ()
    assert "Verdicts" not in page
    assert "<script" not in page
    assert 'name="viewport"' in page


def test_the_page_has_a_small_p_as_a_bound(tmp_path: Path) -> None:
    cells = {
        f"sft-{name}-s{seed}": right
        for seed in (0, 1)
        for name, right in (("grpo", set()), ("rlkd", set(range(150))))
    }
    report = read(experiment(), tmp_path, cells)
    [row] = report.comparisons
    assert row.p is not None
    for p, bound, shown in (
        (0.0004, False, "&lt; 0.001"),
        (0.0126, False, "0.013"),
        (0.0126, True, "\N{LESS-THAN OR EQUAL TO} 0.013"),
    ):
        changed = row.model_copy(update={"p": p, "p_is_bound": bound})
        page = render_experiment(report.model_copy(update={"comparisons": (changed,)}))
        assert f"<td>{shown}</td>" in page


def test_sft_more_trains_for_the_operations_of_the_cell_that_it_follows(tmp_path: Path) -> None:
    cells = plan_experiment(experiment(methods=["sft+grpo", "sft-more"], seeds=[0], compare=None))
    with pytest.raises(StageError, match="it follows cell sft-grpo-s0, which is not finished"):
        settled(cells[1], tmp_path)
    finish(cells[0], tmp_path, {1})
    # 634 x N operations (see above) over 6 N for each of the 10 tokens of an epoch: 634 / 60 = 10.57 epochs.
    assert settled(cells[1], tmp_path).config.warm_start.max_epochs == pytest.approx(10.57)
    assert settled(cells[0], tmp_path) is cells[0]
    finish(settled(cells[1], tmp_path), tmp_path, {1, 2})
    report = read_experiment(
        experiment(methods=["sft+grpo", "sft-more"], seeds=[0], compare=None), cells, tmp_path
    )
    assert [cell.status for cell in report.cells] == ["done", "done"]


def test_epochs_are_of_the_traces_that_sft_learns(tmp_path: Path) -> None:
    """Where the cell that it follows has no warm start, whose traces would tell: RL took all of them."""
    settings = {"warm_start": {"traces": 1}}
    config = experiment(methods=["grpo-zero"], seeds=[0], compare=None, settings=settings)
    [cell] = plan_experiment(config)
    finish(cell, tmp_path, {1})
    entries = {e.name: e for e in read_run(tmp_path / cell.name).stages if e.name != "warm_start"}
    # 600 operations over 6 x 6 weights for each of the 2 + 3 tokens of one trace: 600 / 180 = 3.33; it was 1.67, of two traces.
    assert matching_epochs(600, cell.config, entries) == pytest.approx(3.33)


def test_a_chat_students_prompt_is_counted_with_its_system_message(tmp_path: Path) -> None:
    settings = {"student": {"chat": True, "system": "You are one who reckons"}}
    config = experiment(methods=["grpo-zero"], seeds=[0], compare=None, settings=settings)
    [cell] = plan_experiment(config)
    finish(cell, tmp_path, {1})
    budget = read_experiment(config, [cell], tmp_path).cells[0].budget
    assert budget is not None
    # Without a tokenizer words are counted: 5 of the system message and 2 of the question before each of 4 completions of 60 words,
    # and in SFT 2 traces x (7 + 3) x 1.5 epochs.
    assert budget.trained == 60 + 4 * 7 + 30


def test_a_student_that_taught_itself_is_charged_for_its_training_problems_only(tmp_path: Path) -> None:
    config = experiment(methods=["rft"], seeds=[0], compare=None)
    [cell] = plan_experiment(config)
    finish(cell, tmp_path, {1})
    before = read_experiment(config, [cell], tmp_path).cells[0].budget
    row = {"teacher": "student:x", "prompt_tokens": 400, "completion_tokens": 900}
    row |= {"train_prompt_tokens": 20, "train_completion_tokens": 50}
    manifest = {"result": {"summary": {"costs": [row]}}}
    (tmp_path / "store" / cell.name / "traces" / "manifest.json").write_text(json.dumps(manifest))
    after = read_experiment(config, [cell], tmp_path).cells[0].budget
    assert before is not None and after is not None
    assert before.flops is not None and after.flops is not None
    assert after.sampled - before.sampled == 50
    assert after.flops - before.flops == 2 * (20 + 50) * 6  # two operations a token and weight, six weights


def test_a_second_round_samples_from_the_student_of_the_first(tmp_path: Path) -> None:
    cells = plan_experiment(experiment(methods=["rft", "rft-2"], seeds=[0], compare=None))
    finish(cells[0], tmp_path, {1})
    teacher = settled(cells[1], tmp_path).config.traces.teachers[0]
    assert isinstance(teacher, StudentTeacher)
    assert teacher.student is not None
    assert teacher.student.model.path == str(tmp_path / "store" / "rft-s0" / "rl" / "model")  # type: ignore[union-attr]
    assert teacher.student.max_completion_tokens == 256  # the demo's


def test_a_second_round_is_charged_for_the_first(tmp_path: Path) -> None:
    config = experiment(methods=["rft", "rft-2"], seeds=[0], compare=None)
    cells = plan_experiment(config)
    finish(cells[0], tmp_path, {1})
    [alone] = [c.budget for c in read_experiment(config, cells, tmp_path).cells if c.status == "done"]
    finish(settled(cells[1], tmp_path), tmp_path, {1})
    first, second = (c.budget for c in read_experiment(config, cells, tmp_path).cells)
    assert alone is not None
    assert first == alone
    # Both cells left the same behind: the second has cost its own round and the first one's.
    assert second is not None
    assert (second.trained, second.steps, second.sampled) == (
        2 * alone.trained,
        2 * alone.steps,
        2 * alone.sampled,
    )
    assert alone.flops
    assert second.flops == 2 * alone.flops
    assert second.parameters == alone.parameters


def test_replaced_groups_are_sampled_and_not_trained_and_the_teachers_trace_the_other_way(
    tmp_path: Path,
) -> None:
    cells = plan_experiment(experiment(seeds=[0], compare=None))
    finish(cells[0], tmp_path, {1})
    ledger = Ledger(tmp_path / "store" / cells[0].name / "rl" / "ledger")
    shared = {"group": 9, "problem_id": "q0", "completion": "", "finish_reason": "stop"}
    ledger.add(
        [
            RewardRecord(step=5, tokens=100, advantage=None, **shared),  # type: ignore[arg-type]
            RewardRecord(step=5, tokens=1000, advantage=1.0, member="teacher", **shared),  # type: ignore[arg-type]
        ]
    )
    ledger.flush()
    budget = read_experiment(experiment(seeds=[0], compare=None), cells, tmp_path).cells[0].budget
    assert budget is not None
    # 60 sampled before, now 100 more; 83 trained before, now 1000 with a prompt of 2.
    assert (budget.sampled, budget.trained) == (160, 83 + 1002)
    # 634 N before; 2 N for 100 + 2 sampled, 6 N for 1000 + 2 trained; N = 6.
    assert budget.flops == (634 + 2 * 102 + 6 * 1002) * 6
