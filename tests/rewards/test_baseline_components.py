"""Similarity and numbers: what a structure reward must beat, worked out by hand."""

from __future__ import annotations

import pytest

from rlkd.answers.conventions import read_output
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.numbers import numbers_reward
from rlkd.rewards.components.similarity import similarity_reward


def rollout(text: str, *teachers: str) -> Rollout:
    return Rollout("q", "5", text, read_output(text, "answer_line"), "answer_line", teachers=teachers)


def test_similarity_by_hand() -> None:
    teacher = "abcd\nwxyz\nAnswer: 5"
    assert similarity_reward(rollout("abcd\nwxyz\nAnswer: 5", teacher)) == 1
    assert (
        similarity_reward(rollout("abcd\nAnswer: 7", teacher)) == 0.5
    )  # one line of two; the answer is no line
    # difflib on abcd and abxx: 2 x 2 / 8 = 0.5, then 1 for the second line: (0.5 + 1) / 2.
    assert similarity_reward(rollout("abxx\nwxyz\nAnswer: 5", teacher)) == pytest.approx(0.75)
    assert (
        similarity_reward(rollout("abcd\nwxyz\nabcd\nabcd\nAnswer: 5", teacher)) == 0.5
    )  # two of four lines
    assert similarity_reward(rollout("abcd\nAnswer: 5", teacher, "abcd\nAnswer: 5")) == 1  # the best teacher
    assert similarity_reward(rollout("Answer: 5", teacher)) == 0


def test_numbers_by_hand() -> None:
    # Teacher 2, 3, 5 and student 2, 3, 3, 6: two in common, F1 = 2 x 2 / (3 + 4).
    teacher = "2 + 3 = 5\nAnswer: 5"
    assert numbers_reward(rollout("2 + 3\n3 + 6\nAnswer: 6", teacher)) == pytest.approx(4 / 7)
    assert numbers_reward(rollout("3 + 2 = 5\nAnswer: 9", teacher)) == 1  # in no order, the answer apart
    assert numbers_reward(rollout("two and three make five\nAnswer: 5", teacher)) == 1
    assert numbers_reward(rollout("none\nAnswer: 5", teacher)) == 0


def test_without_a_teacher_both_are_missing() -> None:
    assert similarity_reward(rollout("2 + 3 = 5\nAnswer: 5")) is None
    assert numbers_reward(rollout("2 + 3 = 5\nAnswer: 5")) is None
    assert numbers_reward(rollout("2\nAnswer: 5", "no number here")) is None
