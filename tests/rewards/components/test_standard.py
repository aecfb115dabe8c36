"""The components that every ledger has."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlkd.answers.equal as equal
import rlkd.answers.verify as verify
from rlkd.answers.conventions import OutputFormat, read_any, read_output, write_output
from rlkd.answers.symbolic import VerifierError, symbolically_equal
from rlkd.answers.verify import GYM_KEY, gym_score, judge_problem
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.standard import format_reward, length_reward, outcome_reward
from rlkd.rewards.scoring import make_components
from schemas.config.rewards import RewardsConfig
from schemas.config.world import WorldSettings
from schemas.problem import Problem


@pytest.fixture(autouse=True)
def _no_remembered_verdicts() -> Iterator[None]:
    for cached in (symbolically_equal, equal._judge):
        cached.cache_clear()
    yield
    for cached in (symbolically_equal, equal._judge):
        cached.cache_clear()


HARD = ("\\int_0^1 f(x) dx", "\\int_0^1 g(x) dx")
"""Formulas that only the library reads."""


def outcome_of(
    text: str, reference: str, output: OutputFormat, problem: Problem | None = None
) -> float | None:
    return outcome_reward(Rollout("", reference, text, read_output(text, output), output, problem=problem))


def test_right_wrong_and_absent() -> None:
    assert outcome_of("x\n#### 1,800", "1800", "gsm8k") == 1.0
    assert outcome_of("x\n#### 18", "1800", "gsm8k") == 0.0
    assert outcome_of("it is 1800", "1800", "gsm8k") == 0.0


def test_the_last_statement_counts() -> None:
    assert outcome_of("#### 1\n#### 2", "1", "gsm8k") == 0.0
    assert outcome_of("#### 1\n#### 2", "2", "gsm8k") == 1.0


@pytest.mark.parametrize("domain", ["arithmetic", "logic", "relations"])
def test_world_problems_are_verified_by_their_world(domain: str) -> None:
    from rlkd.worlds import get_world

    world = get_world(domain)
    problem = world.to_problem(world.generate(random.Random(3), WorldSettings()))
    path = world.solve(problem)
    assert outcome_of(path, problem.answer, "answer_line", problem) == 1.0
    assert outcome_of("The answer is nothing.", problem.answer, "answer_line", problem) == 0.0


def gym_problem(answer: str = "10") -> Problem:
    entry = {"question": "State the final answer to: 4 + 6 =", "answer": answer, "metadata": {}}
    metadata = {GYM_KEY: {"dataset": "chain_sum", "parameters": {}, "entry": entry}}
    return Problem(id="g", question=entry["question"], answer=answer, metadata=metadata)  # type: ignore[arg-type]


def test_reasoning_gym_scores_with_its_own_verifier() -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed (extra 'gym')")
    problem = gym_problem()
    assert outcome_of("The answer is 10.", "10", "answer_line", problem) == 1.0
    assert judge_problem(problem, "10").right is True
    assert judge_problem(problem, "11").right is False
    assert gym_score(problem, "9" * 10_000) == 0.0


def test_a_verifier_that_fails_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> float:
        raise VerifierError("down")

    monkeypatch.setattr(verify.WORKER, "ask", fails)
    assert outcome_of("The answer is 10.", "10", "answer_line", gym_problem()) is None
    assert outcome_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") is None
    text = f"The answer is {HARD[1]}."
    failed = Rollout("", HARD[0], text, read_output(text, "answer_line"))
    assert (outcome_reward(failed), failed.notes) == (None, {"outcome": "the verifier failed"})


def test_a_verifier_that_runs_out_of_time_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.WORKER, "ask", lambda *_, **__: None)
    assert outcome_of("The answer is 10.", "10", "answer_line", gym_problem()) is None
    assert outcome_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") is None
    assert judge_problem(gym_problem(), "10").right is None


def test_a_group_that_states_the_same_hard_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(verify.WORKER, "ask", lambda *_, **fields: asked.append(fields["answer"]))
    rewards = [outcome_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") for _ in range(8)]
    assert (rewards, asked) == ([None] * 8, [HARD[1]])


@pytest.mark.parametrize(("counts_as", "value"), [("wrong", 0.0), ("missing", None), ("right", 1.0)])
def test_an_undecided_answer_counts_as_the_configuration_says(
    counts_as: str, value: float | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlkd.rewards.components.standard._undecided", Counter())
    components = make_components(RewardsConfig.model_validate({"undecided": counts_as}))
    text = "The answer is 5 crates."
    rollout = Rollout("", "5 shelves", text, read_output(text, "answer_line"), "answer_line")
    with caplog.at_level("WARNING", logger="rlkd.rewards"):
        assert components["outcome"](rollout) == value
    assert rollout.notes == {"outcome": "units that are not known"}
    assert f"units that are not known, counted as {counts_as}" in caplog.text
    assert (
        components["outcome"](
            Rollout("", "5 shelves", "", read_output("The answer is 6 crates.", "answer_line"))
        )
        == 0.0
    )


def test_huge_completions_are_wrong() -> None:
    assert outcome_of("#### " + "9" * 10**6, "9", "gsm8k") == 0.0
    assert outcome_of("\x00\ud800" * 1000, "9", "gsm8k") == 0.0


def test_without_a_reference_the_outcome_is_missing() -> None:
    assert outcome_reward(Rollout("", None, "#### 9", read_output("#### 9", "gsm8k"), "gsm8k")) is None


def format_of(text: str, output: OutputFormat, finished: bool) -> float | None:
    return format_reward(Rollout("", None, text, read_output(text, output), output, finished=finished))


FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


@pytest.mark.parametrize("output", FORMATS)
def test_exact_form_is_1_and_nothing_is_0(output: OutputFormat) -> None:
    assert format_of(write_output("a", "7", output), output, finished=True) == 1.0
    assert format_of("hello", output, finished=True) == 0.0


@pytest.mark.parametrize("output", FORMATS)
def test_a_cut_off_completion_earns_half_at_most(output: OutputFormat) -> None:
    assert format_of(write_output("a", "7", output), output, finished=False) == 0.5


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>a</think>", 0.5 * (2 / 4 + 0) / 2),  # 2 of 4 tags once, no answer: 0.125
        ("<think>a</think>\\boxed{7}", 0.5 * (2 / 4 + 1) / 2),  # 2 of 4 tags once and an answer: 0.375
        ("<think><think>a</think><answer>\\boxed{7}</answer>", 0.5 * (3 / 4 + 1) / 2),  # <think> twice
    ],
)
def test_parts_of_the_thinking_form(text: str, reward: float) -> None:
    assert format_of(text, "think_boxed", finished=True) == reward


@given(st.text(), st.sampled_from(FORMATS), st.booleans())
def test_always_between_0_and_1(text: str, output: OutputFormat, finished: bool) -> None:
    found = format_of(text, output, finished)
    assert found is not None
    assert 0.0 <= found <= 1.0


def test_without_an_asked_form_there_is_no_format_term() -> None:
    text = "The answer is 7."
    assert format_reward(Rollout("", None, text, read_output(text, "answer_line"))) is None


def length_of(tokens: int | None, limit: int | None, free: float) -> float | None:
    return length_reward(Rollout("", None, "x", read_any("x"), tokens=tokens, max_tokens=limit), free)


def test_it_falls_from_the_free_share_to_the_limit() -> None:
    # Budget 100, 60 free: at 80 tokens (100 - 80) / (100 - 60) = 0.5.
    assert [length_of(n, 100, 0.6) for n in (0, 60, 80, 100, 120)] == pytest.approx([1, 1, 0.5, 0, 0])
    assert length_of(100, 100, 1.0) == 1.0
    assert length_of(101, 100, 1.0) == 0.0


def test_without_a_length_or_a_limit_it_is_missing() -> None:
    assert length_of(None, 100, 0.6) is None
    assert length_of(10, None, 0.6) is None
