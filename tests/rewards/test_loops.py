from __future__ import annotations

import pytest

from rlkd.rewards.components import Rollout, find_component
from rlkd.rewards.loops import copied_share, repeated_share


def test_lines_that_stand_before_are_repeats() -> None:
    assert repeated_share("a\nb\n a\n\na") == 0.5  # of a, b, a, a two
    assert repeated_share("a\nb") == 0.0
    assert repeated_share("") == 0.0
    assert repeated_share("need 3. need 3. need 3. need 4") == 0.5  # one line: its sentences; two of four


def test_runs_of_four_words_of_the_problem_are_copied() -> None:
    question = "Tom has two big red apples"
    assert copied_share("Tom has two big pears", question) == 0.5
    assert copied_share(question, question) == 1.0
    assert copied_share("2 + 3", question) == 0.0


def test_the_component_is_what_is_no_repeat() -> None:
    from rlkd.answers.conventions import read_output

    text = "a\nb\na\na"
    rollout = Rollout("", None, text, read_output(text, "answer_line"))
    assert find_component("repeats")(rollout) == pytest.approx(0.5)
