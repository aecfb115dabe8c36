"""Amounts in different units."""

from __future__ import annotations

import pytest

from rlkd.structure.prepare import View
from rlkd.structure.rules_judge import judge_views
from rlkd.structure.units import same_measure


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("150 cents", "$1.50", True),  # 150 x 0.01 = 1.50
        ("1.5 dollars", "$1.50", True),
        ("90 minutes", "1.5 hours", True),  # 90 x 60 = 5,400 = 1.5 x 3,600
        ("2 weeks", "14 days", True),
        ("5 km", "5000 m", True),
        ("1,500 g of flour", "1.5kg", True),
        ("5 km", "5 miles", False),
        ("5 km", "5 hours", False),
        ("-5 m", "5 m", False),
        ("12 inches", "1 foot", True),  # 12 x 0.0254 = 0.3048
        ("150 cents", "1.5", None),  # one without a unit
        ("3 apples", "3 pears", None),  # units that are not known
        ("about 5 km", "5 km", None),
        ("", "5 km", None),
    ],
)
def test_amounts(a: str, b: str, same: bool | None) -> None:
    assert same_measure(a, b) is same
    assert same_measure(b, a) is same


def test_the_judge_compares_amounts() -> None:
    def answer(teacher: str, student: str) -> float:
        step = "How long does it take?"
        return judge_views(View(0, [], step, answer=teacher), View(0, [], step, answer=student)).p_answer

    assert answer("90 minutes", "1.5 hours.") == 1.0
    assert answer("90 minutes", "90 hours") == 0.0
    assert answer("90 minutes", "90") == 1.0  # no unit contradicts
    assert answer("3 apples", "3 pears") == 1.0
