"""The format reward."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.answers.conventions import OutputFormat, write_output
from rlkd.rewards.format import format_reward

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


@pytest.mark.parametrize("output", FORMATS)
def test_exact_form_is_1_and_nothing_is_0(output: OutputFormat) -> None:
    assert format_reward(write_output("a", "7", output), output, finished=True) == 1.0
    assert format_reward("hello", output, finished=True) == 0.0


@pytest.mark.parametrize("output", FORMATS)
def test_a_cut_off_completion_earns_half_at_most(output: OutputFormat) -> None:
    assert format_reward(write_output("a", "7", output), output, finished=False) == 0.5


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>a</think>", 0.5 * (2 / 4 + 0) / 2),  # 2 of 4 tags once, no answer: 0.125
        ("<think>a</think>\\boxed{7}", 0.5 * (2 / 4 + 1) / 2),  # 2 of 4 tags once and an answer: 0.375
        ("<think><think>a</think><answer>\\boxed{7}</answer>", 0.5 * (3 / 4 + 1) / 2),  # <think> twice
    ],
)
def test_parts_of_the_thinking_form(text: str, reward: float) -> None:
    assert format_reward(text, "think_boxed", finished=True) == reward


@given(st.text(), st.sampled_from(FORMATS), st.booleans())
def test_always_between_0_and_1(text: str, output: OutputFormat, finished: bool) -> None:
    assert 0.0 <= format_reward(text, output, finished) <= 1.0
