"""What the score promises on real solutions, whatever way they are written in: the laws, over 60 rows of GSM8K."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.structure.decomposers.rules import RulesDecomposer, decompose_text
from rlkd.structure.interfaces import Judge, PairVerdict, PathItem, StepPair
from rlkd.structure.judges.cascade import CascadeJudge
from rlkd.structure.judges.embedding import EmbeddingJudge
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.scorer import ScoreItem, StructureScorer, score_paths

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


def paths_of(row: dict[str, Any]) -> list[str]:
    """The reference solution and the models' solutions of a row."""
    return [row["reference"], *(solution["text"] for solution in row["solutions"])]


def without_marks(path: str) -> str:
    return re.sub(r"<<[^<>]*>>", "", path)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_path_against_itself_is_one(row: dict[str, Any]) -> None:
    for path in paths_of(row):
        for said in (path, without_marks(path), with_commas(path)):
            for problem in (row["question"], ""):
                found = score_paths(problem, [said], said)
                assert found is None or (found.structure, found.prefix) == (1.0, 1.0)


def test_a_path_that_says_its_marks_in_prose_is_the_same_without_them() -> None:
    """Of the rows' references, those whose marks repeat what the prose says (``16 - 3 = <<16-3=13>>13``)."""
    same = 0
    for row in ROWS:
        marked, plain = row["reference"], without_marks(row["reference"])
        read, other = decompose_text(marked), decompose_text(plain)
        calculations = [
            [
                (c.value, c.operation, sorted(c.operands), c.symbolic)
                for s in path.steps
                for c in s.calculations
            ]
            for path in (read, other)
        ]
        if calculations[0] == calculations[1] and len(read.steps) == len(other.steps):
            same += 1
            assert score(row["question"], [marked], plain) == score(row["question"], [plain], marked) == 1.0
    assert same > len(ROWS) / 2


SIGNS = str.maketrans(
    {**{str(digit): chr(0xFF10 + digit) for digit in range(10)}, "*": "∗", "+": "＋", "-": "−", "=": "＝"}
)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_other_signs_change_nothing(row: dict[str, Any]) -> None:
    plain = without_marks(row["reference"])
    for said in (
        plain.translate(SIGNS),
        plain.replace(" ", "\u200b \u200b"),
        plain.replace("*", "×").replace("/", "÷"),
    ):
        assert score(row["question"], [plain], said) == 1.0
        for step in decompose_text(said).steps:
            assert 0 <= step.start < step.end <= len(said)
            assert not said[step.start : step.end].startswith("\n")


@pytest.mark.parametrize(
    "said",
    [
        "１２ ∗ ５ ＝ ６０\n６０ − ８ ＝ ５２",
        "12 * 5 = 60 - 8 = 52",
        "12\u200b * 5 = 60\n60\u200b - 8 = 52",
        "12 × 5 = 60\n60 – 8 = 52",
    ],
)
def test_the_same_path_in_other_signs(said: str) -> None:
    plain = "12 * 5 = 60\n60 - 8 = 52"
    assert score("12 boxes of 5, 8 lost", [plain], said) == 1.0
    assert score("12 boxes of 5, 8 lost", [said], plain) == 1.0


def test_bare_fractions_are_read() -> None:
    said = "So \\frac12 * 8 = 4 apples.\nThen \\frac{3}{4} \\times 8 = 6."
    assert (
        score("8 apples", ["So 1/2 * 8 = 4 apples.\nThen 3/4 * 8 = 6."], said) > 0.97
    )  # "apples" stands apart in one


def with_commas(path: str) -> str:
    """Numbers of four to six digits with a thousands comma, in marks too."""
    return re.sub(r"(?<![\d.,])(\d{1,3})(\d{3})(?![\d,])", r"\1,\2", path)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_thousands_commas_change_nothing(row: dict[str, Any]) -> None:
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", row["reference"])
    assert score(row["question"], [plain], with_commas(plain)) == score(row["question"], [plain], plain)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_another_teacher_never_lowers_a_score(row: dict[str, Any]) -> None:
    problem, reference = row["question"], row["reference"]
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


class Table:
    """Gives every pair of steps the verdict of a table; keeps what it was asked."""

    name = "table"

    def __init__(self, table: dict[tuple[int, int], PairVerdict]) -> None:
        self.table = table

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        return [self.table[p.teacher_step.index, p.student_step.index] for p in pairs]


def test_every_judge_is_on_one_scale() -> None:
    """The same verdicts give the same score, whichever judge gives them."""
    problem, teacher, student = (
        "Ducks lay 16 eggs. She eats 3 and bakes with 4. She sells the rest for $2 each.",
        "She eats 3 + 4 = 7 eggs.\nShe sells 16 - 7 = 9 eggs.\nShe makes 9 * 2 = 18 dollars.",
        "She eats 3 + 4 = 7 eggs.\nShe sells 16 - 7 = 8 eggs.\nShe makes 8 * 2 = 16 dollars.\nSo 16 * 5 = 80.",
    )
    structure = decompose_text(teacher, problem=problem)
    read = decompose_text(student, problem=problem)
    pairs = [StepPair(t, s, problem) for t in structure.steps for s in read.steps]
    by_rules = asyncio.run(RulesJudge().judge(pairs))
    table = {
        (p.teacher_step.index, p.student_step.index): v for p, v in zip(pairs, by_rules, strict=True) if v
    }

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0]] * len(texts)

    class FromTable(EmbeddingJudge):
        async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
            await super().judge(pairs)
            return await Table(table).judge(pairs)

    judges: list[Judge] = [
        RulesJudge(),
        Table(table),
        FromTable(embed, "same", RulesJudge()),
        CascadeJudge(Table(table), Table(table)),
    ]
    item = ScoreItem(PathItem(problem, student), (structure,))
    scores = [asyncio.run(StructureScorer(RulesDecomposer(), judge).score([item])) for judge in judges]
    assert all(found == scores[0] for found in scores)
    # the first step is taken, the second with another result (1/4), the third is missing; the path ends elsewhere; extra are
    # 3/4 of the second and two more; few words are not shared
    [found] = scores[0]
    assert found is not None
    expected = 2 ** -(0.3 * 1.75 + 1.2) * 2 ** -(0.15 * 2.75)  # 0.227, and up to 0.02 halvings for words
    assert expected * 2**-0.02 <= found.structure <= expected


DATA = Path(os.environ.get("RLKD_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = sorted((DATA / "model_traces").glob("*.jsonl"))


@pytest.mark.slow
@pytest.mark.skipif(
    not SETS, reason="needs solutions of language models; set RLKD_DATA to the folder with model_traces/"
)
@pytest.mark.parametrize("file", SETS, ids=[file.stem for file in SETS])
def test_real_solutions_against_themselves_are_one(file: Path) -> None:
    asked, missing = 0, list[str]()
    for line in file.read_text(encoding="utf-8").splitlines()[::10]:
        row = json.loads(line)
        for trace in row["traces"]:
            if trace["right"]:
                asked += 1
                found = score_paths(row["question"], [trace["text"]], trace["text"])
                if found is None:
                    missing.append(trace["text"])
                else:
                    assert found.structure == 1.0, trace["text"]
    # A path without a step has no score: 1 of 1,449 (asdiv) and 1 of 812 ("The answer is no.", strategyqa), none of the other 3,325.
    assert asked >= 100
    assert len(missing) <= asked / 500, missing
