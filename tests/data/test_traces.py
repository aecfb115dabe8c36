"""The traces stage: verification, limits, and going on after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rlkd.answers.symbolic import VerifierError
from rlkd.config.load import parse_config
from rlkd.data.traces import (
    NO_ANSWER,
    NO_PATH,
    UNDECIDED,
    WRONG_ANSWER,
    FinishedProblem,
    collect_traces,
    verify_trace,
)
from rlkd.errors import DataError
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from schemas.trace import TeacherTrace

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "validation", "test", "ood")


def config_of(**traces: Any) -> PipelineConfig:
    traces = {"teacher": {"type": "column"}, **traces}
    data = (
        {"type": "world"}
        if traces["teacher"]["type"] == "world"
        else {"type": "file", "path": "p", "columns": {"traces": ["a"]}}
    )
    off = traces["teacher"]["type"] == "none"
    extra = {"warm_start": {"enabled": False}, "rl": {"enabled": False}} if off else {}
    return parse_config({"name": "t", "data": data, "traces": traces, **extra})


def problem(i: int, *paths: str, answer: str | None = None) -> Problem:
    return Problem(id=f"p{i}", question=f"q{i}", answer=answer or str(i), traces=paths)


def collect(
    tmp_path: Path, kit: Any, config: PipelineConfig, **splits: list[Problem]
) -> tuple[Path, Any, dict[str, Any]]:
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    for split in SPLITS:
        write_rows(data / f"{split}.jsonl", splits.get(split, []))
    folder = tmp_path / "traces"
    folder.mkdir(exist_ok=True)
    events = kit.messages()
    collect_traces(StageContext(config, {"data": data}, folder, events))
    return folder, events, json.loads((folder / "summary.json").read_text())


def traces(folder: Path, name: str) -> list[TeacherTrace]:
    return read_rows(folder / f"{name}.jsonl", TeacherTrace)


def test_only_verified_traces_are_accepted_and_the_rest_keeps_its_reason(tmp_path: Path, kit: Any) -> None:
    train = [
        problem(1, "so\n#### 1"),
        problem(2, "so\n#### 3"),
        problem(3, "no idea"),
        problem(4),
        problem(5, "so \\boxed{5.0}"),
    ]
    folder, events, summary = collect(tmp_path, kit, config_of(), train=train, test=[problem(6, "A: 6")])
    assert [(t.id, t.teacher, t.answer) for t in traces(folder, "accepted")] == [
        ("p1/0", "column", "1"),
        ("p5/0", "column", "5.0"),
        ("p6/0", "column", "6"),
    ]
    assert [(t.id, t.reason, t.accepted) for t in traces(folder, "rejected")] == [
        ("p2/0", WRONG_ANSWER, False),
        ("p3/0", NO_ANSWER, False),
        ("p4/0", NO_PATH, False),
    ]
    assert summary["accepted_by_split"] == {"train": 2, "validation": 0, "test": 1, "ood": 0}
    assert summary["reasons"] == {WRONG_ANSWER: 1, NO_ANSWER: 1, NO_PATH: 1}
    assert events.done[-1] == (6, 6)


def test_the_limit_counts_training_problems_only_and_is_drawn_by_seed(tmp_path: Path, kit: Any) -> None:
    train = [problem(i, f"#### {i}") for i in range(1, 31)]
    test = [problem(i, f"#### {i}") for i in range(100, 110)]
    folder, _, summary = collect(tmp_path, kit, config_of(problems=5), train=train, test=test)
    assert summary["accepted_by_split"] == {"train": 5, "validation": 0, "test": 10, "ood": 0}
    chosen = [t.problem_id for t in traces(folder, "accepted")]
    (tmp_path / "b").mkdir()
    other = config_of(problems=5).model_copy(update={"seed": 1})
    folder, _, _ = collect(tmp_path / "b", kit, other, train=train, test=test)
    assert [t.problem_id for t in traces(folder, "accepted")] != chosen


def test_several_traces_of_a_problem(tmp_path: Path, kit: Any) -> None:
    train = [problem(1, "a\n#### 1", "a\n#### 1", "b\n#### 1", "c\n#### 2")]
    folder, _, _ = collect(tmp_path, kit, config_of(per_problem=3), train=train)
    assert [t.path for t in traces(folder, "accepted")] == [
        "a\n#### 1",
        "b\n#### 1",
    ]  # the repeated one counts once
    assert [t.id for t in traces(folder, "rejected")] == ["p1/2"]


def world_problems(count: int) -> list[Problem]:
    from rlkd.worlds import make_splits
    from schemas.config.world import WorldSettings

    settings = WorldSettings.model_validate({"n_train": count, "n_validation": 0, "n_test": 0, "n_ood": 0})
    return make_splits(settings, 0)["train"]


def test_the_world_teaches_in_different_orders_each_verified(tmp_path: Path, kit: Any) -> None:
    from rlkd.worlds import world_of

    train = world_problems(30)
    folder, _, _ = collect(tmp_path, kit, config_of(teacher={"type": "world"}, per_problem=3), train=train)
    found = traces(folder, "accepted")
    assert traces(folder, "rejected") == []
    assert len({(t.problem_id, t.path) for t in found}) == len(found) > 30
    by_id = {p.id: p for p in train}
    for trace in found:
        right, total = world_of(by_id[trace.problem_id]).check_steps(by_id[trace.problem_id], trace.path)
        assert right == total > 0


def test_reasoning_gym_has_no_traces(tmp_path: Path, kit: Any) -> None:
    gym = Problem(
        id="g", question="q", answer="1", source="reasoning_gym:chain_sum", metadata={"reasoning_gym": {}}
    )
    with pytest.raises(
        DataError,
        match=r"reasoning_gym:chain_sum has no teacher traces, it is for evaluation only; set traces.teacher.type to none",
    ):
        collect(tmp_path, kit, config_of(teacher={"type": "world"}), train=[gym])
    folder, _, summary = collect(tmp_path, kit, config_of(teacher={"type": "none"}), train=[gym])
    assert (summary["accepted"], summary["rejected"]) == (0, 0)
    assert traces(folder, "accepted") == []


def test_a_teacher_that_cannot_teach_is_an_error(tmp_path: Path, kit: Any) -> None:
    with pytest.raises(DataError, match="no problem came with a teacher path"):
        collect(tmp_path, kit, config_of(), train=[problem(1)])
    with pytest.raises(DataError, match="problem p1 does not come from the built-in world"):
        collect(tmp_path, kit, config_of(teacher={"type": "world"}), train=[problem(1)])
    (tmp_path / "b").mkdir()
    with pytest.raises(
        DataError, match=rf"no teacher trace of 2 training problems was accepted \(2 x {WRONG_ANSWER}\)"
    ):
        collect(tmp_path / "b", kit, config_of(), train=[problem(1, "#### 7"), problem(2, "#### 7")])


def test_a_verifier_that_fails_or_runs_out_of_time_rejects_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    symbolic = problem(1, answer="\\int_0^1 f(x) dx")
    monkeypatch.setattr("rlkd.answers.equal.symbolically_equal", lambda *_: None)
    assert verify_trace(symbolic, "#### \\int_0^2 f(x) dx", "column", "t").reason == f"{UNDECIDED} (time)"

    def fails(*_: object) -> bool:
        raise VerifierError("out of memory")

    monkeypatch.setattr("rlkd.answers.verify.judge_answer", fails)
    trace = verify_trace(symbolic, "#### y + x", "column", "t")
    assert (trace.accepted, trace.reason) == (False, "the verifier failed: out of memory")


SLOW_RUN = """
import sys, time
from pathlib import Path
import rlkd.data.traces as stage
from rlkd.config.load import parse_config
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import StageContext
import json

data, folder, config, wait = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), float(sys.argv[4])
teach = stage._teach
calls = (folder.parent / "calls.txt").open("a")
def slow(problem, *rest):
    time.sleep(wait)
    print(problem.id, file=calls, flush=True)
    return teach(problem, *rest)
stage._teach = slow
stage.collect_traces(StageContext(parse_config(config), {"data": data}, folder, NullSink()))
"""


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_and_repeats_no_finished_row(tmp_path: Path, kit: Any) -> None:
    train = world_problems(40)
    config = config_of(teacher={"type": "world"}, per_problem=2)
    (tmp_path / "whole").mkdir()
    reference, _, _ = collect(tmp_path / "whole", kit, config, train=train)
    data, folder = tmp_path / "whole" / "data", tmp_path / "cut" / "traces"
    folder.mkdir(parents=True)

    def start(wait: str) -> subprocess.Popen[bytes]:
        arguments = [str(data), str(folder), config.model_dump_json(), wait]
        return subprocess.Popen(
            [sys.executable, "-c", SLOW_RUN, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    partial = folder / "work" / "traces.jsonl"
    process = start("0.05")
    while not partial.exists() or partial.read_bytes().count(b"\n") < 10:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "accepted.jsonl").exists()
    finished = (
        [row.problem_id for row in read_rows(partial, FinishedProblem)]
        if partial.read_bytes().endswith(b"\n")
        else []
    )
    with partial.open("ab") as file:
        file.write(b'{"problem_id": "torn", "tra')  # what a crash in the middle of a write leaves
    assert start("0").wait() == 0
    called = (tmp_path / "cut" / "calls.txt").read_text().split()
    # At most the problem that was being worked on when the process was killed is worked on twice.
    assert len(called) <= len(train) + 1
    assert all(called.count(name) == 1 for name in finished)
    assert len(finished) >= 10
    for name in ("accepted.jsonl", "rejected.jsonl", "summary.json"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()
