"""Algebra and other signs in plain text."""

from __future__ import annotations

import time

import pytest

from rlkd.structure.reading.formulas.latex import find_latex_calculations
from rlkd.structure.reading.path import read_calculations


@pytest.mark.parametrize(
    ("text", "operands", "value"),
    [
        ("9² = 81", (9, 2), 81),
        ("√16 = 4", (16, 1, 2), 4),
        ("5! = 120", (5,), 120),
        ("C(8, 3) = 56 ways", (8, 3), 56),
        ("It is sqrt(5^2 + 12^2) = sqrt(169) = 13.", (5, 2, 12, 2, 1, 2), 13),
    ],
)
def test_signs(text: str, operands: tuple[float, ...], value: float) -> None:
    (calc,) = read_calculations(text)
    assert (calc.operands, calc.value) == (operands, value)


def test_plain_algebra_is_the_same_as_in_latex() -> None:
    plain = read_calculations("3y - 12 = 2y + 7\ny - 12 = 7\ny = 19")
    latex = find_latex_calculations("$3x-12=2x+7$, $x-12=7$, $x=19$")
    assert [calc.value for calc in plain] == [calc.value for calc in latex]
    assert read_calculations("3x + 12 = 2x + 7")[0].value != plain[0].value


def test_unknowns_of_word_problems_name_their_number() -> None:
    assert [calc.value for calc in read_calculations("x + x + 30 = 110, so 2x = 80")] == [110, 80]


@pytest.mark.parametrize("unit", ["x=1! ", "5! ", "sqrt(", "x ≤ ", "3 < x ", "C(1, ", "² "])
def test_any_text_is_read_in_bounded_time(unit: str) -> None:
    start = time.process_time()
    read_calculations(unit * (50_000 // len(unit)))
    assert time.process_time() - start < 2
