r"""The same path in other ways of writing: units, lines, tables, LaTeX, corrections, merged steps, named results, dates."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.reading.path import read_calculations, sentence_ends
from rlkd.structure.reading.words.dates import find_dates
from rlkd.structure.scorer import score_paths

PROBLEM = "Janet's ducks lay 16 eggs. She eats three and bakes with four. She sells the rest at $2 each."
TEACHER = "She sells 16 - 3 - 4 = 9 eggs.\nShe makes 9 * 2 = $18."
ROWS = Path(__file__).parents[1] / "data" / "gsm8k_rows.jsonl"


def score(teacher: str, student: str, problem: str = "") -> float:
    found = score_paths(problem, [teacher], student)
    assert found is not None
    return found.structure


def results(text: str) -> list[float]:
    return [calc.value for step in decompose_text(text).steps for calc in step.calculations]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("The area is 4 * 3 = 12 cm^2.", [12]),
        ("The area is 4 m * 3 m = 12 m^2. So 12 m² * 2 = 24 m².", [12, 24]),
        ("The mass is 0.6 g/cm^3 * 5 cm^3 = 3 g.", [3]),
        ("The volume is 5 * 4 = 20 cm³.", [20]),
        ("It is 9.8 m/s^2 * 3 s = 29.4 m/s.", [29.4]),
        ("It goes 60 km/h * 3 h = 180 km.", [180]),
        ("It is 12 square feet. So 12 ft^2 * 2 = 24 ft^{2}.", [24]),
        ("It is 4 * 3 = 12 inches^2, or 12 units**2.", [12]),
        (r"It is $4 \cdot 3 = 12 \text{ cm}^2$. So $12 \cdot 2 = 24\,\mathrm{cm}^{2}$.", [12, 24]),
        ("It is $4 cm * 3 cm = 12 cm^2$.", [12]),
        ("So 5^2 = 25.", [25]),  # a number to a power stays one
    ],
)
def test_a_unit_to_a_power_is_a_unit(text: str, values: list[float]) -> None:
    assert results(text) == values


@pytest.mark.parametrize(
    "text", ["n^2 = 9", "2x^2 = 8", "Let m be it. 2m^2 = 8", "Let m be it. 5 m^2 + 3m = 20"]
)
def test_an_unknown_to_a_power_stays_algebra(text: str) -> None:
    assert any(calc.symbolic for step in decompose_text(text).steps for calc in step.calculations)


@pytest.mark.parametrize(
    ("problem", "lines"),
    [
        ("Every cat is mortal. Tom is a cat.", "Tom is an animal.\nTom is mortal."),
        ("", "Today is 12/24/1937.\n10 days ago is 12/14/1937.\nSo the answer is 12/14/1937."),
        ("Tom has three apples. He buys two and eats one.", "Tom has three apples.\nHe buys two.\nSo he has five.\nFour are left."),
    ],
)  # fmt: skip
def test_lines_or_sentences_are_the_same(problem: str, lines: str) -> None:
    line = lines.replace("\n", " ")
    assert len(decompose_text(line).steps) == len(decompose_text(lines).steps)
    assert score(lines, line, problem) == score(line, lines, problem) == 1.0


def test_sentences_of_real_solutions_may_stand_on_one_line() -> None:
    asked = 0
    for row in map(json.loads, ROWS.read_text(encoding="utf-8").splitlines()):
        for line in row["question"].split("\n"):
            cuts = [0, *sentence_ends(line, 0, len(line), marked=True), len(line)]
            broken = "\n".join(line[a:b].strip() for a, b in pairwise(cuts))
            if len(cuts) > 2 and len(line) <= 60 and not results(line):
                asked += 1
                assert len(decompose_text(line).steps) == len(decompose_text(broken).steps)
                assert score(broken, line) == 1.0
        reference = row["reference"].rpartition("\n")[0]  # without the line that states the answer
        if all(line.endswith(".") and line[0].isupper() for line in reference.split("\n")):
            asked += 1
            assert score(reference, reference.replace("\n", " "), row["question"]) > 0.95
    assert asked >= 10


@pytest.mark.parametrize(
    "student",
    [
        "16 - 3 - 4\n= 9\n9 * 2\n= 18",
        "16 - 3 - 4 =\n9\n9 * 2 =\n18",
        "16 - 3 - 4\n  &= 9\n9 * 2\n  &= 18",
        "| what | how | value |\n|---|---|---|\n| left | 16 - 3 - 4 | 9 |\n| money | 9 * 2 | 18 |",
        "Janet has 9 eggs left (16 - 3 - 4). She makes $18 (9 * 2).",
        r"$$(16 - 3 - 4) \times \$2 = 9 \times \$2 = \$18$$",
        "16-3-4 = 9, so 9*2 = 19. Wait, 9*2 = 18.",
        "16-3-4 = 9, so 9*2 = 19. Wait, that's 18.",
        "16-3-4 = 9, so 9*2 = 19. Wait, that's wrong. 9*2 = 18.",
        "16-3-4 = 8, so 8*2 = 16. Wait, that's wrong. 16-3-4 = 9, so 9*2 = 18.",
        "16-3-4 = 9, so 9*2 = 19.\nCorrection: 9*2 = 18",
        "16-3-4 = 9, so 9*2 = 19. Sorry, 9*2 = 18.",
        "left = 16 - 3 - 4 = 9\nmoney = left * 2 = 18",
        "Eggs left: 16 - 3 - 4 = 9\nMoney = 2 × eggs left = $18",
    ],
)
def test_the_same_calculations(student: str) -> None:
    assert score(TEACHER, student, PROBLEM) > 0.98  # other words alone: 0.02 halvings


def test_what_a_table_states_counts() -> None:
    assert results("| left | 16 - 3 | 14 |") == [14]
    assert results("Call 555-123-4567. The score was 3-2-1, the ratio 1/2/3.") == []


@pytest.mark.parametrize(
    "student",
    [
        r"The discount is 25\% of \$80, which is \$20. So it costs \$80 - \$20 = \$60.",
        r"The discount is $25\%$ of $\$80$, which is $\$20$. So it costs $80 - 20 = 60$.",
        r"The discount is $25\%$ of $80$, which is $20$. So it costs $\$80 - \$20 = \$60$.",
    ],
)
def test_percent_and_money_in_latex(student: str) -> None:
    plain = "The discount is 25% of $80, which is $20. So it costs 80 - 20 = 60."
    assert results(student)[:2] == results(plain) == [20, 60] or results(student) == [20, 20, 60]
    assert score(plain, student) > 0.98


def test_a_result_that_is_used_twice_may_be_merged() -> None:
    apart, merged = "80*0.25=20\n80-20=60\n60*0.1=6\n60+6=66", "80*0.25=20\n80-20=60\n60 + 60*0.1 = 66"
    assert score(apart, merged, "80 25 10") > 0.98
    assert score(merged, apart, "80 25 10") > 0.98


def test_a_name_is_a_number_only_as_an_operand() -> None:
    plain = read_calculations("eggs = 16 - 3 = 13\nShe sells 13 eggs * 2 = 26")
    assert [calc.operands for calc in plain] == [(16, 3), (13, 2)]
    text = "left = 3 * 400 = 1200\nAll: left * 2 = 2400 pens"
    calc = read_calculations(text)[1]
    assert calc.operands == (1200, 2)
    assert text[calc.start : calc.end] == "left * 2 = 2400"


def test_dates_in_figures() -> None:
    path = "Today is 12/24/1937. 10 days ago is 12/14/1937. So the answer is 12/14/1937."
    for other in (
        path.replace("/", "-"),
        path.replace("1937", "37"),
        path.replace("12/24/1937", "1937/12/24"),
    ):
        assert [day for _, _, day in find_dates(other)] == ["1937-12-24", "1937-12-14", "1937-12-14"]
        assert score(path, other) == 1.0
        assert score(path, other.replace("14", "15")) < 0.3
    assert [day for _, _, day in find_dates("In 2037: 1/2/37.")] == ["2037-01-02"]
    assert list(find_dates("So 60/12/5 = 1, and 48/12/02 * 3 is 6.")) == []
