"""How completions state answers."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlkd.answers.conventions import OutputFormat, ParsedOutput, read_any, read_output, write_output

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
STATEMENTS = {
    "answer_line": "a = 3\nThe answer is 7.",
    "gsm8k": "a = 3\n#### 7",
    "boxed": "a = 3\nThe answer is \\boxed{7}.",
    "think_boxed": "<think>\na = 3\n</think>\n<answer>\n\\boxed{7}\n</answer>",
}


@pytest.mark.parametrize("output", FORMATS)
def test_reads_what_each_convention_states(output: OutputFormat) -> None:
    assert read_output(STATEMENTS[output], output) == ParsedOutput("a = 3", "7", True)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_writes_any_convention_as_any_other(source: OutputFormat, target: OutputFormat) -> None:
    assert write_output(STATEMENTS[source], "7", target) == STATEMENTS[target]


@pytest.mark.parametrize(
    ("text", "output", "answer", "well_formed"),
    [
        ("The answer is 7. So she has 7 eggs.", "answer_line", "7", False),
        ("The answer is 7.5.", "answer_line", "7.5", True),
        ("The answer is 7", "answer_line", "7", True),
        ("The answer is 6.\nThe answer is 7.", "answer_line", "7", False),  # twice
        ("Step one. The answer is 7.", "answer_line", "7", True),
        ("I think the answer is 7.", "answer_line", "7", False),  # not a sentence of its own
        ("The answer is .", "answer_line", None, False),
        ("The answer", "answer_line", None, False),
        ("#### 1,234", "gsm8k", "1,234", True),
        ("so #### 7", "gsm8k", "7", False),  # not on a line of its own
        ("#### 7\nmore", "gsm8k", "7", False),
        ("##### 7", "gsm8k", None, False),
        ("####", "gsm8k", None, False),
        ("it is \\boxed{\\frac{1}{2}}", "boxed", "\\frac{1}{2}", True),
        ("\\boxed{\\boxed{7}}", "boxed", "7", True),
        ("\\boxed{ $7$ }", "boxed", "7", True),
        ("\\boxed{6} and \\boxed{7}", "boxed", "6, 7", False),
        ("\\boxed{7", "boxed", None, False),
        ("\\boxed{\\{1, 2\\}}", "boxed", "\\{1, 2\\}", True),
        ("\\boxed{}", "boxed", None, False),
        ("\\boxedx{7}", "boxed", None, False),
        ("a</think><answer>\\boxed{7}</answer>", "think_boxed", "7", True),  # <think> was in the prompt
        ("<think>a</think>\\boxed{7}", "think_boxed", "7", False),
        ("<think>a \\boxed{7}", "think_boxed", None, False),  # cut off while thinking: nothing is stated
        ("<think>a \\boxed{6}</think><answer>7</answer>", "think_boxed", "7", False),
        ("so \\boxed{7}", "think_boxed", "7", False),
        ("x<think>a</think><answer>\\boxed{7}</answer>", "think_boxed", "7", False),
        ("<think>a</think><answer>\\boxed{7}</answer> bye", "think_boxed", "7", False),
    ],
)
def test_reading_is_tolerant_and_well_formed_is_strict(
    text: str, output: OutputFormat, answer: str | None, well_formed: bool
) -> None:
    parsed = read_output(text, output)
    assert (parsed.answer, parsed.well_formed) == (answer, well_formed)


def test_a_box_inside_a_sentence_leaves_its_content_in_the_path() -> None:
    assert read_output("9 * 2 = \\boxed{18} dollars.", "boxed").path == "9 * 2 = 18 dollars."


def test_a_line_that_only_boxes_the_answer_leaves_the_path() -> None:
    for line in (
        "**Final answer:** $\\boxed{18}$.",
        "So the answer is \\boxed{18}",
        "\\[ \\boxed{18} \\]",
        "A: \\boxed{18}",
    ):
        assert read_output(f"9 * 2 = 18\n{line}", "boxed").path == "9 * 2 = 18"


def test_unknown_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown output convention 'xml'"):
        read_output("", "xml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("She has 9 left.\n#### 18", "18"),
        ("She has 9 left.\nA: 18", "18"),
        ("She has 9 left.\nFinal answer: 18", "18"),
        ("#### Solution\nso $\\boxed{18}$", "18"),  # a heading is no statement where there is a box
        ("<think>The answer is 3. Wait.</think>It is \\boxed{18}.", "18"),
        ("She has 9 left.", None),
        ("", None),
    ],
)
def test_reads_teachers_of_any_convention(path: str, answer: str | None) -> None:
    assert read_any(path).answer == answer


def test_calculator_marks_stay_in_gsm8k_only() -> None:
    path = "He has 2*3=<<2*3=6>>6 eggs.\n#### 6"
    assert write_output(path, "6", "gsm8k") == path
    assert write_output(path, "6", "boxed") == "He has 2*3=6 eggs.\nThe answer is \\boxed{6}."


def test_a_statement_in_words_is_not_repeated() -> None:
    path = "Since 3 > 2, the answer is B.\nHe needs 8. The answer is 8.\nThe answer is 8.\n#### 8"
    assert (
        write_output(path, "8", "answer_line")
        == "Since 3 > 2, the answer is B.\nHe needs 8.\nThe answer is 8."
    )
    assert read_output(write_output(path, "8", "answer_line"), "answer_line").well_formed


def test_boxes_inside_a_path_are_opened() -> None:
    path = "so \\boxed{a \\boxed{b} c} and {d}\n#### 8"
    assert write_output(path, "8", "boxed") == "so a b c and {d}\nThe answer is \\boxed{8}."


def test_an_empty_path_is_only_the_statement() -> None:
    assert write_output("", "7", "gsm8k") == "#### 7"


PATHS = st.text(st.sampled_from("abc 123.=+\n"), max_size=60)
ANSWERS = st.from_regex(r"-?[1-9][0-9]{0,4}(\.[0-9]{1,3})?", fullmatch=True)


@pytest.mark.slow
@given(path=PATHS, answer=ANSWERS, output=st.sampled_from(FORMATS))
def test_what_is_written_reads_back(path: str, answer: str, output: OutputFormat) -> None:
    written = write_output(path, answer, output)
    parsed = read_output(written, output)
    assert (parsed.path, parsed.answer, parsed.well_formed) == (path.strip(), answer, True)
    assert write_output(written, answer, output) == written


PIECES = [
    "The answer is 3.",
    "the answer is 4",
    "#### 5\n",
    "\\boxed{6}",
    "\\boxed{",
    "}",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
]


@example("The answer is 3. the answer is 4 a b. The answer is 3.", "answer_line")
@example("The final answer is: ", "answer_line")
@example("<<1+1=2>>The answer is 3.#### 5\nThe answer is 3.", "answer_line")
@given(
    st.lists(st.sampled_from([*PIECES, "\n", " ", "a b. ", "<<1+1=2>>"]), max_size=8).map("".join),
    st.sampled_from(FORMATS),
)
def test_any_path_becomes_well_formed(path: str, output: OutputFormat) -> None:
    parsed = read_output(write_output(path, "7", output), output)
    assert (parsed.answer, parsed.well_formed) == ("7", True)


@given(text=st.text(max_size=200), output=st.sampled_from(FORMATS))
def test_no_text_is_refused(text: str, output: OutputFormat) -> None:
    parsed = read_output(text, output)
    assert parsed.answer != ""
    assert not (parsed.well_formed and parsed.answer is None)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{",
        "}{",
        "#",
        "####  ",
        "The answer is ",
        "a the answer is ",
        "<think>",
        "</think>",
        "<<",
        "\\boxed ",
        " ",
        "A: ",
        "\n",
        ".",
    ],
)
@pytest.mark.parametrize("output", FORMATS)
def test_adversarial_text_is_read_in_linear_time(unit: str, output: OutputFormat) -> None:
    # 300,000 characters: a quadratic pattern would take minutes, a linear one some milliseconds.
    text = unit * (300_000 // len(unit))
    read_output(text, output)
    read_any(text)
    assert read_output(write_output(text, "7", output), output).answer == "7"
