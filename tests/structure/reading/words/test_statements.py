"""Statements in words: what they are about, and whether they agree."""

from __future__ import annotations

import pytest

from rlkd.structure.reading.words.statements import SAME_DAY, compare_statements


@pytest.mark.parametrize(
    ("a", "b", "about", "agrees"),
    [
        ("Luke is a baseball player.", "So Luke is a hockey player.", 0.8, 0.0),
        ("Frost forms in winter.", "Frost never forms in winter.", 1.0, 0.0),  # a denial
        # words: khan, caesa(r), three, childr(en) and one other name; 2.5 * 2*2/6 * 2/3 = 1.11
        ("Khan had three children", "Caesar had three children", 1.0, 1.0),
        # No name in common: 0.3 of 1.
        ("In all, Khan had three children", "In all, Caesar had three children", 0.3, 0.3),
        # need and two names each: 2.5 * 2*1/6 * 1/2 = 0.417, of which 0.3 is left.
        ("I need Sue and Dan.", "I need Tom and Hal.", pytest.approx(0.125), 0.3),
        ("", "Khan had three children", 0.0, 0.0),
    ],
)
def test_about_and_agreement(a: str, b: str, about: float, agrees: float) -> None:
    assert compare_statements(a, b) == (about, agrees)


def test_words_of_the_problem_say_little() -> None:
    a, b = "Pandas eat bamboo daily.", "Pandas sleep outside often."
    # one word of four and of four in common: 2.5 * 2 * 1 / 8 * 1/2 = 0.3125; one that the problem holds weighs a quarter:
    # 2.5 * 2 * 0.25 / (3.25 + 3.25) * 1/2 = 0.096
    assert compare_statements(a, b).about == pytest.approx(0.3125)
    assert compare_statements(a, b, "Can pandas dance?").about == pytest.approx(0.0962, abs=1e-4)


def test_statements_of_one_date_agree_and_of_two_do_not() -> None:
    one = "Today is two days before the deadline, which is 05/30/2021."
    same = compare_statements(one, "Ann said to Bob that it must be May 30, 2021 now.")
    assert same.about >= SAME_DAY and same.agrees == 1.0
    assert compare_statements(one, "Ann said to Bob that it must be May 31, 2021 now.").agrees == 0.0
