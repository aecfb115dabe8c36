"""What a path in words concludes, and its dates."""

from __future__ import annotations

import pytest

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.reading.path import read_calculations
from rlkd.structure.reading.words.conclusions import UNSAID, read_conclusion, same_conclusion
from rlkd.structure.reading.words.dates import find_dates, mask_dates, with_days


@pytest.mark.parametrize(
    ("path", "conclusion"),
    [
        ("Hockey is played on ice. So the answer is no.", "no"),
        ("Yes, Luke is a baseball player. He hits balls.", "yes"),
        ("Oscar is not real, so the statement is not plausible.", "no"),
        ("So it adds up.\nThe answer is (b).", "(b)"),
        ("We get 2%. The answer is (D) 9%.", "(d)"),
        ("Final answer: Is it plausible?\nThe answer is yes.", "yes"),
        ("Today is 7/28/2002. So the answer is 7/28/2002.", "2002-07-28"),
        ("Tomorrow is Jul 29, 2002, so today is Jul 28, 2002.", "2002-07-28"),
        ("Ann is Bob's sister.\nFinal Answer: [Ann] is [Cid]'s aunt.", "relation aunt ann cid"),
        ("5. Final answer: How is [Ann] related to [Cid]?\nAnn is Cid's aunt.", "relation aunt ann cid"),
        ("The answer is the Eiffel Tower.", "eiffel tower"),
        ("She has 9 eggs. The answer is 9.", ""),  # a number is for the last calculation to say
        ("The answer is 9 eggs.", ""),
        ("#### no", "no"),
        ("It is not known.", ""),
        ("", ""),
    ],
)
def test_what_a_path_concludes(path: str, conclusion: str) -> None:
    assert read_conclusion(path) == conclusion


def test_a_path_that_calculates_concludes_where_it_says_another_thing_than_a_number() -> None:
    assert decompose_text("9 * 2 = 18\nThe answer is 18.").conclusion == ""
    assert decompose_text("9 * 2 = 18\nSo the answer is (b).").conclusion == "(b)"
    assert decompose_text("The answer is yes.").conclusion == ""  # a bare answer is no path


@pytest.mark.parametrize(
    ("teacher", "student", "same"),
    [
        ("no", "no", 1.0),
        ("no", "yes", 0.0),
        ("no", "", UNSAID),
        ("", "yes", 1.0),  # the teacher concludes nothing
        ("2002-07-28", "2002-07-28", 1.0),
        ("2002-07-28", "0000-07-28", 1.0),  # the year goes without saying
        ("2002-07-28", "2003-07-28", 0.0),
        ("relation mother ann bob", "relation son bob ann", 1.0),
        ("relation mother ann bob", "relation aunt ann bob", 0.0),
    ],
)
def test_the_same_conclusion(teacher: str, student: str, same: float) -> None:
    assert same_conclusion(teacher, student) == same


def test_dates_in_prose() -> None:
    text = "From Jul 28, 2002 to 7/30/2002, or 2002-08-01, the 2nd of May"
    assert [day for _, _, day in find_dates(text)] == ["2002-07-28", "2002-07-30", "2002-08-01", "0000-05-02"]
    assert with_days("Today is 5/3/2021.") == "Today is 2021-05-03."
    assert mask_dates("on 5/3/2021.") == "on dddddddd."
    assert [day for _, _, day in find_dates("13/40/2021, 1/2 and 10/20")] == []


def test_no_calculation_is_read_off_a_date() -> None:
    assert read_calculations("10 days before 02/29/2016 is 02/19/2016.") == []
    [only] = read_calculations("On June 1, 2021 she had 3 + 4 = 7 eggs.")
    assert (only.operands, only.value) == ((3.0, 4.0), 7.0)
