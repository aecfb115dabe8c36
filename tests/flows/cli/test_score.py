"""``rlkd decompose`` and ``rlkd score`` say what became of the rows; what they compute is in ``tests/structure/test_tools.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.main import run_command


def test_decompose_says_which_rows_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": 1, "path": "3 + 4 = 7"}\n{"id": 2}\nx\n')
    assert run_command(["decompose", str(source), str(target)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{target}: 3 rows\n"
    assert said.err == (
        f"rlkd: 2 of 3 rows of {source} are wrong (the first: row 2: path: is missing); "
        f"each has its fault in the field `error` of {target}; mend them and run the command again\n"
    )


def test_score_is_quiet_about_rows_that_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": 1, "teacher": "3 + 4 = 7", "student": "3 + 4 = 7"}\n')
    assert run_command(["score", str(source), str(target)]) == 0
    assert capsys.readouterr() == (f"{target}: 1 rows\n", "")


def test_an_output_that_cannot_be_written_is_a_user_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1, "path": "3 + 4 = 7"}\n')
    assert run_command(["decompose", str(source), str(tmp_path / "no" / "out.jsonl")]) == 2
    assert capsys.readouterr().err == (
        f"rlkd: error: {tmp_path / 'no' / 'out.jsonl'}: cannot be written (No such file or directory); name another file\n"
    )


def test_standard_input_to_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1, "path": "3 + 4 = 7"}\n{"id": 2}\n')
    assert run_command(["decompose", str(source), "-"]) == 1
    said = capfd.readouterr()
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == [1, 2]
    assert said.err.startswith("standard output: 2 rows\nrlkd: 1 of 2 rows")


def test_the_input_as_output_is_a_user_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1, "teacher": "3 + 4 = 7", "student": "3 + 4 = 7"}\n')
    before = source.read_text()
    for command in ("score", "decompose"):
        assert run_command([command, str(source), str(source)]) == 2
        assert "itself, which would be lost; name another file" in capsys.readouterr().err
    assert source.read_text() == before
