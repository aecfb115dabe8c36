"""Calculations are read off real prose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.quantities.numbers import same_value
from rlkd.structure.reading import inline_arithmetic as calculations
from rlkd.structure.reading.inline_arithmetic import find_calculations


def read(text: str) -> list[tuple[tuple[float, ...], str, float]]:
    """Operands, operators and value of each calculation."""
    return [(c.operands, c.operation, c.value) for c in find_calculations(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("That means she has 16 - 3 - 4 = 9 eggs left", [((16, 3, 4), "-", 9)]),
        ("60 elves / 3 = 20 elves.", [((60, 3), "/", 20)]),
        ("He pays 5 * 2 = $<<5*2=10>>10 for them", [((5, 2), "*", 10)]),
        ("It is <<+8=8>>8", [((8,), "+", 8)]),
        ("3 books/person x 2 people = 6 books", [((3, 2), "*", 6)]),
        ("$600/month * 12 months/year = $7200", [((600, 12), "*", 7200)]),
        ("2 plus 3 is 5", [((2, 3), "+", 5)]),
        ("5 multiplied by 3 equals 15", [((5, 3), "*", 15)]),
        ("25% of $16 is $4", [((0.25, 16), "*", 4)]),
        ("After Friday, he had 3 1/2 - 2 = 1 1/2 hours", [((3.5, 2), "-", 1.5)]),
        ("12/20 x 100% = 60%", [((12, 20, 1), "/*", 0.6)]),
        ("He read 5*2=10+3=13 pages", [((5, 2), "*", 10), ((10, 3), "+", 13)]),
        ("E = 7 - 31 = -24", [((7, 31), "-", -24)]),
        ("1/2*400 = 200 pounds, and 3(4+5)=27", [((1, 2, 400), "/*", 200), ((3, 4, 5), "*+", 27)]),
        ("25 total cars – 20 cars that drove = 5 cars", [((25, 20), "-", 5)]),
        ("The house costs $350 000 + $17 500 = $367 500", [((350000, 17500), "+", 367500)]),
        ("It burns for 5:00 - 1:00 = 4 hours", [((5, 1), "-", 4)]),
        ("1,200 ÷ 4 = 300", [((1200, 4), "/", 300)]),
        ("1600g + 1000g = 2600g", [((1600, 1000), "+", 2600)]),
        ("On day 2, a 40-hour week has 5 days.", []),
        ("It has 1/10 of them, or the 3/5 share", []),
        ("Mishka spent $243 on clothing.", []),
        ("There are 2 x 4 x 10 boards", [((2, 4, 10), "*", 80)]),  # stated without a result
    ],
)
def test_reads(text: str, expected: list[tuple[tuple[float, ...], str, float]]) -> None:
    assert read(text) == expected


def test_a_wrong_result_keeps_the_stated_value() -> None:
    (calc,) = find_calculations("6 + 4 = 11")
    assert (calc.value, calc.computed, calc.holds) == (11, 10, False)


def test_equations_in_variables_are_symbolic() -> None:
    calcs = find_calculations("Let x be the number. x + x + 30 = 110, so 2x = 80 and x = 40.")
    assert [c.symbolic for c in calcs] == [True, True, True]
    assert [c.value for c in calcs] == [110, 80, 40]


def test_spans_are_code_points_of_the_source() -> None:
    text = "Émile has 3 + 4 = 7 eggs"
    (calc,) = find_calculations(text)
    assert text[calc.start : calc.end] == "3 + 4 = 7"


@given(st.integers(1, 999), st.sampled_from("+-*"), st.integers(1, 999), st.sampled_from([" ", ""]))
def test_simple_equations_round_trip(a: int, op: str, b: int, space: str) -> None:
    value = {"+": a + b, "-": a - b, "*": a * b}[op]
    (calc,) = find_calculations(f"so there are {a}{space}{op}{space}{b} = {value} of them")
    assert (calc.operands, calc.operation, calc.value, calc.holds) == ((a, b), op, value, True)
    (again,) = find_calculations(calc.finished().text)
    assert (again.operands, again.operation, again.value) == (calc.operands, calc.operation, calc.value)


@given(st.text(alphabet="0123456789+-*/=().,%$<>xX aofis\n", max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    for calc in find_calculations(text):
        assert 0 <= calc.start <= calc.end <= len(text)
        assert calc.value == calc.value  # not NaN


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (2000, 2001, False),  # whole numbers are compared exactly
        (33.33, 33.333333, True),
        (17.142857, 17, False),
        (0.1, 0.1000001, True),
        (3.5, 3.6, False),
        (5.0, 5.0000000001, True),
    ],
)
def test_same_value(a: float, b: float, same: bool) -> None:
    assert same_value(a, b) is same
    assert same_value(b, a) is same


@given(
    st.lists(
        st.sampled_from(
            [
                "times",
                " of ",
                "is equal to",
                "is",
                "its",
                "x",
                "it's",
                "«é",
                "3",
                " 4",
                "1st",
                "21st",
                "1,000",
                "$1 000",
                "12:00",
                "3 1/2",
                ".5",
                "<<3*4=12>>",
                "<<",
                "<",
                ". ",
                ".",
                "!\n",
                "%",
                " percent",
                " percentage",
                "+",
                " - ",
                "=",
                "(",
                ")",
                "\u0663",
                "'",
                "apples ",
                "a",
                "Let x be ",
                "\u2028",
                "_",
            ]
        ),
        max_size=40,
    ).map("".join)
)
def test_passing_over_words_misses_no_token(text: str) -> None:
    every = re.compile(calculations._KINDS)

    def tokens(pattern: re.Pattern[str]) -> list[tuple[int, tuple[int, int]]]:
        return [(m.lastindex, m.span(m.lastindex)) for m in pattern.finditer(text) if m.lastindex]

    assert tokens(calculations._TOKEN) == tokens(every)
