from __future__ import annotations

import pytest

from rlkd.structure.reading.words.own_answer import is_own_answer

BONY = "Every cat is an animal. Animals are not bony. Tom is a cat. True or false: Tom is bony."


@pytest.mark.parametrize(
    ("stated", "said", "last", "problem", "own"),
    [
        ("out", "", "in", "Is Una in or out?", False),
        ("In.", "", "in", "Is Una in or out?", True),
        ("Tom is a lempus.", "", "Tom is a scrompus.", "Is Tom a lempus or scrompus?", False),
        ("Tom is a lempus.", "", "Tom is a lempus.", "Is Tom a lempus or a scrompus?", True),
        ("red", "", "It is blue.", "Is it red, green, or blue?", False),
        ("red", "", "It is not blue.", "Is it red, green, or blue?", None),  # red or green
        ("red", "", "It is blue or green.", "Is it red, green, or blue?", None),
        ("in", "", "in", "", None),  # nobody asked which of the two
        ("False", "", "Tom is not bony.", BONY, True),
        ("True", "", "Tom is not bony.", BONY, False),
        ("no", "", "Tom is an animal.", BONY, None),  # of something else
        ("no", "", "Rex is bony.", BONY, None),  # of somebody else
        ("yes", "", "Tom is not an animal.", "Is Tom an animal?", False),
        ("no", "", "Tom is not an animal.", "Is Tom an animal?", True),
        ("yes", "no", "", "", False),  # "So it is not. No." before "The answer is yes."
        ("(b)", "(b)", "So", "", True),
        ("(b)", "(c)", "So", "", False),
        ("(b)", "no", "So", "", None),
        ("2002-07-28", "2002-07-27", "", "", None),  # the day before may be a step
        ("9", "", "8", "When does Una come?", False),
        ("9.", "", "9", "When does Una come?", True),
        ("9", "", "8 eggs are left", "", None),  # a sentence, no result
        ("9", "", "", "", None),
    ],
)
def test_the_stated_answer_and_what_the_path_finds(
    stated: str, said: str, last: str, problem: str, own: bool | None
) -> None:
    assert is_own_answer(stated, said, last, problem=problem) is own
