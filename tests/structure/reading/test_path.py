"""Steps are read off a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.reading.path import check_kind, heads_answer, read_path, split_lines, states_answer


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


def texts(path: str) -> list[str]:
    return [path[s.start : s.end] for s in read_path(path)]


def test_lines_are_steps_and_the_stated_answer_is_none() -> None:
    path = "She sells 16 - 3 = 13 eggs.\nShe makes 13 * 2 = 26 dollars.\n#### 26"
    assert texts(path) == ["She sells 16 - 3 = 13 eggs.", "She makes 13 * 2 = 26 dollars."]


@pytest.mark.parametrize(
    "line",
    [
        "A: 18",
        "#### 18",
        "Answer = 18",
        "The answer is 18.",
        "So the final answer is: 18",
        "**Final Answer:** 18",
        "**Final Answer**\n18",
        "### Final answer\n\\[\\boxed{18}\\]",
        "\\boxed{18}",
        "$\\boxed{18}$",
        "Thus, $\\boxed{18}$.",
        "So she earns \\boxed{18} dollars.",
        "Hence the answer: 18",
        "Result: 18",
    ],
)
@pytest.mark.parametrize("joint", ["\n", ". "])
def test_statements_of_the_answer_are_not_read(line: str, joint: str) -> None:
    if joint == ". " and line[0] in "A#*R" and line[:2] != "An":
        return  # a label needs a line of its own
    (step,) = decompose_text(f"She earns 2 + 16 = 18 dollars{joint}{line}").steps
    assert [c.text for c in step.calculations] == ["2+16=18"]
    assert step.sub_problem.rstrip(".") == "She earns 2 + 16 = 18 dollars"


@pytest.mark.parametrize("end", ["So the answer is yes.", "\\boxed{yes}", "Answer: yes", "So, yes."])
def test_statements_of_the_answer_in_words_are_not_read(end: str) -> None:
    path = f"Cats are mammals with fur. Mammals are warm-blooded animals. So cats are warm. {end}"
    assert texts(path)[-1] == "So cats are warm."
    assert len(texts(path)) == 3


def test_a_boxed_result_of_a_calculation_is_read() -> None:
    (step,) = decompose_text(r"So she earns 9 * 2 = \boxed{18}.").steps
    assert [c.text for c in step.calculations] == ["9*2=18"]


def test_an_answer_line_that_calculates_is_a_step() -> None:
    assert texts("So the answer is 9 * 2 = 18 dollars.") == ["So the answer is 9 * 2 = 18 dollars."]


def test_sentences_with_calculations_are_steps_of_their_own() -> None:
    path = "First, 3 + 4 = 7 eggs are used. Mr. Smith keeps the rest. That leaves 16 - 7 = 9 eggs. They sell for 9 * 2 = 18."
    assert texts(path) == [
        "First, 3 + 4 = 7 eggs are used.",
        "Mr. Smith keeps the rest. That leaves 16 - 7 = 9 eggs.",
        "They sell for 9 * 2 = 18.",
    ]


def test_headings_bullets_questions_and_checks() -> None:
    path = (
        "<think>\n## Step 1: Eggs used\n- 3 + 4 = 7\nHow many are left?\n1. 16 - 7 = 9\n"
        "Wait, let me check: 9 + 7 = 16.\n</think>\nThe answer is 9."
    )
    steps = decompose_text(path).steps
    assert [s.answer for s in steps] == ["7", "9", "16"]
    assert [s.kind for s in steps] == ["step", "step", "check"]
    assert steps[0].meta == "## Step 1: Eggs used"
    assert steps[1].sub_problem == "How many are left?"


def test_meta_reasoning_sub_problem_answer_and_dependencies() -> None:
    path = "Since each egg costs 2, she earns 9 * 2 = 18 dollars.\nShe then has 18 + 5 = 23 dollars."
    first, second = decompose_text(path, problem="An egg costs 2. She has 5.").steps
    assert (first.meta, first.sub_problem) == ("Since each egg costs 2", "she earns 9 * 2 = 18 dollars.")
    assert (first.answer, first.quantities, first.operation) == ("18 dollars", ("9", "2"), "*")
    assert second.depends_on == (0,)
    assert path[second.start : second.end] == "She then has 18 + 5 = 23 dollars."


def test_claims_in_words_are_steps() -> None:
    path = (
        "Genghis Khan had sixteen children.\nJulius Caesar had three children.\nSixteen is more than three."
    )
    steps = decompose_text(path).steps
    assert [s.answer for s in steps] == path.split("\n")


def test_a_number_that_the_problem_states_and_a_result_that_is_used_stay_apart() -> None:
    # 5 is given and also the result of step 0, which step 1 uses; step 2 uses the given 5
    path = "10 / 2 = 5\n5 + 1 = 6\n6 * 5 = 30"
    steps = decompose_text(path, problem="There are 5 and 10 and 2 and 1.").steps
    assert [s.depends_on for s in steps] == [(), (0,), (1,)]


@given(st.text(max_size=300))
def test_spans_are_ordered_and_inside(text: str) -> None:
    steps = read_path(text)
    position = 0
    for step in steps:
        assert position <= step.start < step.end <= len(text)
        position = step.end
    assert all(s.start < s.end for s in split_lines(text))


@given(st.text(max_size=300))
def test_any_text_makes_a_valid_structure(text: str) -> None:
    structure = decompose_text(text, problem=text)
    assert [s.index for s in structure.steps] == list(range(len(structure.steps)))


def test_long_paths_are_cut() -> None:
    assert len(read_path("3 + 4 = 7\n" * 1000)) == 256
    assert len(read_path("3 + 4 = 7\n" * 1000, max_chars=100)) == 10
