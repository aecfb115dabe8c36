"""Amounts in different units."""

from __future__ import annotations

import pytest

from rlkd.quantities.amounts import same_measure
from rlkd.structure.judges.rules import judge_steps
from schemas.structure import ReasoningStep


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
        ("500 ml", "504 ml", False),  # whole numbers exactly, as without units
        ("1999 cents", "2000 cents", False),
        ("1999 cents", "$20", False),  # 2,000 cents
        ("501 miles", "500 miles", False),
        ("3.333 hours", "200 minutes", True),  # 199.98 minutes, up to rounding
        ("5 m/s", "5 m", False),
        ("60 miles per hour", "60 miles", False),
        ("1 hour 30 minutes", "1 hour", False),
        ("$1.5 million", "$1.5", False),
        ("$5 cents", "$5", None),  # contradicts itself
        ("1 foot", "30.48 cm", True),  # 12 x 2.54 cm
        ("36 km/h", "10 m/s", True),  # 36,000 m in 3,600 s
        ("60 mph", "60 miles per hour", True),
        ("2 square feet", "288 sq. in", True),  # 2 x 144
        ("1 hour and 30 minutes", "90 minutes", True),
        ("31 dollars and 50 cents", "$31.50", True),
        ("5 ft 3 in", "63 inches", True),  # 5 x 12 + 3
        ("20 °C", "68 °F", True),  # 20 x 9 / 5 + 32
        ("20 °C", "20 °F", False),
        ("€3", "$3", False),
        ("2 liters", "2000 cm^3", True),
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
        steps = [
            ReasoningStep(index=0, sub_problem="How long does it take?", answer=said)
            for said in (teacher, student)
        ]
        return judge_steps(*steps).p_answer

    assert answer("90 minutes", "1.5 hours.") == 1.0
    assert answer("90 minutes", "90 hours") == 0.0
    assert answer("90 minutes", "90") == 1.0  # no unit contradicts
    assert answer("3 apples", "3 pears") == 1.0
