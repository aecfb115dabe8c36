"""Verification and back-tracking."""

from __future__ import annotations

import pytest

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.scorer import score_paths


def kinds(path: str) -> list[tuple[str, str]]:
    """Kind and answer of each step."""
    return [(step.kind, step.answer) for step in decompose_text(path).steps]


def test_a_corrected_step_is_taken_back() -> None:
    path = "She has 16 - 3 = 12. Wait, let me check: 16 - 3 = 13. 13 - 4 = 9."
    assert kinds(path) == [("retracted", "12"), ("step", "13"), ("step", "9")]


def test_a_value_alone_corrects_too() -> None:
    steps = decompose_text("16 - 3 = 12. Wait, that's 13. 13 - 4 = 9.").steps
    assert [(s.kind, tuple(c.text for c in s.calculations)) for s in steps] == [
        ("retracted", ("16-3=12",)),
        ("step", ("16-3=13",)),
        ("step", ("13-4=9",)),
    ]
    assert steps[2].depends_on == (1,)


def test_what_was_built_on_it_is_taken_back_as_well() -> None:
    path = "16 - 3 = 12\n12 * 2 = 24\n5 + 5 = 10\nWait, 16 - 3 = 13\n13 * 2 = 26"
    assert [kind for kind, _ in kinds(path)] == ["retracted", "retracted", "step", "step", "step"]


@pytest.mark.parametrize(
    "said", ["that's wrong", "that is not right", "I made a mistake", "that can't be right", "scratch that"]
)
def test_words_take_back_the_last_step(said: str) -> None:
    assert kinds(f"16 + 3 = 19.\nWait, {said}.\n16 - 3 = 13.")[0] == ("retracted", "19")


@pytest.mark.parametrize("said", ["that's right", "that seems correct", "is that all"])
def test_doubts_that_come_to_nothing_take_nothing_back(said: str) -> None:
    assert kinds(f"16 - 3 = 13.\nWait, {said}.\n13 - 4 = 9.")[0] == ("step", "13")


def test_checks_find_nothing_new_and_second_thoughts_may() -> None:
    assert kinds("9 * 2 = 18\nVerification: 18 / 2 = 9") == [("step", "18"), ("check", "9")]
    # 11 is new, but the check comes back to 18
    assert kinds("9 * 2 = 18\nLet me check: 18 - 7 = 11, and 11 + 7 = 18")[1] == ("check", "18")
    assert kinds("16 - 3 = 13\nWait, the muffins: 13 - 4 = 9") == [("step", "13"), ("step", "9")]
    assert kinds("9 * 2 = 18\nLet me verify. It is 18 / 2 = 9.")[1] == ("check", "9")


def test_a_section_of_checks() -> None:
    path = "16 - 7 = 9\n**Verification:**\n9 + 7 = 16\n16 - 9 = 7\n\nThen 9 * 2 = 18"
    assert [kind for kind, _ in kinds(path)] == ["step", "check", "check", "step"]


def test_a_corrected_path_scores_as_the_right_one() -> None:
    problem, teacher = "16 eggs, 3 eaten, 4 baked, $2 each", "16 - 3 = 13\n13 - 4 = 9\n9 * 2 = 18"
    right = score_paths(problem, [teacher], teacher)
    mended = score_paths(problem, [teacher], "16 - 3 = 12. Wait, that's 13.\n13 - 4 = 9\n9 * 2 = 18")
    left = score_paths(problem, [teacher], "16 - 3 = 12\n13 - 4 = 9\n9 * 2 = 18")
    assert right is not None and mended is not None and left is not None
    assert right.structure >= mended.structure > 0.95 > left.structure
