r"""Which statement counts where thoughts, remarks and weak statements stand around it.

Each row is a text and the answer that is read; what the remark names must never win over what is stated.
"""

from __future__ import annotations

import pytest

from rlkd.answers.conventions import OutputFormat, read_any, read_output, write_output
from rlkd.answers.equal import answers_equal

CUT_OFF = [
    "<think>work \\boxed{7}", "<think>\nThe answer is 7.", "<think>a = 3\n#### 7", "<think>\\boxed{7}</think>", "<think>#### 7\n</think>\n",
    "<think>The answer is 7.</think>", "a</think>\n", "<think>a</think> hm <think>\n\\boxed{7}", "a <think>b</think> The answer is 7. <think>The answer is 7.",
]  # fmt: skip


@pytest.mark.parametrize("output", ["boxed", "answer_line", "gsm8k", "think_boxed", None])
@pytest.mark.parametrize("text", CUT_OFF)
def test_thoughts_state_nothing(text: str, output: OutputFormat | None) -> None:
    parsed = read_any(text) if output is None else read_output(text, output)
    assert (parsed.answer, parsed.well_formed) == (None, False)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("<think>\\boxed{6}</think>\\boxed{7}", "boxed"),
        ("<think>The answer is 6.</think>The answer is 7.", "answer_line"),
        ("<think>a\n#### 6</think>\n#### 7", "gsm8k"),
    ],
)
def test_what_follows_the_thoughts_is_read_by_the_letter(text: str, output: OutputFormat) -> None:
    parsed = read_output(text, output)
    assert (parsed.answer, parsed.well_formed) == ("7", True)
    assert "a" not in parsed.path or "6" in parsed.path


@pytest.mark.parametrize("output", ["boxed", "answer_line", "gsm8k"])
def test_a_path_that_is_written_anew_has_no_open_thought(output: OutputFormat) -> None:
    parsed = read_output(write_output("<think>3 + 4 = 7", "7", output), output)
    assert (parsed.path, parsed.answer, parsed.well_formed) == ("3 + 4 = 7", "7", True)


STAYS_8 = [
    "\\boxed{8}\nThe answer is even.", "The answer is 8.\nThe answer is a whole number, which makes sense.", "The answer is 8. The answer is positive (as it must be).",
    "Answer: **8**\n\n**Explanation:** the answer is the sum of 3 and 5", "#### 8\nThe answer is a multiple of 4.", "\\boxed{8}\nThe answer is divisible by 7.",
    "The answer is 8. The answer is not 7.", "The answer is 8. The answer is less than 10.", "Answer: 8\nThe answer is never 7.", "#### 8\nThe answer is no longer 7.",
    "The answer is 8. A common wrong answer is 7.", "#### 8\nThe wrong answer is 7", "The final answer is 8. My first answer was 7.", "\\boxed{8} (not \\boxed{7})",
    "The answer is 8. The incorrect answer is 7.", "The answer is 8. The student's answer was 7.", "The answer is 8. Her answer is 7.", "The answer is 8. An earlier answer was 7.",
    "Answer: 8\nCommon wrong answer: 7", "Answer: 8\nThe student's answer: 7", "$\\boxed{8}$, not $\\boxed{7}$.", "\\boxed{8}, rather than \\boxed{7}", "\\boxed{8}. A wrong answer would be \\boxed{7}.",
    "The answer is 8. If we forgot the carry, the answer would be 7.", "The answer is 8. Some people might say the answer is 7.", "The answer is 8. It is tempting to say that the answer is 7.",
    "\\boxed{8}\nThe answer isn't \\boxed{7}.", "The answer is 8. One naive answer is 7.", "\\boxed{8}. My original answer, \\boxed{7}, was wrong.", "\\boxed{8}\nMy first guess was \\boxed{7}.", "The answer is 8. Tom says the answer is 7.",
    "\\boxed{8}\nThe answer is one of the factors.", "\\boxed{8}\nThe answer is 1 more than 7.", "\\boxed{8}\nThe answer is twice 4.", "The answer is 8. The answer was 7 before I found my mistake.",
]  # fmt: skip
BECOMES_7 = [
    "The answer is 8. Wait, no. The answer is 7.", "\\boxed{8}\nI was wrong, the answer is 7.", "\\boxed{8} is wrong. \\boxed{7}", "The answer is 8. The corrected answer is 7.",
    "Answer: 8\nThe answer is about 7.", "#### 8\nNo: the answer is x = 7.", "The answer is 8. Hmm, the answer should be 7.", "The answer is even. The answer is 7.", "The answer is 8. The answer is 7 eggs.",
    "The answer is 8. No, the answer is seven.", "The answer is 8. No: the final numerical answer is 7.", "The answer is 8. Wait, the answer would be 7.", "The exact answer is 7.", "Our final answer is 7.",
    "The answer is 8. Wait, the answer is not 8. The answer is 7.", "The answer is 8. Wait, the answer is not 8 but 7.", "The answer is not 8, but rather 7.",
]  # fmt: skip


@pytest.mark.parametrize("text", STAYS_8)
def test_a_remark_replaces_no_answer(text: str) -> None:
    for end in ("", "\n"):
        assert answers_equal("8", read_any(text + end).answer or "") is True


@pytest.mark.parametrize("text", BECOMES_7)
def test_a_correction_counts(text: str) -> None:
    assert answers_equal("7", read_any(text).answer or "") is True


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is even.", "even"), ("Answer: red\nNo, the answer is blue.", "blue"), ("The answer is 8. Wait, the answer is Monday.", "Monday"), ("The answer is Alice.", "Alice"),
        ("The answer is 8. No: the answer is no solution.", "no solution"), ("The answer is yes.", "yes"), ("\\boxed{8}\nThe answer is May 6, 2020.", "May 6, 2020"), ("Answer: 8\nNo: the answer is on May 6, 2020.", "May 6, 2020"),
    ],
)  # fmt: skip
def test_words_count_where_nothing_better_is_said(text: str, answer: str) -> None:
    assert answers_equal(answer, read_any(text).answer or "") is True


@pytest.mark.parametrize(
    "text",
    [
        "The wrong answer is 7.",
        "The answer is not \\boxed{7}.",
        "Wrong answer: 7",
        "The answer is not 7.",
        "The incorrect answer is 7",
    ],
)
def test_what_is_denied_is_no_answer(text: str) -> None:  # fmt: skip
    for output in ("boxed", "answer_line", "gsm8k", "think_boxed"):
        assert answers_equal("7", read_output(text, output).answer or "") is not True  # type: ignore[arg-type]


@pytest.mark.parametrize("output", ["boxed", "answer_line", "gsm8k", "think_boxed"])
@pytest.mark.parametrize("answer", ["Alice", "even", "yes"])
def test_words_are_written_into_a_path_with_numbers(answer: str, output: OutputFormat) -> None:
    path = "First \\boxed{6} eggs.\n#### 5\nThen \\boxed{8} and so on.\nThe answer is 7.\n#### 8"
    parsed = read_output(write_output(path, answer, output), output)
    assert (parsed.answer, parsed.well_formed) == (answer, True)


FOUND = [
    ("Option B is correct.", "B"), ("Hence, option (B) is correct.", "B"), ("Answer choice B is correct.", "B"), ("B is correct.", "B"), ("So (B) is right.", "B"), ("Therefore, choice B is the correct one.", "B"),
    ("Option A is wrong. Option B is correct. I hope this helps.", "B"), ("**B** is correct.", "B"),
    ("The solution is 7", "7"), ("The final result is 7.", "7"), ("Final result: 7", "7"), ("**Final result:** 7", "7"), ("The final solution is x = 7.", "7"), ("So the result is 7.", "7"),
    ("The solution is 7. Well done!", "7"), ("The final result is 7.\nLet me know.", "7"),
    ("The answer is indeed 7.", "7"), ("The answer is then 7.", "7"), ("The answer is still 7.", "7"), ("The answer is definitely yes.", "yes"), ("The answer is clearly no.", "no"),
    ("The answer is 7!!!", "7"), ("The answer is 7!!", "7"), ("The answer is **7**!!!", "7"), ("Answer: 7!!!", "7"), ("5! = 120. The answer is 120!!!", "120"), ("The answer is certainly 7.", "7"),
    ("The answer is thus 7.", "7"), ("The answer is, of course, 7.", "7"), ("The answer is still $7$.", "7"),
]  # fmt: skip
NOT_FOUND = [
    "The solution is simple.", "The solution is to add.", "The solution is to add 3 and 4.", "The result is a surprise.", "The final result is easy to see.", "If option B is correct, then we stop.",
    "Option B is not correct.", "Option B is incorrect.", "The result is 7. Then 7 * 2 = 14 eggs are left.", "Is option B is correct?", "The solution is 7. So the perimeter is 12.", "The method is correct.",
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), FOUND)
def test_further_statements_are_found(text: str, answer: str) -> None:
    assert answers_equal(answer, read_any("3 + 4 = 7.\n" + text).answer or "") is True


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_states_no_value_is_no_statement(text: str) -> None:
    assert read_any(text).answer is None
