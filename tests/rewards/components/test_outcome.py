"""The outcome reward."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

import rlkd.answers.equal as equal
import rlkd.answers.verify as verify
from rlkd.answers.conventions import OutputFormat, read_output
from rlkd.answers.symbolic import VerifierError, symbolically_equal
from rlkd.answers.verify import GYM_KEY, gym_score, verify_answer
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.outcome import outcome_reward
from rlkd.rewards.measure import make_components
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


def reward_of(
    text: str, reference: str, output: OutputFormat, problem: Problem | None = None
) -> float | None:
    return outcome_reward(Rollout("", reference, text, read_output(text, output), output, problem=problem))


def test_right_wrong_and_absent() -> None:
    assert reward_of("x\n#### 1,800", "1800", "gsm8k") == 1.0
    assert reward_of("x\n#### 18", "1800", "gsm8k") == 0.0
    assert reward_of("it is 1800", "1800", "gsm8k") == 0.0


def test_the_last_statement_counts() -> None:
    assert reward_of("#### 1\n#### 2", "1", "gsm8k") == 0.0
    assert reward_of("#### 1\n#### 2", "2", "gsm8k") == 1.0


@pytest.mark.parametrize("domain", ["arithmetic", "logic", "relations"])
def test_world_problems_are_verified_by_their_world(domain: str) -> None:
    from rlkd.worlds import get_world

    world = get_world(domain)
    problem = world.to_problem(world.generate(random.Random(3), WorldSettings()))
    path = world.solve(problem)
    assert reward_of(path, problem.answer, "answer_line", problem) == 1.0
    assert reward_of("The answer is nothing.", problem.answer, "answer_line", problem) == 0.0


def gym_problem(answer: str = "10") -> Problem:
    entry = {"question": "State the final answer to: 4 + 6 =", "answer": answer, "metadata": {}}
    metadata = {GYM_KEY: {"dataset": "chain_sum", "parameters": {}, "entry": entry}}
    return Problem(id="g", question=entry["question"], answer=answer, metadata=metadata)  # type: ignore[arg-type]


def test_reasoning_gym_scores_with_its_own_verifier() -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed (extra 'gym')")
    problem = gym_problem()
    assert reward_of("The answer is 10.", "10", "answer_line", problem) == 1.0
    assert verify_answer(problem, "10") is True
    assert verify_answer(problem, "11") is False
    assert gym_score(problem, "9" * 10_000) == 0.0


def test_a_verifier_that_fails_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> float:
        raise VerifierError("down")

    monkeypatch.setattr(verify.WORKER, "ask", fails)
    assert reward_of("The answer is 10.", "10", "answer_line", gym_problem()) is None
    assert reward_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") is None
    text = f"The answer is {HARD[1]}."
    failed = Rollout("", HARD[0], text, read_output(text, "answer_line"))
    assert (outcome_reward(failed), failed.notes) == (None, {"outcome": "the verifier failed"})


def test_a_verifier_that_runs_out_of_time_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.WORKER, "ask", lambda *_, **__: None)
    assert reward_of("The answer is 10.", "10", "answer_line", gym_problem()) is None
    assert reward_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") is None
    assert verify_answer(gym_problem(), "10") is None


def test_a_group_that_states_the_same_hard_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(verify.WORKER, "ask", lambda *_, **fields: asked.append(fields["answer"]))
    rewards = [reward_of(f"The answer is {HARD[1]}.", HARD[0], "answer_line") for _ in range(8)]
    assert (rewards, asked) == ([None] * 8, [HARD[1]])


@pytest.mark.parametrize(("counts_as", "value"), [("wrong", 0.0), ("missing", None), ("right", 1.0)])
def test_an_undecided_answer_counts_as_the_configuration_says(
    counts_as: str, value: float | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlkd.rewards.components.outcome._undecided", Counter())
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
    assert reward_of("#### " + "9" * 10**6, "9", "gsm8k") == 0.0
    assert reward_of("\x00\ud800" * 1000, "9", "gsm8k") == 0.0


def test_without_a_reference_the_outcome_is_missing() -> None:
    assert outcome_reward(Rollout("", None, "#### 9", read_output("#### 9", "gsm8k"), "gsm8k")) is None
