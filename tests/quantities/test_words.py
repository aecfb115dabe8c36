"""Numbers in words and in digits: one reader each."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.quantities.amounts import Amount, read_amount
from rlkd.quantities.numbers import exact_number, parse_number
from rlkd.quantities.stated import problem_quantities
from rlkd.quantities.units import unit_of
from rlkd.quantities.words import ONES, TENS, spelled_number, with_digits


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("twenty-five", 25),
        ("Twenty five", 25),
        ("one hundred and five", 105),
        ("a hundred", 100),
        ("nineteen hundred", 1900),
        ("two thousand three hundred and forty-one", 2341),
        ("three million two hundred thousand", 3_200_000),
        ("a dozen", 12),
        ("three dozen", 36),
        ("half", Fraction(1, 2)),
        ("a half", Fraction(1, 2)),
        ("two and a half", Fraction(5, 2)),
        ("one and three quarters", Fraction(7, 4)),
        ("two thirds", Fraction(2, 3)),
        ("one hundred and two thirds", 100 + Fraction(2, 3)),
        ("minus five", -5),
        ("negative nine", -9),
        ("zero", 0),
        ("twice", 2),
        ("a couple", 2),
        ("five twenty", None),
        ("twenty twelve", None),
        ("one two", None),
        ("eggs", None),
        ("a", None),
        ("and", None),
        ("", None),
        ("hundred million hundred million", None),
    ],
)
def test_words(text: str, value: Fraction | int | None) -> None:
    assert spelled_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5", Fraction(2469, 2)),
        ("70 000", 70_000),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("-3/4", Fraction(-3, 4)),
        ("1 3/4", Fraction(7, 4)),
        ("-1 3/4", Fraction(-7, 4)),
        ("1.6 * 10^2", 160),
        ("1.6x10^(-2)", Fraction(16, 1000)),
        ("6.02e23", 602 * 10**21),
        ("10^3", 1000),
        ("70k", 70_000),
        ("2.5M", 2_500_000),
        ("3 million", 3_000_000),
        ("007", 7),
        ("1,23,456", None),
        ("4 9", None),
        ("4.0.0", None),
        ("1/0", None),
        ("1e999", None),
        ("9" * 1000, None),
    ],
)
def test_digits(text: str, value: Fraction | int | None) -> None:
    assert exact_number(text) == value


@given(st.integers(0, 99))
def test_words_and_digits_agree(value: int) -> None:
    ones = {number: word for word, number in ONES.items()}
    tens = {number: word for word, number in TENS.items() if word != "fourty"}
    words = (
        ones[value]
        if value < 20
        else tens[value - value % 10] + (f"-{ones[value % 10]}" if value % 10 else "")
    )
    assert spelled_number(words) == value
    assert problem_quantities(f"She has {words} eggs.") == (float(value),)


@settings(max_examples=60)
@given(st.decimals(0, 10**9, places=2, allow_nan=False))
def test_both_readers_of_digits_agree(value: object) -> None:
    text = f"{value:,}"
    assert parse_number(text) == float(exact_number(text) or 0)


def test_a_problem_in_words_states_what_it_states_in_digits() -> None:
    words = "Twenty-five boys share one hundred and five eggs and half a cake, twice."
    assert problem_quantities(words) == (25.0, 105.0, 0.5, 2.0)
    assert (
        with_digits("Twenty-five boys and one girl share two hundred eggs")
        == "25 boys and one girl share 200 eggs"
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,234.50", Amount(Fraction(2469, 2), unit_of("$"))),
        ("-$31", Amount(Fraction(-31), unit_of("$"))),
        ("USD 31", Amount(Fraction(31), unit_of("$"))),
        ("31 €", Amount(Fraction(31), unit_of("€"))),
        ("$15 per hour", Amount(Fraction(15), unit_of("$/hour"))),
        ("18 duck eggs", Amount(Fraction(18), None, "duck eggs")),
        ("twenty-five people", Amount(Fraction(25), None, "people")),
        ("12.5%", Amount(Fraction(25, 2), percent=True)),
        ("35 per cent", Amount(Fraction(35), percent=True)),
        ("5xy", None),
        ("60t", None),
        ("5m", None),  # five times m, or five metres
        ("5 or 7", None),
        ("2 pi", None),
        ("30 minutes 1 hour", None),
        ("x" * 500, None),
    ],
)
def test_amounts(text: str, amount: Amount | None) -> None:
    assert read_amount(text) == amount
