"""What the score promises on real solutions, whatever way they are written in: the laws, over 60 rows of GSM8K."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rlkd.structure.scorer import score_paths

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "gsm8k_rows.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
"""Problem, reference solution and one or two solutions of language models (GSM8K, MIT: tests/data/LICENSE.gsm8k)."""


def score(problem: str, teachers: list[str], student: str) -> float:
    found = score_paths(problem, teachers, student)
    assert found is not None
    return found.structure


def with_commas(path: str) -> str:
    """Numbers of four to six digits with a thousands comma, in marks too."""
    return re.sub(r"(?<![\d.,])(\d{1,3})(\d{3})(?![\d,])", r"\1,\2", path)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_thousands_commas_change_nothing(row: dict[str, str]) -> None:
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", row["reference"])
    assert score(row["question"], [plain], with_commas(plain)) == score(row["question"], [plain], plain)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_another_teacher_never_lowers_a_score(row: dict[str, list[dict[str, str]]]) -> None:
    problem, reference = str(row["question"]), str(row["reference"])
    student, *others = [solution["text"] for solution in row["solutions"]]
    alone = score(problem, [reference], student)
    assert score(problem, [reference, *others], student) >= alone - 1e-9


def test_teachers_in_words_of_whom_one_only_copies_the_problem() -> None:
    problem = "Every cat is an animal. Tom is a cat. Is Tom an animal?"
    teachers = ["Tom is a cat.\nTom is an animal.", "Every cat is an animal."]
    student = "Tom is a cat.\nEvery cat is an animal.\nTom is an animal."
    # the second teacher's only step is the student's second; the other two repeat or draw what the first says
    assert score(problem, teachers, student) == 1.0
    assert score(problem, list(reversed(teachers)), student) == 1.0
