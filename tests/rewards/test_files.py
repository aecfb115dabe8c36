"""The file tools: order, malformed rows, atomic replacement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.answers.symbolic import VerifierError
from rlkd.config.sections import load_score_config
from rlkd.errors import ConfigError, DataError
from rlkd.rewards.files import FileResult, decompose_file, score_file
from rlkd.rewards.functions import make_reward_function
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.structure.scorer import StructureScorer
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig
from schemas.structure import Structure

TEACHER, STUDENT = "3 + 4 = 7\n7 * 2 = 14\n#### 14", "4 + 3 = 7\n2 * 7 = 14\nA: 14"


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text(
        "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8"
    )
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_decompose_keeps_order_and_reports_malformed_rows(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl",
        [
            {"id": 1, "problem": "3 4", "path": "Émile: 3 + 4 = 7"},
            "not json",
            {"id": "c"},
            [1],
            {"id": 4, "path": ""},
        ],
    )
    target = tmp_path / "out.jsonl"
    assert decompose_file(source, target) == FileResult(
        5, 3, "line 2: not valid JSON (Expecting value at column 1)"
    )
    found = rows(target)
    assert [r["id"] for r in found] == [1, None, "c", None, 4]
    assert [r["error"] for r in found] == [
        None, "line 2: not valid JSON (Expecting value at column 1)", "path: is missing", "line 4: a row is a JSON object, not list", None,
    ]  # fmt: skip
    step = found[0]["steps"][0]
    assert set(step) == {
        "index",
        "meta",
        "sub_problem",
        "answer",
        "quantities",
        "operation",
        "depends_on",
        "start",
        "end",
    }
    assert (step["index"], step["answer"], step["start"], step["end"]) == (0, "7", 0, 16)
    assert found[1]["steps"] is None and found[4]["steps"] == []


def test_decompose_shows_the_steps_that_the_reward_counts_where_they_stand_in_the_text(
    tmp_path: Path,
) -> None:
    text = "<think>\n3 + 4 = 7 apples.\nSo the answer is 7."
    source = write(tmp_path / "in.jsonl", [{"problem": "3 4", "path": text}])
    decompose_file(source, tmp_path / "out.jsonl")
    [found] = rows(tmp_path / "out.jsonl")
    # "So the answer is 7." states the answer: it was a second step here, and none in training.
    [step] = found["steps"]
    assert text[step["start"] : step["end"]].strip() == "3 + 4 = 7 apples."


def test_score_rows(tmp_path: Path) -> None:
    base = {"problem": "3 4 2", "teacher": TEACHER, "student": STUDENT}
    source = write(
        tmp_path / "in.jsonl",
        [
            {"id": "right", **base, "answer": "14"},
            {"id": "no answer", **base},
            {"id": "wrong", **base, "answer": 15},
            {"id": "several", **base, "teacher": ["5 * 5 = 25", TEACHER]},
            {"id": "no step", **base, "student": "?"},
            {"id": "mute teacher", **base, "teacher": "#### 14", "answer": "14"},
            {"id": "bad", **base, "teacher": 5},
        ],
    )
    target = tmp_path / "out.jsonl"
    assert score_file(source, target) == FileResult(
        7, 1, "row 'bad': teacher: must be a path or a list of paths, each a text"
    )
    found = {r["id"]: r for r in rows(target)}
    assert list(found) == ["right", "no answer", "wrong", "several", "no step", "mute teacher", "bad"]
    assert set(found["right"]) == {
        "id", "structure", "prefix", "outcome", "reward", "teacher_steps", "student_steps", "steps", "missing", "error",
    }  # fmt: skip
    right = found["right"]
    assert (right["prefix"], right["outcome"], right["teacher_steps"], right["student_steps"]) == (
        1.0,
        1.0,
        2,
        2,
    )
    assert right["structure"] > 0.95 and right["reward"] == pytest.approx((right["structure"] + 1) / 2)
    assert (found["no answer"]["outcome"], found["no answer"]["reward"]) == (None, None)
    assert found["wrong"]["outcome"] == 0.0
    assert {s["teacher_path"] for s in found["several"]["steps"]} == {1}
    assert found["no step"]["structure"] == 0.0 and found["no step"]["steps"] == []
    mute = found["mute teacher"]
    assert (mute["structure"], mute["missing"], mute["reward"], mute["outcome"]) == (
        None,
        ["structure"],
        None,
        1.0,
    )
    assert (mute["teacher_steps"], mute["student_steps"], mute["error"]) == (0, 2, None)
    assert [(s["answer"], s["teacher_step"], s["p_answer"]) for s in mute["steps"]] == [
        ("7", None, None),
        ("14", None, None),
    ]
    assert found["bad"]["error"] == "teacher: must be a path or a list of paths, each a text"


def test_answers_that_are_none(tmp_path: Path) -> None:
    base = {"teacher": TEACHER, "student": STUDENT}
    lines = [
        json.dumps({"id": i, **base, "answer": a})
        for i, a in enumerate(["", "  ", None, float("nan"), float("inf"), True, [14]])
    ]
    source = write(tmp_path / "in.jsonl", [*lines, json.dumps({"id": float("nan"), **base})])
    assert score_file(source, tmp_path / "out.jsonl").faulty == 4
    found = rows(tmp_path / "out.jsonl")
    assert [r["error"] for r in found] == [None] * 3 + ["answer: must be text or a finite number"] * 4 + [
        None
    ]
    assert [(r["outcome"], r["reward"], r["missing"]) for r in found[:3]] == [(None, None, [])] * 3
    assert found[0]["structure"] > 0.95
    assert found[-1]["id"] is None


def test_a_verifier_that_fails_leaves_the_outcome_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bool:
        raise VerifierError("gone")

    monkeypatch.setattr("rlkd.rewards.components.standard.judge_answer", broken)
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": STUDENT, "answer": "14"}])
    assert score_file(source, tmp_path / "out.jsonl").faulty == 0
    [row] = rows(tmp_path / "out.jsonl")
    assert (row["outcome"], row["reward"], row["missing"]) == (None, None, ["outcome"])
    [scored] = make_reward_function().score([""], [STUDENT], teacher=[TEACHER], answer=["14"])
    assert scored.combined.missing == ("outcome",)


DEAD = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "attempts": 1, "timeout_s": 2}


def test_a_judge_that_is_down_is_an_error_that_says_so(tmp_path: Path) -> None:
    config = StructuresConfig.model_validate(
        {"judge": {"type": "llm", "endpoint": DEAD}, "cache": {"enabled": False}}
    )
    same = {"id": 2, "teacher": STUDENT, "student": STUDENT}  # equal texts need no judge, other pairs do
    source = write(
        tmp_path / "in.jsonl",
        [{"id": 1, "teacher": TEACHER, "student": "3 + 5 = 8\n8 * 2 = 16", "answer": "14"}, same],
    )
    assert score_file(source, tmp_path / "out.jsonl", config).faulty == 2
    row = rows(tmp_path / "out.jsonl")[0]
    assert (row["structure"], row["prefix"], row["reward"], row["missing"]) == (
        None,
        None,
        None,
        ["structure"],
    )
    assert (row["outcome"], row["teacher_steps"], row["student_steps"]) == (0.0, 2, 2)
    assert [s["answer"] for s in row["steps"]] == ["8", "16"]
    assert row["error"].startswith(
        "the judge gave no verdict on these steps (last fault: m at http://127.0.0.1:9/v1: cannot be reached"
    )


def test_a_decomposer_that_is_down_is_an_error_that_says_so(tmp_path: Path) -> None:
    config = StructuresConfig.model_validate(
        {"decomposer": {"type": "generative", "endpoint": DEAD}, "cache": {"enabled": False}}
    )
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": [TEACHER, "5 + 5 = 10"], "student": STUDENT}])
    assert score_file(source, tmp_path / "out.jsonl", config).faulty == 1
    [row] = rows(tmp_path / "out.jsonl")
    assert (row["structure"], row["teacher_steps"], row["student_steps"], row["steps"]) == (
        None,
        None,
        None,
        None,
    )
    assert row["error"].startswith(
        "teacher path 0, 1 could not be decomposed (last fault: m at http://127.0.0.1:9/v1: cannot"
    )
    source = write(tmp_path / "paths.jsonl", [{"id": 1, "path": TEACHER}])
    assert decompose_file(source, tmp_path / "out.jsonl", config).faulty == 1
    assert "cannot be reached" in rows(tmp_path / "out.jsonl")[0]["error"]


class Deaf(RulesDecomposer):
    """Rules that fail on some paths."""

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        found = await super().decompose(items)
        return [
            None if "deaf" in item.path else structure for item, structure in zip(items, found, strict=True)
        ]


def test_teachers_keep_their_places_when_one_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlkd.rewards.files.make_scorer", lambda config: StructureScorer(Deaf()))
    base = {"problem": "3 4 2", "student": STUDENT}
    lines = [
        {"id": 1, **base, "teacher": ["deaf 5 * 5 = 25", TEACHER, "9 - 1 = 8"]},
        {"id": 2, **base, "teacher": ["deaf", "#### 14"]},
        {"id": 3, **base, "teacher": ["deaf"]},
        {"id": 4, "teacher": TEACHER, "student": STUDENT},
    ]
    assert score_file(write(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl").faulty == 3
    one, two, three, four = rows(tmp_path / "out.jsonl")
    assert {s["teacher_path"] for s in one["steps"]} == {1}
    assert (one["error"], one["missing"], one["teacher_steps"]) == (
        "teacher path 0 could not be decomposed",
        [],
        2,
    )
    assert one["structure"] > 0.95
    assert (two["structure"], two["teacher_steps"], two["student_steps"]) == (None, 0, 2)
    assert (three["structure"], three["teacher_steps"], three["error"]) == (
        None,
        None,
        "teacher path 0 could not be decomposed",
    )
    assert four["error"] is None


def test_a_student_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlkd.rewards.files.make_scorer", lambda config: StructureScorer(Deaf(), Agrees()))
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": "deaf 3 + 4 = 7"}])
    assert score_file(source, tmp_path / "out.jsonl").faulty == 1
    [row] = rows(tmp_path / "out.jsonl")
    assert (row["structure"], row["teacher_steps"], row["student_steps"]) == (None, 2, None)
    assert row["error"] == "the student's path could not be decomposed"


class Agrees:
    name = "agrees"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        return [PairVerdict(1.0, 1.0, 1.0) for _ in pairs]


def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: Any) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr("rlkd.rewards.files._batches", worked)
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": STUDENT}])
    for tool in (score_file, decompose_file):
        with pytest.raises(DataError, match="x: cannot be written \\(No such file"):
            tool(source, tmp_path / "none" / "x")
        with pytest.raises(DataError, match="is a folder"):
            tool(source, tmp_path)
        with pytest.raises(DataError, match=r"x: cannot be written \(Not a directory"):
            tool(source, source / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def test_unmatched_steps_have_nulls(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": "50 * 50 = 2500\n3 + 4 = 7"}]
    )
    assert score_file(source, tmp_path / "out.jsonl").faulty == 0
    steps = rows(tmp_path / "out.jsonl")[0]["steps"]
    assert [(s["teacher_path"], s["teacher_step"], s["p_answer"]) for s in steps] == [
        (None, None, None),
        (0, 0, 1.0),
    ]


def test_the_output_is_replaced_only_when_done(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    with pytest.raises(DataError, match=r"missing\.jsonl: cannot be read"):
        score_file(tmp_path / "missing.jsonl", target)
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_output_that_cannot_be_written_is_told_where(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": 1, "path": "3 + 4 = 7"}])
    with pytest.raises(
        DataError, match=r"nowhere/out\.jsonl: cannot be written \(No such file or directory\); name another"
    ):
        decompose_file(source, tmp_path / "nowhere" / "out.jsonl")
    with pytest.raises(DataError, match=r"in\.jsonl/out\.jsonl: cannot be written"):
        decompose_file(source, source / "out.jsonl")


def test_text_that_is_not_unicode_and_odd_ids(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl",
        ['{"id": 1, "path": "3 + 4 = 7 \\ud800"}', {"id": {"a": 1}, "path": "3 + 4 = 7"}],
    )
    assert decompose_file(source, tmp_path / "out.jsonl").faulty == 0
    assert [r["id"] for r in rows(tmp_path / "out.jsonl")] == [1, None]


def test_many_rows_cross_batches(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": i, "path": f"{i} + 1 = {i + 1}"} for i in range(600)])
    assert decompose_file(source, tmp_path / "out.jsonl").faulty == 0
    assert [(r["id"], r["steps"][0]["answer"]) for r in rows(tmp_path / "out.jsonl")] == [
        (i, str(i + 1)) for i in range(600)
    ]


def _own_components(path: Path) -> tuple[StructuresConfig, RewardsConfig]:
    path.write_text("rewards: {components: {similarity: 0.2}}")
    return load_score_config(path)


def test_score_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: x\nstructures:\n  alignment: {type: prefix}\nrewards: {alpha: 0.25}\n")
    structures, rewards = load_score_config(path)
    assert (structures.alignment.type, rewards.alpha, rewards.format) == ("prefix", 0.25, 0.0)
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": TEACHER, "answer": "3"}])
    assert score_file(source, tmp_path / "out.jsonl", structures, rewards).faulty == 0
    assert rows(tmp_path / "out.jsonl")[0]["reward"] == 0.25
    _, own = _own_components(path)
    assert score_file(source, tmp_path / "out.jsonl", structures, own).faulty == 0
    (row,) = rows(tmp_path / "out.jsonl")
    assert list(row)[:6] == ["id", "structure", "prefix", "outcome", "similarity", "reward"]
    assert row["similarity"] == 1.0  # the teacher's own words
    write(source, [{"id": 1, "teacher": TEACHER, "student": TEACHER}, {"id": 2}])
    assert score_file(source, tmp_path / "out.jsonl", structures, own).faulty == 1
    assert [row["similarity"] for row in rows(tmp_path / "out.jsonl")] == [None, None]  # no answer; malformed
    path.write_text("structures: {alignment: {type: best}}\nrewards: {alpha: 2}\n")
    with pytest.raises(ConfigError, match=r"2 fault.*\n.*alignment.*\n.*rewards\.alpha"):
        load_score_config(path)
    with pytest.raises(ConfigError, match="no such file"):
        load_score_config(tmp_path / "none.yaml")
    path.write_text("- 1")
    with pytest.raises(ConfigError, match="mapping"):
        load_score_config(path)


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl", [{"id": 1, "path": TEACHER, "teacher": TEACHER, "student": TEACHER}]
    )
    before = source.read_bytes()
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    for tool in (score_file, decompose_file):
        for name in ("in.jsonl", "link.jsonl"):
            with pytest.raises(DataError, match=r"is the input .*in\.jsonl itself"):
                tool(source, tmp_path / name)
    assert source.read_bytes() == before


def test_byte_order_marks_repeated_keys_and_half_characters(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    lines = [
        json.dumps({"id": 1, "path": "3 + 4 = 7"}),
        '{"id": 2, "path": "3 + 4 = 7", "path": "1 + 1 = 2"}',
        '{"id": "\\ud800", "path": "3 + 4 = 7"}',
    ]
    source.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    assert decompose_file(source, tmp_path / "out.jsonl") == FileResult(
        3, 1, "line 2: the key 'path' occurs twice in one object; keep one"
    )
    assert [row["id"] for row in rows(tmp_path / "out.jsonl")] == [1, None, "\ud800"]


def test_a_file_of_another_kind_is_one_error(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(json.dumps({"id": 1, "path": TEACHER}).encode("utf-16"))
    with pytest.raises(DataError, match=r"in\.jsonl: is UTF-16 text; save it as UTF-8"):
        decompose_file(source, tmp_path / "out.jsonl")
    source.write_text(json.dumps([{"id": 1, "path": TEACHER}], indent=1))
    assert "write each of its objects on a line" in decompose_file(source, tmp_path / "out.jsonl").first
