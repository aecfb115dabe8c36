"""CoQA's official normalisation, exact match and word F1, by hand."""

from __future__ import annotations

import pytest

from rlkd.answers.several import exact_match, leave_one_out, normalise, word_f1


def test_normalisation_is_the_official_one() -> None:
    assert normalise("The  Barn, an old-one!") == "barn oldone"
    assert exact_match("the barn.", ["in a barn", "Barn"]) == 1.0
    assert exact_match("in barn house", ["in a barn"]) == 0.0


def test_word_f1_by_hand() -> None:
    # "white kitten" and "white": 1 word shared, precision 1/2, recall 1/1, F1 = 2 * 0.5 / 1.5 = 2/3
    assert word_f1("a white kitten", ["White"]) == pytest.approx(2 / 3)
    # the best of several references counts
    assert word_f1("a white kitten", ["White", "the white kitten"]) == 1.0
    assert word_f1("", ["white"]) == 0.0 and word_f1("the", ["a"]) == 1.0


def test_several_references_leave_one_out() -> None:
    # leaving out "white": best with "kitten" is 0; leaving out "kitten": 1; mean 0.5
    assert leave_one_out(exact_match, "white", ["white", "kitten"]) == 0.5
    assert leave_one_out(exact_match, "white", ["white"]) == 1.0
