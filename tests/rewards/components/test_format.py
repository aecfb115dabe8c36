"""The format reward."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.answers.conventions import OutputFormat, read_output, write_output
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.format import format_reward


def reward_of(text: str, output: OutputFormat, finished: bool) -> float | None:
    return format_reward(Rollout("", None, text, read_output(text, output), output, finished=finished))


FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


@pytest.mark.parametrize("output", FORMATS)
def test_exact_form_is_1_and_nothing_is_0(output: OutputFormat) -> None:
    assert reward_of(write_output("a", "7", output), output, finished=True) == 1.0
    assert reward_of("hello", output, finished=True) == 0.0


@pytest.mark.parametrize("output", FORMATS)
def test_a_cut_off_completion_earns_half_at_most(output: OutputFormat) -> None:
    assert reward_of(write_output("a", "7", output), output, finished=False) == 0.5


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>a</think>", 0.5 * (2 / 4 + 0) / 2),  # 2 of 4 tags once, no answer: 0.125
        ("<think>a</think>\\boxed{7}", 0.5 * (2 / 4 + 1) / 2),  # 2 of 4 tags once and an answer: 0.375
        ("<think><think>a</think><answer>\\boxed{7}</answer>", 0.5 * (3 / 4 + 1) / 2),  # <think> twice
    ],
)
def test_parts_of_the_thinking_form(text: str, reward: float) -> None:
    assert reward_of(text, "think_boxed", finished=True) == reward


@given(st.text(), st.sampled_from(FORMATS), st.booleans())
def test_always_between_0_and_1(text: str, output: OutputFormat, finished: bool) -> None:
    found = reward_of(text, output, finished)
    assert found is not None
    assert 0.0 <= found <= 1.0


def test_without_an_asked_form_there_is_no_format_term() -> None:
    text = "The answer is 7."
    assert format_reward(Rollout("", None, text, read_output(text, "answer_line"))) is None
