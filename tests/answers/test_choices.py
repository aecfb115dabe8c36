"""Which option an answer names: by its label, its text, or both."""

from __future__ import annotations

import pytest

from rlkd.answers.choices import choice_equal

HOURS = {"A": "3 hours", "B": "4 hours", "C": "5 hours", "D": "6 hours"}
NUMBERS = {"A": "21", "B": "4", "C": "1/2", "D": "blue"}
NAMES_B = [
    "B", "(B)", "b", "B.", "Option B", "4 hours", "240 minutes", "\\text{B}", "\\textbf{(B)}", "$\\text{(B)}$", "\\(B\\)", "（B）", "Ｂ", "`B`", "[B]", "**B)** 4 hours", "B: 4 hours",
    "B - 4 hours", "B (4 hours)", "4 hours (B)", "B, because 2 + 2 = 4", "B is correct", "B, 4 hours", "Option B: 4 hours", "(B) 4 hours", "B) 240 minutes", "B because it takes four hours",
    "Option B is the correct answer", "B is the right choice, since 2 + 2 = 4", "4 hours (option B)", "4 hours, which is option B", "B. 4 hours, because 2 + 2 = 4", "indeed B", "B — 4 hours", "$B$", "**(B)** because 2 + 2 = 4",
    "the answer is B", "B as shown above", "B ($4$ hours)", "\\mathrm{B}", "\\boxed{B}", "B!", "letter B", "B; 4 hours", "B. The trip takes 4 hours.",
]  # fmt: skip
NOT_B = [
    "A", "(A)", "C", "3 hours", "B or C", "A and B", "B, C", "B) 5 hours", "(B) 3 hours", "B (5 hours)", "5 hours (B)", "4 hours (C)", "4 hours (option C)", "Option C. 4 hours", "C: 4 hours", "C - 4 hours", "C, 4 hours",
    "not B", "B is incorrect", "B is not correct", "B, because C is wrong", "B, or maybe C", "A, because it is not B", "B is wrong", "B, but also C", "Bob", "B is correct or C is", "C (4 hours)", "B 5 hours", "A is correct",
    "B and 3 hours", "B / C", "C because it takes 4 hours", "4 hours, which is option C", "\\text{C}", "neither B", "E", "", "B - 5 hours", "B: 4 or 5 hours", "B, because it could be 3 hours or 4 hours",
]  # fmt: skip


@pytest.mark.parametrize("answer", NAMES_B)
def test_the_right_option(answer: str) -> None:
    assert choice_equal("B", answer, HOURS) is True
    assert choice_equal("A", answer, HOURS) is False


@pytest.mark.parametrize("answer", NOT_B)
def test_another_option_or_none(answer: str) -> None:
    assert choice_equal("B", answer, HOURS) is not True


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("A", "(A) \\$21", True), ("A", "A) 21.0", True), ("A", "A) 21", True), ("C", "C) \\frac{1}{2}", True), ("C", "0.5", True), ("B", "B: 4", True), ("D", "D. Blue", True),
        ("B", "B - 4", True), ("A", "Option B. 21", False), ("A", "B) 21", False), ("C", "C) \\frac{1}{3}", False), ("B", "A: 4", False), ("A", "21 (B)", False), ("C", "C, 1/3", False),
    ],
)  # fmt: skip
def test_the_rest_is_compared_with_the_text_of_the_option(reference: str, answer: str, verdict: bool) -> None:
    assert choice_equal(reference, answer, NUMBERS) is verdict


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("a dog", "B"),
        ("A dog", "B"),
        ("a for-loop", "C"),
        ("A", "A"),
        ("A cat", "A"),
        ("A, because it purrs", "A"),
        ("B, it is 4", "B"),
    ],
)
def test_an_article_is_no_label(answer: str, reference: str) -> None:  # fmt: skip
    choices = {"A": "cat", "B": "dog", "C": "for-loop", "D": "4"}
    assert choice_equal(reference, answer, choices) is (answer != "B, it is 4")
    assert choice_equal("D", answer, choices) is False


def test_a_label_that_is_the_text_of_another_option_counts_as_label() -> None:
    choices = {"A": "3", "B": "4", "C": "1", "D": "a cat"}
    assert choice_equal("C", "1", choices) is True
    assert choice_equal("D", "a cat", choices) is True
    assert choice_equal("A", "a cat", choices) is False
    assert choice_equal("2", "2", {"1": "2", "2": "1"}) is True
    assert choice_equal("2", "(2) 1", {"1": "2", "2": "1"}) is True


@pytest.mark.parametrize(
    ("answer", "reference"),
    [("ab + ac", "A"), ("a(b + c)", "A"), ("(b)(c)", "B"), ("B - 4", "C"), ("a (b+c)", "A")],
)
def test_a_formula_is_no_label(answer: str, reference: str) -> None:  # fmt: skip
    choices = {"A": "a(b+c)", "B": "bc", "C": "B - 4", "D": "7"}
    assert choice_equal(reference, answer, choices) is True
