"""The components that read a path without its graph, worked out by hand."""

from __future__ import annotations

import pytest

from rlkd.answers.conventions import read_output
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.concise import concise_reward
from rlkd.rewards.components.numbers import numbers_reward
from rlkd.rewards.components.similarity import similarity_reward


def rollout(text: str, *teachers: str, finished: bool = True) -> Rollout:
    parsed = read_output(text, "answer_line")
    return Rollout("q", "5", text, parsed, "answer_line", finished=finished, teachers=teachers)


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


def test_concise_by_hand() -> None:
    teacher = "2 + 3 = 5\n5 - 1 = 4\nAnswer: 4"
    assert concise_reward(rollout("2 + 3 = 5\n5 - 1 = 4\nAnswer: 4", teacher)) == 1
    assert (
        concise_reward(rollout("2 + 3 - 1 = 4\nAnswer: 4", teacher)) == 1
    )  # shorter than the teacher's costs nothing
    # Two lines of the teacher's, three of the student's (an empty one is none): 2 / 3.
    wandering = "2 + 3 = 5\n\nSo Ann: Bob is missing.\n5 - 1 = 4\nAnswer: 4"
    assert concise_reward(rollout(wandering, teacher)) == pytest.approx(2 / 3)
    assert (
        concise_reward(rollout(wandering, teacher, "1 + 1 = 2\n2 + 3 = 5\n5 - 1 = 4")) == 1
    )  # the longest teacher
    assert concise_reward(rollout("2 + 3 = 5\n5 - 1", teacher, finished=False)) == 0  # cut off
    assert concise_reward(rollout("Answer: 4", teacher)) == 0  # no path


def test_without_a_teacher_all_are_missing() -> None:
    assert similarity_reward(rollout("2 + 3 = 5\nAnswer: 5")) is None
    assert numbers_reward(rollout("2 + 3 = 5\nAnswer: 5")) is None
    assert concise_reward(rollout("2 + 3 = 5\nAnswer: 5")) is None
    assert numbers_reward(rollout("2\nAnswer: 5", "no number here")) is None
