"""Lines and sentences: which of them state the final answer, check, or turn back."""

from __future__ import annotations

import pytest

from rlkd.structure.reading.lines import check_kind, heads_answer, split_lines, states_answer


@pytest.mark.parametrize(
    "line",
    [
        "#### 18",
        "A: 18",
        "Answer = 18",
        "Result: 18",
        "Hence the answer: 18",
        "The answer, therefore, is 18.",
        "Therefore, the final answer is 18",
        "**Final Answer:** 18",
        "So, yes.",
        "No.",
    ],
)
def test_lines_that_state_the_answer(line: str) -> None:
    assert [segment.kind for segment in split_lines(line)] == ["final"]


@pytest.mark.parametrize(
    "line", ["No cats are dogs.", "The answers add up", "A dog barks", "So the sum is 18."]
)
def test_lines_that_do_not(line: str) -> None:
    assert [segment.kind for segment in split_lines(line)] == ["step"]


def test_a_box_states_the_answer_wherever_it_stands() -> None:
    for text in (r"\boxed{18}", r"So she earns \boxed{18} dollars.", r"Thus, $\boxed{18}$."):
        assert states_answer(text, 0, len(text))


def test_headings_that_announce_the_answer() -> None:
    assert heads_answer("**Final Answer**", 0, 16)
    assert heads_answer("### Final answer", 0, 16)
    assert not heads_answer("**Final step**", 0, 14)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Let me check: 9 + 7 = 16", "check"),
        ("Verification: 9 * 2 = 18", "check"),
        ("To verify, we add", "check"),
        ("Wait, that's 13", "wait"),
        ("Hmm, no", "wait"),
        ("Actually, it is 13", "wait"),
        ("No cats are dogs", "step"),
        ("Checkers cost 5", "step"),
        ("The waiter has 5", "step"),
    ],
)
def test_checks_and_turns(text: str, kind: str) -> None:
    assert check_kind(text, 0, len(text)) == kind
