"""Several teachers at once, and teachers that are models in this process: a real one of 0.9 M parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.data.rejection import REPEATED
from rlkd.data.teachers._sampled import LanguageModelTeacher
from rlkd.data.teachers.local import build
from rlkd.data.traces import collect_traces
from rlkd.errors import ConfigError, DataError
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.stages import resolve, stage_spec
from rlkd.student.checkpoints import demo_base_folder
from rlkd.worlds import make_splits
from schemas.config.traces import LocalTeacher
from schemas.config.world import WorldSettings
from schemas.problem import Problem
from schemas.trace import TeacherTrace

SUMS = [
    Problem(
        id=f"m{i}", question=f"{i} and 2?", answer=str(i + 2), traces=(f"{i} + 2 = {i + 2}\n#### {i + 2}",)
    )
    for i in range(3)
]
WORDS = [Problem(id=f"w{i}", question=f"word {i}?", answer=f"w{i}", domain="logic") for i in range(2)]


def run(
    teacher: Any, problems: list[Problem], folder: Path, kit: Any, **values: Any
) -> tuple[dict[str, Any], list[TeacherTrace], Any]:
    traces = {"teacher": teacher, "per_problem": values.pop("per_problem", 1)}
    data = {"type": "file", "path": "p", "columns": {"traces": ["t"]}}
    config = parse_config({"name": "t", "data": data, "traces": traces} | values)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "traces").mkdir(exist_ok=True)
    for split in ("train", "validation", "test", "ood"):
        write_rows(folder / "data" / f"{split}.jsonl", problems if split == "train" else [])
    events = kit.messages()
    collect_traces(StageContext(config, {"data": folder / "data"}, folder / "traces", events))
    summary = json.loads((folder / "traces" / "summary.json").read_text())
    return summary, read_rows(folder / "traces" / "accepted.jsonl", TeacherTrace), events


def endpoint(url: str, model: str, folder: Path, **more: Any) -> dict[str, Any]:
    server = {"base_url": url, "model": model, "max_wait_s": 0.02}
    return {"type": "endpoint", "endpoint": server, "answers": str(folder / "answers"), **more}


def test_several_teachers_teach_one_problem_or_each_its_domain(tmp_path: Path, kit: Any) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        question = body["messages"][0]["content"]
        if body["model"] == "logician":
            return Reply(f"It is so.\nThe answer is w{question.split('?')[0][-1]}.", 30, 10)
        i = int(question.split()[0])
        if i == 0:  # word for word what the column says
            return Reply("0 + 2 = 2\n#### 2", 20, 5)
        return Reply(f"Two more: 2 + {i} = {i + 2}\n#### {i + 2}", 20, 5)

    with SimulatedServer(answer) as server:
        teachers = [
            {"type": "column", "domains": ["math"]},
            endpoint(server.url, "counter", tmp_path, domains=["math"], price={"prompt": 1, "completion": 2}),
            endpoint(server.url, "logician", tmp_path, domains=["logic"]),
        ]
        summary, accepted, _ = run(teachers, SUMS + WORDS, tmp_path, kit)
        assert len(server.seen) == 5
        run(teachers, SUMS + WORDS, tmp_path, kit)  # everything is there
        assert len(server.seen) == 5
    assert summary["teacher"] == "column + endpoint + endpoint"
    by_teacher = [
        (row["teacher"], row["domain"], row["requests"], row["accepted"]) for row in summary["costs"]
    ]
    assert by_teacher == [
        ("column", "math", 0, 3),
        ("counter", "math", 3, 3),
        ("logician", "logic", 2, 2),
    ]
    # 3 answers of 20 and 5 tokens: 3 * (20 * 1 + 5 * 2) / 1,000,000 = 0.00009
    assert summary["costs"][1]["money"] == pytest.approx(0.00009)
    assert [trace.id for trace in accepted] == [
        "m0/t0/0", "m1/t0/0", "m1/t1/0", "m2/t0/0", "m2/t1/0", "w0/t2/0", "w1/t2/0"
    ]  # fmt: skip
    assert summary["reasons"] == {REPEATED: 1}  # the second teacher's path for m0


def test_a_domain_without_problems_is_refused_and_problems_without_a_teacher_are_named(
    tmp_path: Path, kit: Any
) -> None:
    with pytest.raises(DataError, match=r"for the domain maths, which no problem has; .* are logic, math"):
        run([{"type": "column", "domains": ["maths"]}], SUMS + WORDS, tmp_path, kit)
    _, accepted, events = run({"type": "column", "domains": ["math"]}, SUMS + WORDS, tmp_path, kit)
    assert [trace.problem_id for trace in accepted] == ["m0", "m1", "m2"]
    assert any("2 problems of the domain logic have no teacher" in text for text in events.texts)


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ([], "is an empty list"),
        ([{"type": "none"}, {"type": "column"}], r"traces\.teacher\.0\.type is 'none' in a list"),
        ([{"type": "endpont"}], r"traces\.teacher\.0\.type must be one of"),
        ([{"type": "column", "temperature": 1}], r"traces\.teacher\.0\.temperature belongs to"),
        ({"type": "student", "prompt": "{question}!"}, "the student is asked in its own words"),
    ],
)
def test_lists_that_make_no_sense_are_refused_by_their_place(
    teacher: Any, words: str, tmp_path: Path, kit: Any
) -> None:
    with pytest.raises(ConfigError, match=words):
        run(teacher, SUMS, tmp_path, kit)


def test_a_fresh_student_cannot_teach_itself(tmp_path: Path, kit: Any) -> None:
    with pytest.raises(ConfigError, match="the student is fresh: untrained, it writes nothing"):
        run({"type": "student"}, SUMS, tmp_path, kit, student={"model": {"type": "fresh"}})


def world_problems(count: int) -> list[Problem]:
    settings = {"n_train": count, "n_validation": 0, "n_test": 0, "n_ood": 0, "steps": {"min": 2, "max": 3}}
    return make_splits(WorldSettings.model_validate(settings), 0)["train"]


@pytest.mark.slow
def test_the_student_teaches_itself_with_what_it_gets_right(tmp_path: Path, kit: Any) -> None:
    teacher = {"type": "student", "attempts": 4, "temperature": 1.0, "answers": str(tmp_path / "answers")}
    problems = world_problems(12)
    summary, accepted, _ = run(teacher, problems, tmp_path / "a", kit, per_problem=2)
    answers = {problem.id: problem.answer for problem in problems}
    # the shipped base solves about two thirds of such problems: some are right, and only those teach
    assert 6 <= len(accepted) <= 24
    assert all(trace.answer == answers[trace.problem_id] for trace in accepted)
    assert len({(trace.problem_id, trace.path) for trace in accepted}) == len(accepted)
    # at most 4 samples of each, at most 2 of them accepted
    assert 24 <= summary["costs"][0]["requests"] <= 48 and summary["costs"][0]["completion_tokens"] > 0
    kept = (tmp_path / "answers").glob("*.jsonl")
    lines = sum(len(path.read_text().splitlines()) for path in kept)
    again, same, _ = run(teacher, problems, tmp_path / "b", kit, per_problem=2)
    assert (again["costs"], same) == (summary["costs"], accepted)  # nothing is sampled twice
    assert sum(len(path.read_text().splitlines()) for path in (tmp_path / "answers").glob("*.jsonl")) == lines
    config = parse_config({"name": "t", "data": {"type": "world"}, "traces": {"teacher": teacher}})
    assert resolve(stage_spec("traces"), config).job and resolve(stage_spec("traces"), config).alone


@pytest.mark.slow
def test_a_model_in_this_process_teaches(tmp_path: Path, kit: Any) -> None:
    teacher = {
        "type": "local",
        "endpoint": {"path": str(demo_base_folder()), "batch_size": 8, "chat": False},
        "prompt": "{question}",  # the shipped base knows its own problems' form only
        "attempts": 3,
        "max_tokens": 160,
        "answers": str(tmp_path / "answers"),
    }
    problems = world_problems(8)
    summary, accepted, _ = run(teacher, problems, tmp_path, kit)
    answers = {problem.id: problem.answer for problem in problems}
    assert len(accepted) >= 3
    assert all(trace.answer == answers[trace.problem_id] for trace in accepted)
    assert summary["costs"][0]["teacher"] == str(demo_base_folder())
    assert summary["costs"][0]["prompt_tokens"] > 0
    elsewhere = teacher | {"answers": str(tmp_path / "others")}  # nothing is there: all is asked again
    again, same, _ = run(elsewhere, problems, tmp_path / "b", kit)
    assert (again["costs"], same) == (summary["costs"], accepted)


def test_answers_given_before_requests_had_a_seed_are_still_found(tmp_path: Path) -> None:
    asked = LocalTeacher.model_validate(
        {"type": "local", "endpoint": {"path": str(demo_base_folder())}, "answers": str(tmp_path)}
    )
    teacher = build(asked, [])
    unseeded = LanguageModelTeacher(asked, teacher.completer, teacher.name, False, 1)
    requests = [teacher.request(SUMS[0], index, 5) for index in range(3)]
    assert len({request.seed for request in requests} - {None}) == 3
    for index, request in enumerate(requests):
        before = unseeded.request(SUMS[0], index, 5)
        assert before.seed is None
        assert teacher.key(request, index, 5) == unseeded.key(before, index, 5)
