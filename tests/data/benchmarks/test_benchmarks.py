"""Benchmarks by name: real rows where they are at hand, rows of the same form otherwise; each is read and verified."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rlkd.answers.verify import judge_problem
from rlkd.config.load import parse_config
from rlkd.data.benchmarks import benchmark_names, find_benchmark, local_files
from rlkd.data.sources import Loaded, open_source
from rlkd.data.traces import verify_trace
from rlkd.errors import DataError
from schemas.config.data import BenchmarkData
from schemas.problem import Problem

CHOICES = {"text": ["bloody mess", "cake", "21"], "label": ["A", "B", "C"]}
STORY = {
    "id": "s1",
    "source": "mctest",
    "story": "Cotton was a white kitten. She lived in a barn.",
    "questions": [
        {"input_text": "What color was Cotton?", "turn_id": 1},
        {"input_text": "Where did she live?", "turn_id": 2},
    ],
    "answers": [{"input_text": "White", "turn_id": 1}, {"input_text": "in a barn", "turn_id": 2}],
    "additional_answers": {
        "0": [{"input_text": "a white kitten", "turn_id": 1}, {"input_text": "A barn.", "turn_id": 2}]
    },
}

FORMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gsm8k": ({"question": "48 clips, then half?", "answer": "48/2 = 24\n#### 24"}, "24", "25"),
    "math500": ({"problem": "Find x.", "solution": "So \\boxed{\\frac{1}{2}}", "answer": "\\frac{1}{2}", "level": 2}, "1/2", "2"),
    "aime24": ({"id": 60, "problem": "Find n.", "solution": "n = 204", "answer": "204"}, "204", "24"),
    "svamp": ({"ID": "chal-1", "Body": "He had 26 cookies.", "Question": "He ate 9. How many are left?", "Answer": "17"}, "17", "16"),
    "asdiv": ({"body": "Seven red apples.", "question": "How many with 2 green ones?", "answer": "9 (apples)"}, "9", "7"),
    "multiarith": ({"question": "33 - 24?", "final_ans": "9"}, "9", "8"),
    "easy_math": ({"id": "e1", "question": "85 - 69?", "answer": "16", "traces": [{"text": "85 - 69 = 16. The answer is 16."}]}, "16", "15"),
    "aqua": ({"question": "How long?", "options": ["A)21", "B)32"], "rationale": "3*7 = 21", "correct": "A"}, "A) 21", "B"),
    "strategyqa": ({"qid": "q1", "question": "Is it?", "answer": True, "facts": ["It is."]}, "Yes", "no"),
    "ecqa": (
        {"id": "c1", "question": "What?\nOptions:\n- bloody mess\n- cake", "answer": "cake", "trace": "A cake."}, "cake", "bloody mess",
    ),
    "commonsenseqa": ({"id": "c2", "question": "What?", "choices": CHOICES, "answerKey": "B"}, "Cake", "A"),
    "arc": ({"id": "a1", "question": "Which?", "choices": CHOICES, "answerKey": "C"}, "(C)", "B) cake"),
    "logiqa": ({"context": "All a are b.", "query": "So?", "options": ["b", "a", "c", "d"], "correct_option": 1}, "B", "A"),
    "gpqa": (
        {"Question": "Why?", "Correct Answer": "10^-4 eV", **{f"Incorrect Answer {i}": f"10^-{i + 8} eV" for i in (1, 2, 3)}},
        "10^-4 eV", "10^-9 eV",
    ),
    "prontoqa": ({"context": "Max is a cat.", "query": "True or false: Max is a cat.", "answer": "True", "trace": "Max is a cat."}, "true", "False"),
    "prosqa": ({"id": "p1", "question": "Is Tom a lempus or a yumpus?", "answer": "Tom is a lempus.", "trace": "Tom is a lempus."}, "Tom is a lempus", "Tom is a yumpus"),
    "coqa": (STORY, "white", "black"),
}  # fmt: skip
"""A row in the form of the hub, a right answer in other words, and a wrong one."""


def load(name: str, path: Path | None = None, **more: Any) -> Loaded:
    data = {"type": "benchmark", "name": name, "path": str(path) if path else None, **more}
    values = {
        "name": "t",
        "data": data,
        "traces": {"teacher": {"type": "none"}},
        "warm_start": {"enabled": False},
    }
    return open_source(parse_config({**values, "rl": {"enabled": False}}).data).load(0)


def all_of(loaded: Loaded) -> list[Problem]:
    return [problem for problems in loaded.splits.values() for problem in problems]


def test_every_benchmark_has_a_row_here_and_says_what_it_is() -> None:
    assert sorted(FORMS) == benchmark_names()
    for name in benchmark_names():
        benchmark = find_benchmark(name)
        assert benchmark.licence and (benchmark.hub or benchmark.files)


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_row_of_the_hubs_form_is_read_and_verified(tmp_path: Path, name: str) -> None:
    row, right, wrong = FORMS[name]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    loaded = load(name, path)
    assert loaded.dropped == []
    problem = all_of(loaded)[0]
    assert judge_problem(problem, problem.answer).right is True
    assert judge_problem(problem, right).right is True
    assert judge_problem(problem, wrong).right is False
    assert set(loaded.splits) <= set(find_benchmark(name).splits) | set(find_benchmark(name).files)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMS))
def test_real_rows_are_read_and_their_traces_teach(name: str) -> None:
    if not local_files(BenchmarkData(name=name)):
        pytest.skip(f"RLKD_DATA does not hold {name}")
    loaded = load(name)
    problems = all_of(loaded)
    assert len(problems) > 100 and loaded.dropped == []
    some = problems[:: len(problems) // 10]
    assert all(judge_problem(problem, problem.answer).right for problem in some)
    taught = [verify_trace(p, path, "column", "t").accepted for p in some for path in p.traces[:1]]
    assert not taught or sum(taught) >= 0.5 * len(taught)  # model traces, some of them wrong


def test_options_stand_below_the_question_and_count_by_label_and_text(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(FORMS["arc"][0]))
    problem = all_of(load("arc", tmp_path / "rows.jsonl"))[0]
    assert problem.question == "Which?\nA) bloody mess\nB) cake\nC) 21"
    for right in ("C", "c", "(C)", "C.", "C) 21", "Option C", "The answer is C", "21", "21.0"):
        assert judge_problem(problem, right).right is True, right
    for wrong in ("A", "B) 21", "cake", "C) cake", "22", "D", "A or C"):
        assert judge_problem(problem, wrong).right is False, wrong


def test_the_options_of_gpqa_do_not_give_the_answer_away_by_their_place(tmp_path: Path) -> None:
    rows = [{**FORMS["gpqa"][0], "Question": f"Why {i}?"} for i in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    labels = [problem.answer for problem in all_of(load("gpqa", tmp_path / "rows.jsonl"))]
    assert set(labels) == set("ABCD")
    assert labels == [problem.answer for problem in all_of(load("gpqa", tmp_path / "rows.jsonl"))]


def test_coqa_in_its_official_json_with_history_and_several_references(tmp_path: Path) -> None:
    (tmp_path / "coqa-dev-v1.0.json").write_text(json.dumps({"version": "1.0", "data": [STORY]}))
    first, second = all_of(load("coqa", tmp_path / "coqa-dev-v1.0.json"))
    assert (first.id, second.id, second.domain) == ("s1/1", "s1/2", "mctest")
    assert second.question == (
        "Cotton was a white kitten. She lived in a barn.\n\nQ: What color was Cotton?\nA: White\nQ: Where did she live?"
    )
    assert second.metadata["references"] == ["in a barn", "A barn."]
    assert judge_problem(second, "the barn").right is True
    assert judge_problem(second, "barn house").right is False


def test_coqa_in_the_hubs_form(tmp_path: Path) -> None:
    row = {
        "source": "wikipedia",
        "story": "S.",
        "questions": ["a?", "b?"],
        "answers": {"input_text": ["1", "2"], "answer_start": [0, 1]},
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    assert [problem.answer for problem in all_of(load("coqa", tmp_path / "rows.jsonl"))] == ["1", "2"]


def test_reasoning_gym_by_name_carries_solution_steps() -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed (extra 'gym')")
    loaded = load("reasoning_gym/gsm_symbolic", sizes={"train": 5, "validation": 0, "test": 2})
    problem = loaded.splits["train"][0]
    assert verify_trace(problem, problem.traces[0], "column", "t").accepted


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gsm8", "there is no benchmark 'gsm8'; did you mean 'gsm8k'"),
        ("nothing", "there is no benchmark 'nothing'; there are aime24, aqua, arc"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(name)


def test_what_is_not_at_hand_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLKD_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"does not hold easy_math/train\.jsonl .* --set data\.path="):
        load("easy_math")
    with pytest.raises(DataError, match=r"holds no file of benchmark gsm8k \(train\.jsonl, test\.jsonl\)"):
        load("gsm8k", tmp_path)
    (tmp_path / "x.jsonl").write_text('{"question": "q", "answer": "no marks"}\n')
    with pytest.raises(
        DataError,
        match=r"1 of 1 rows are malformed.* a row of another form .*has the benchmark's form",
    ):
        load("gsm8k", tmp_path / "x.jsonl")


def test_a_folder_may_hold_some_splits_under_their_own_names(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(FORMS["gsm8k"][0]))
    assert {split: len(rows) for split, rows in load("gsm8k", tmp_path).splits.items()} == {
        "train": 1,
        "test": 1,
    }
    assert os.listdir(tmp_path)


def test_forms_that_only_some_rows_have() -> None:
    (both,) = find_benchmark("asdiv").read(
        {"body": "B.", "question": "Q?", "answer": "10 (apples); 5 (pears)"}
    )
    assert both.answer == "10; 5"
    (yes,) = find_benchmark("strategyqa").read({"question": "Is it?", "answer": True, "facts": "It is."})
    assert yes.traces == "It is.\nThe answer is yes."
    assert find_benchmark("logiqa").revision == "refs/convert/parquet"  # its main branch is a script


def test_problems_of_one_passage_are_a_cluster() -> None:
    turns = list(find_benchmark("coqa").read(STORY))
    assert {turn.cluster for turn in turns} == {"s1"}
    rows = [
        FORMS["logiqa"][0],
        FORMS["logiqa"][0] | {"query": "And?"},
        FORMS["logiqa"][0] | {"context": "No a is b."},
    ]
    clusters = [item.cluster for row in rows for item in find_benchmark("logiqa").read(row)]
    assert clusters[0] == clusters[1] != clusters[2]
