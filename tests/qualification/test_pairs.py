from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import DataError
from rlkd.io import write_rows
from rlkd.qualification.pairs import drawn, file_pairs, limited, taught_problems, world_pairs
from rlkd.worlds import get_world
from schemas.config.qualify import FilePairs, WorldPairs
from schemas.config.world import WorldSettings
from schemas.problem import Problem
from schemas.qualification import LabelledPair
from schemas.trace import TeacherTrace

DATA = Path(os.environ.get("RLKD_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
ROW = {"problem": "1 + 2?", "teacher": "1 + 2 = 3\n#### 3", "solution": "1 + 2 = 4\nA: 4", "right": False}
MODELS = {
    "question": "2 * 3?",
    "ground_truth": "2 * 3 = <<2*3=6>>6\nA: 6",
    "small": {"is_correct": True, "solution": "It is 2 * 3 = <<2*3=6>>6\nA: 6"},
    "large": {"is_correct": False, "solution": ""},
}


def written(path: Path, *rows: Any) -> FilePairs:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return FilePairs(type="file", path=str(path))


def test_rows_with_a_label(tmp_path: Path) -> None:
    other = {
        **ROW,
        "teacher": ["a = 1. The answer is 3.", "b\n#### 3"],
        "solution": r"So \boxed{3}",
        "right": True,
        "domain": "logic",
    }
    found = file_pairs(written(tmp_path / "pairs.jsonl", ROW, "", other))
    assert found.source == "labelled solutions in pairs.jsonl"
    first, second = found.pairs
    assert (first.teachers, first.student, first.right) == (("1 + 2 = 3",), "1 + 2 = 4", False)
    assert first.group == second.group  # the same problem
    assert second.teachers == ("a = 1.", "b")
    assert (second.student, second.domain) == ("", "logic")
    assert (second.answer, second.teacher_answers) == ("3", ("3", "3"))


def test_solutions_of_models_with_their_reference(tmp_path: Path) -> None:
    settings = written(tmp_path / "m.jsonl", MODELS)
    found = file_pairs(settings)
    assert [(pair.student, pair.right) for pair in found.pairs] == [
        ("It is 2 * 3 = <<2*3=6>>6", True),
        ("", False),
    ]
    assert {pair.group for pair in found.pairs} == {"row-1"}
    plain = file_pairs(settings.model_copy(update={"strip_marks": True}))
    assert (plain.pairs[0].teachers, plain.pairs[0].student) == (("2 * 3 = 6",), "It is 2 * 3 = 6")
    (tmp_path / "ref.jsonl").write_text(
        json.dumps({"question": "2 * 3?", "answer": "3 + 3 = 6\n#### 6"}) + "\n"
    )
    other = file_pairs(settings.model_copy(update={"references": str(tmp_path / "ref.jsonl")}))
    assert other.pairs[0].teachers == ("3 + 3 = 6",)
    (tmp_path / "ref.jsonl").write_text(json.dumps({"question": "other?", "answer": "1"}) + "\n")
    with pytest.raises(DataError, match="no row with this question: '2 \\* 3\\?'"):
        file_pairs(settings.model_copy(update={"references": str(tmp_path / "ref.jsonl")}))


def test_rows_between_start_and_stop(tmp_path: Path) -> None:
    rows = [{**ROW, "problem": f"{i}?"} for i in range(5)]
    settings = written(tmp_path / "p.jsonl", *rows).model_copy(update={"start": 1, "stop": 3})
    found = file_pairs(settings)
    assert [pair.problem for pair in found.pairs] == ["1?", "2?"]
    assert found.source == "labelled solutions in p.jsonl, rows 2 to 3"
    with pytest.raises(DataError, match="no row between"):
        file_pairs(settings.model_copy(update={"start": 9, "stop": 12}))
    with pytest.raises(ValueError, match=r"stop .2. must be above start .2."):
        FilePairs(type="file", path="x", start=2, stop=2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "p.jsonl, line 1: no JSON"),
        ("[1]", "a row must be an object such as {problem, teacher"),
        ({**ROW, "right": 1}, "line 1: right must be true or false"),
        ({**ROW, "teacher": []}, "line 1: teacher must be a path or a list of paths"),
        ({**ROW, "teacher": [3]}, "line 1: teacher must be a path or a list of paths"),
        ({**ROW, "problem": " "}, "line 1: problem must be a text"),
        ({**ROW, "solution": None}, "line 1: solution must be a text"),
        ({**MODELS, "small": {"solution": "x"}}, "small.is_correct must be true or false"),
        ({**MODELS, "small": {"is_correct": True}}, "line 1, small: solution must be a text"),
        ({**MODELS, "ground_truth": 1}, "line 1: ground_truth must be a path"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        file_pairs(written(tmp_path / "p.jsonl", row))
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"qualify\.pairs\.path: there is no file"):
        file_pairs(FilePairs(type="file", path=str(tmp_path / "none.jsonl")))


def test_a_limit_keeps_problems_whole() -> None:
    pairs = [
        LabelledPair(group=f"g{i // 4}", problem="p", teachers=("t",), student=str(i), right=True)
        for i in range(40)
    ]
    kept = limited(pairs, 15, seed=0)
    assert len(kept) == 12
    assert len({pair.group for pair in kept}) == 3
    assert [pair.student for pair in kept] == sorted((pair.student for pair in kept), key=int)
    assert kept == limited(pairs, 15, seed=0)
    assert kept != limited(pairs, 15, seed=1)
    assert limited(pairs, None, seed=0) == tuple(pairs)


@pytest.mark.parametrize("domain", ["arithmetic", "logic", "relations"])
def test_the_world_labels_its_own_paths(domain: str) -> None:
    world, rng = get_world(domain), random.Random(4)
    problems = [world.to_problem(world.generate(rng, WorldSettings()), "validation") for _ in range(30)]
    teachers = {problem.id: [world.solve(problem)] for problem in problems}
    found = world_pairs(WorldPairs(type="world", problems=20), problems, teachers, seed=0)
    assert len(found.pairs) == 80
    assert found == world_pairs(WorldPairs(type="world", problems=20), problems, teachers, seed=0)
    by_id = {problem.id: problem for problem in problems}
    for i in range(0, 80, 4):
        own, changed = found.pairs[i : i + 2]
        assert own.right  # the solver's
        assert own.group in by_id
        assert not any("The answer is" in path for path in (own.student, *own.teachers))
        good, steps = world.check_steps(by_id[own.group], changed.student)
        assert good == steps or not changed.right  # faults that cancel are no merit
    assert 0.2 < sum(pair.right for pair in found.pairs) / 80 < 0.9
    for pair in found.pairs:  # no guess is right
        asked = by_id[pair.group].question.rsplit(". ", 1)[-1]
        reached = [step.answer for step in world.decompose(pair.student).steps if step.sub_problem == asked]
        assert not pair.right or reached[-1] == by_id[pair.group].answer


def test_problems_with_a_teacher_are_validation_ones_where_there_are_any(tmp_path: Path) -> None:
    def problem(name: str) -> Problem:
        return Problem(id=name, question=f"{name}?", answer="1")

    write_rows(tmp_path / "train.jsonl", [problem("a"), problem("b")])
    write_rows(tmp_path / "validation.jsonl", [problem("v"), problem("w")])
    rows = [
        TeacherTrace(id=f"{name}/{k}", problem_id=name, teacher="t", path=f"{name}{k}")
        for name in "av"
        for k in range(2)
    ]
    write_rows(tmp_path / "accepted.jsonl", rows)
    problems, teachers, split = taught_problems(tmp_path, tmp_path)
    assert ([p.id for p in problems], split) == (["v"], "validation")
    assert teachers["v"] == ["v0", "v1"]
    write_rows(tmp_path / "accepted.jsonl", rows[:2])
    problems, _, split = taught_problems(tmp_path, tmp_path)
    assert ([p.id for p in problems], split) == (["a"], "train")
    write_rows(tmp_path / "accepted.jsonl", [])
    with pytest.raises(DataError, match=r"raise data\.sizes\.validation"):
        drawn(taught_problems(tmp_path, tmp_path)[0], 5, random.Random(0))


@pytest.mark.skipif(
    not (DATA / "gsm8k" / "model_solutions_dev.jsonl").is_file(), reason="no GSM8K data; set RLKD_DATA"
)
def test_real_solutions_of_models() -> None:
    path = str(DATA / "gsm8k" / "model_solutions_dev.jsonl")
    found = file_pairs(FilePairs(type="file", path=path, stop=330))
    assert (len(found.pairs), sum(pair.right for pair in found.pairs)) == (1320, 515)
    reference = file_pairs(
        FilePairs(type="file", path=path, stop=5, references=str(DATA / "gsm8k" / "test.jsonl"))
    )
    assert [pair.teachers for pair in reference.pairs] == [pair.teachers for pair in found.pairs[:20]]
