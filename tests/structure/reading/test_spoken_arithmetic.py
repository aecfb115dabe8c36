"""Calculations in words."""

from __future__ import annotations

import time

import pytest

from rlkd.quantities.words import with_digits
from rlkd.structure.reading.path import read_calculations


@pytest.mark.parametrize(
    ("text", "operands", "ops", "value"),
    [
        ("Adding 3 and 4 gives 7.", (3, 4), "+", 7),
        ("Eating 3 and baking 4 leaves 9 eggs.", (16, 3, 4), "-", 9),
        ("Selling 9 at $2 each gives $18", (9, 2), "*", 18),
        ("Subtract 7 from 16 to get 9.", (16, 7), "-", 9),
        ("Multiply 9 by 2 to get 18", (9, 2), "*", 18),
        ("Dividing 20 apples among 4 kids gives 5 each", (20, 4), "/", 5),
        ("Half of 18 is 9", (18, 2), "/", 9),
        ("Twice 9 is 18", (2, 9), "*", 18),
        ("four pens at three dollars is 12 dollars", (4, 3), "*", 12),
        ("He gets 20 minus 12, i.e. 8 dollars back.", (20, 12), "-", 8),
        ("seven plus nine is sixteen", (7, 9), "+", 16),
        ("Janet eats three and bakes four, which is seven eggs.", (3, 4), "+", 7),
        ("16 - 7 → 9", (16, 7), "-", 9),
        ("7 squared is 49", (7, 2), "^", 49),
        ("10 mod 3 = 1", (10, 3), "%", 1),
    ],
)
def test_reads(text: str, operands: tuple[float, ...], ops: str, value: float) -> None:
    (calc,) = read_calculations(text)
    assert (calc.operands, calc.operation, calc.value) == (operands, ops, value)


@pytest.mark.parametrize(
    "text",
    ["She meets 3 friends at 5 and they are 8 years old", "He has 5 apples and 3 pears", "One of them is 3"],
)
def test_numbers_alone_are_no_calculation(text: str) -> None:
    assert read_calculations(text) == []


def test_number_words() -> None:
    assert with_digits("twenty-five of two hundred and ten, one dozen, one") == "25 of 210, 12, one"


@pytest.mark.parametrize("unit", ["adding 3 and ", "a ", "1 at ", "half of ", "3 and 4 ", "twenty-"])
def test_any_text_is_read_in_bounded_time(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    start = time.process_time()
    read_calculations(text)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "operands", "operation", "value"),
    [
        ("To find this we divide 20,000 by 400, which gives us 50.", (20000.0, 400.0), "/", 50.0),
        ("Divide the total of 20,000 by 400 people, which gives us 50 each.", (20000.0, 400.0), "/", 50.0),
        ("Subtract the 8 washed oranges from the 15 initial oranges, which gives 7.", (15.0, 8.0), "-", 7.0),
        ("There are 15 (initial oranges) - 8 (washed) = 7 oranges left.", (15.0, 8.0), "-", 7.0),
        ("The number of groups is 4 (8 / 2 = 4).", (8.0, 2.0), "/", 4.0),
        ("It is 553 m - 369 m = 184 m high.", (553.0, 369.0), "-", 184.0),
    ],
)
def test_notes_units_and_fuller_sentences(
    text: str, operands: tuple[float, ...], operation: str, value: float
) -> None:
    [found] = read_calculations(text)
    assert (found.operands, found.operation, found.value, found.symbolic) == (
        operands,
        operation,
        value,
        False,
    )
