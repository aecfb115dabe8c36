"""The file tools: order, malformed rows, atomic replacement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import ConfigError, DataError
from rlkd.structure.tools import FileResult, decompose_file, load_score_config, score_file

TEACHER, STUDENT = "3 + 4 = 7\n7 * 2 = 14\n#### 14", "4 + 3 = 7\n2 * 7 = 14\nA: 14"


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_decompose_keeps_order_and_reports_malformed_rows(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl",
        [{"id": 1, "problem": "3 4", "path": "Émile: 3 + 4 = 7"}, "not json", {"id": "c"}, [1], {"id": 4, "path": ""}],
    )
    target = tmp_path / "out.jsonl"
    assert decompose_file(source, target) == FileResult(5, 3, "line 2: not valid JSON in UTF-8")
    found = rows(target)
    assert [r["id"] for r in found] == [1, None, "c", None, 4]
    assert [r["error"] for r in found] == [
        None, "line 2: not valid JSON in UTF-8", "path: is missing", "line 4: a row is a JSON object, not list", None,
    ]  # fmt: skip
    step = found[0]["steps"][0]
    assert set(step) == {"index", "meta", "sub_problem", "answer", "quantities", "operation", "depends_on", "start", "end"}
    assert (step["index"], step["answer"], step["start"], step["end"]) == (0, "7", 0, 16)
    assert found[1]["steps"] is None and found[4]["steps"] == []


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
    assert score_file(source, target) == FileResult(7, 1, "row 'bad': teacher: must be a path or a list of paths, each a text")
    found = {r["id"]: r for r in rows(target)}
    assert list(found) == ["right", "no answer", "wrong", "several", "no step", "mute teacher", "bad"]
    assert set(found["right"]) == {
        "id", "structure", "prefix", "outcome", "reward", "teacher_steps", "student_steps", "steps", "missing", "error",
    }  # fmt: skip
    right = found["right"]
    assert (right["prefix"], right["outcome"], right["teacher_steps"], right["student_steps"]) == (1.0, 1.0, 2, 2)
    assert right["structure"] > 0.95 and right["reward"] == pytest.approx((right["structure"] + 1) / 2)
    assert (found["no answer"]["outcome"], found["no answer"]["reward"]) == (None, None)
    assert found["wrong"]["outcome"] == 0.0
    assert {s["teacher_path"] for s in found["several"]["steps"]} == {1}
    assert found["no step"]["structure"] == 0.0 and found["no step"]["steps"] == []
    mute = found["mute teacher"]
    assert (mute["structure"], mute["missing"], mute["reward"], mute["outcome"]) == (None, ["structure"], None, 1.0)
    assert found["bad"]["error"] == "teacher: must be a path or a list of paths, each a text"


def test_unmatched_steps_have_nulls(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": "50 * 50 = 2500\n3 + 4 = 7"}])
    assert score_file(source, tmp_path / "out.jsonl").faulty == 0
    steps = rows(tmp_path / "out.jsonl")[0]["steps"]
    assert [(s["teacher_path"], s["teacher_step"], s["p_answer"]) for s in steps] == [(None, None, None), (0, 0, 1.0)]


def test_the_output_is_replaced_only_when_done(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    with pytest.raises(DataError, match=r"missing\.jsonl: cannot be read"):
        score_file(tmp_path / "missing.jsonl", target)
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_output_that_cannot_be_written_is_told_where(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": 1, "path": "3 + 4 = 7"}])
    with pytest.raises(DataError, match=r"nowhere/out\.jsonl: cannot be written \(No such file or directory\); name another"):
        decompose_file(source, tmp_path / "nowhere" / "out.jsonl")
    with pytest.raises(DataError, match=r"in\.jsonl/out\.jsonl: cannot be written"):
        decompose_file(source, source / "out.jsonl")


def test_text_that_is_not_unicode_and_odd_ids(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ['{"id": 1, "path": "3 + 4 = 7 \\ud800"}', {"id": {"a": 1}, "path": "3 + 4 = 7"}])
    assert decompose_file(source, tmp_path / "out.jsonl").faulty == 0
    assert [r["id"] for r in rows(tmp_path / "out.jsonl")] == [1, None]


def test_many_rows_cross_batches(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": i, "path": f"{i} + 1 = {i + 1}"} for i in range(600)])
    assert decompose_file(source, tmp_path / "out.jsonl").faulty == 0
    assert [(r["id"], r["steps"][0]["answer"]) for r in rows(tmp_path / "out.jsonl")] == [(i, str(i + 1)) for i in range(600)]


def test_score_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: x\nstructures:\n  alignment: {type: prefix}\nrewards: {alpha: 0.25}\n")
    structures, rewards = load_score_config(path)
    assert (structures.alignment.type, rewards.alpha, rewards.format) == ("prefix", 0.25, 0.0)
    source = write(tmp_path / "in.jsonl", [{"id": 1, "teacher": TEACHER, "student": TEACHER, "answer": "3"}])
    assert score_file(source, tmp_path / "out.jsonl", structures, rewards).faulty == 0
    assert rows(tmp_path / "out.jsonl")[0]["reward"] == 0.25
    path.write_text("structures: {alignment: {type: best}}\nrewards: {alpha: 2}\n")
    with pytest.raises(ConfigError, match=r"2 fault.*\n.*alignment.*\n.*rewards\.alpha"):
        load_score_config(path)
    with pytest.raises(ConfigError, match="no such file"):
        load_score_config(tmp_path / "none.yaml")
    path.write_text("- 1")
    with pytest.raises(ConfigError, match="mapping"):
        load_score_config(path)
