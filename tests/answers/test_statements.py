"""Where a text states its final answer, in whatever form."""

from __future__ import annotations

import pytest

from rlkd.answers.clean import clean_answer
from rlkd.answers.conventions import read_any, read_output

STATED = [
    ("**Answer:** 12", "12"), ("**Final Answer:** 12", "12"), ("**Final Answer: 12**", "12"), ("## Answer\n12", "12"), ("### Answer:\n\n12", "12"),
    ("- Answer: 12", "12"), ("> Answer: 12", "12"), ("__Answer:__ 12", "12"), ("`Answer: 12`", "12"), ("FINAL ANSWER: 12", "12"), ("Answer\n12", "12"),
    ("The correct answer is 12.", "12"), ("The answer is\n12", "12"), ("The answer is:\n\n**12**", "12"), ("The answer is: \\[12\\]", "12"),
    ("The answer is\n\\[\n12\n\\]", "12"), ("**Final Answer**\n\n$$7$$", "7"), ("\\[12\\]", "12"), ("$$12$$", "12"), ("\\boxed 12", "12"), ("\\framebox{12}", "12"),
    ("<think>x \\boxed{3}</think>\n<answer>12</answer>", "12"), ("<think>x</think>\nThe answer is 12.", "12"), ("<think>x</think>\n12", "12"),
    ("<answer>The answer is 12.</answer>", "12"), ("The answer is Option B", "Option B"), ("Option B", "Option B"), ("The correct option is (B).", "(B)"),
    ("Correct Answer: (C)", "(C)"), ("A: 12", "12"), ("#### 12", "12"), ("The answer to the question is 12.", "12"), ("The answer, then, is 12.", "12"),
    ("Hence the required answer is 12.", "12"), ("The answer must be 12.", "12"),
    ("\\boxed{5}\nWait.\n\nAnswer: D", "D"), ("The answer is not obvious, so let us compute.\n#### 7", "7"), ("The answer is 5.\nNo: the answer is 6.", "6"),
    ("The answer is 7.\nCheck: 3+4=7, so the answer is correct.", "7"), ("\\boxed{7}\nThe answer is in dollars.", "7"), ("\\boxed{7}\n\nI hope this helps.", "7"),
    ("The answer is 12. Let me know if you need more help!", "12"), ("Answer: Yes\nExplanation: because 3 < 4.", "Yes"),
    ("So the solutions are \\boxed{1} and \\boxed{2}.", "1, 2"), ("x=\\boxed{1} or x=\\boxed{2}", "1, 2"), ("The final answer is 7. \\boxed{7}", "7"),
    ("The answer is Dr. Lee.", "Dr. Lee"), ("The answer is St. Louis.", "St. Louis"), ("The answer is J. K. Rowling.", "J. K. Rowling"),
    ("The answer is 3:30 p.m.", "3:30 p.m"), ("The answer is 12.5.", "12.5"), ("The answer is $1,200.50.", "$1,200.50"), ("The answer is A. Because 3 > 2.", "A"),
    ("What is the answer? We do not know.", None), ("I wonder what the answer is.", None), ("<think>hm 12", None), ("We get 12.", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize("before", ["", "3 + 4 = 7.\n"])
@pytest.mark.parametrize(("text", "answer"), STATED)
def test_the_statement_that_counts(text: str, answer: str | None, before: str) -> None:
    found = read_any(before + text).answer
    assert (None if found is None else clean_answer(found)) == answer


@pytest.mark.parametrize("output", ["answer_line", "gsm8k", "boxed"])
@pytest.mark.parametrize(
    "text", ["3 + 4 = 7.\n**Answer:** 7", "3 + 4 = 7.\n\\boxed{7} is it.", "3 + 4 = 7.\nso #### 7"]
)
def test_another_form_counts_but_is_not_well_formed(text: str, output: str) -> None:
    parsed = read_output(text, output)  # type: ignore[arg-type]
    assert parsed.answer == "7"
    assert parsed.path.startswith("3 + 4 = 7.")


@pytest.mark.parametrize(
    "unit",
    [
        "The answer is ",
        "Answer: ",
        "**Answer",
        "<answer>",
        "\\boxed ",
        "Answer\n\n",
        "answer is:\n",
        "a. ",
        "the answer to the ",
    ],
)
@pytest.mark.parametrize("size", [30_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_hostile_text_is_read_in_linear_time(unit: str, size: int) -> None:
    # of 300,000 characters a quadratic pattern would take minutes
    found = read_any(unit * (size // len(unit)))
    assert not found.well_formed
    assert len(found.answer or "") <= 2000  # an answer is cut, however much stands behind its statement
