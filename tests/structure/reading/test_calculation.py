"""Expressions are evaluated exactly or refused, never slowly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.quantities.numbers import canonical, parse_number
from rlkd.structure.reading.calculation import MAX_TOKENS, ExpressionError, evaluate


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ([16.0, "-", 3.0, "-", 4.0], 9.0),
        ([2.0, "+", 3.0, "*", 4.0], 14.0),
        (["(", 20.0, "/", 100.0, ")", "*", 25.0], 5.0),
        ([2.0, "^", 3.0, "^", 2.0], 512.0),  # right to left: 2 ^ 9
        (["-", 2.0, "^", 2.0], -4.0),
        ([2.0, "*", "-", 3.0], -6.0),
        ([3.0, "(", 4.0, "+", 5.0, ")"], 27.0),  # implicit product
        ([7.0], 7.0),
    ],
)
def test_evaluates(items: list[float | str], value: float) -> None:
    assert evaluate(items) == value


@pytest.mark.parametrize(
    "items",
    [
        [],
        ["+"],
        [1.0, "+"],
        ["*", 2.0],
        ["(", 1.0],
        [1.0, ")"],
        ["(", ")"],
        [1.0, "/", 0.0],
        [10.0, "^", 65.0],
        [9.0, "^", 9.0, "^", 9.0],
        ["("] * 60 + [1.0] + [")"] * 60,
        [1.0, "+"] * MAX_TOKENS + [1.0],
    ],
)
def test_refuses_what_is_no_expression_or_too_large(items: list[float | str]) -> None:
    with pytest.raises(ExpressionError):
        evaluate(items)


@given(st.lists(st.sampled_from([1.0, 2.5, 0.0, "+", "-", "*", "/", "^", "(", ")"]), max_size=30))
def test_any_tokens_give_a_finite_number_or_an_error(items: list[float | str]) -> None:
    try:
        value = evaluate(items)
    except ExpressionError:
        return
    assert math.isfinite(value)


def test_numbers_are_read_and_written() -> None:
    assert parse_number("1,234.5") == 1234.5
    assert parse_number("400 000") == 400_000
    assert parse_number("5:00") == 5
    assert parse_number(".5") == 0.5
    assert parse_number("9" * 40) is None
    assert parse_number("abc") is None
    assert [canonical(x) for x in (16.0, 0.2, 1e20, -3.0)] == ["16", "0.2", "1e+20", "-3"]
