from __future__ import annotations

from typing import Any

import pytest

from rlkd.errors import ConfigError
from rlkd.student.sampler import LocalSampler


@pytest.fixture(scope="module")
def sampler(tiny: Any) -> LocalSampler:
    return LocalSampler(tiny.model, tiny.tokenizer)


QUESTIONS = [f"What is {i} + {i * 7}?" for i in range(9)]


def test_completions_come_back_in_order_whatever_the_batch_size(sampler: LocalSampler) -> None:
    ids = [f"p{i}" for i in range(9)]
    one = sampler.generate(QUESTIONS, 12, batch_size=1, problem_ids=ids)
    assert [c.problem_id for c in one] == ids
    assert sampler.generate(QUESTIONS, 12, batch_size=4, problem_ids=ids) == one


def test_the_seed_decides_and_the_callers_random_numbers_are_untouched(sampler: LocalSampler) -> None:
    import torch

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = sampler.generate(QUESTIONS, 12, temperature=1.0, seed=5)
    assert torch.equal(torch.rand(3), expected)
    assert sampler.generate(QUESTIONS, 12, temperature=1.0, seed=5) == first
    assert sampler.generate(QUESTIONS, 12, temperature=1.0, seed=6) != first


def test_finish_reason_says_whether_the_student_stopped(sampler: LocalSampler, tiny: Any) -> None:
    made = sampler.generate(QUESTIONS * 20, 12, temperature=3.0, seed=2)
    assert {c.finish_reason for c in made} == {"stop", "length"}
    for c in made:
        assert c.tokens <= 12
        assert c.finish_reason == "stop" or c.tokens == 12
        assert "<eos>" not in c.text


def test_token_ids_and_text_are_the_same_prompt(sampler: LocalSampler, tiny: Any) -> None:
    ids = tiny.tokenizer(QUESTIONS[3])["input_ids"]
    assert sampler.generate([ids], 8) == sampler.generate([QUESTIONS[3]], 8)


def test_a_prompt_longer_than_the_context_is_an_error(sampler: LocalSampler) -> None:
    with pytest.raises(
        ConfigError, match=r"prompt 1 has \d+ tokens; with 12 new ones it exceeds the model's context of 128"
    ):
        sampler.generate(["a", "word " * 100], 12)
    with pytest.raises(ConfigError, match="prompt 0 is empty"):
        sampler.generate([""], 12)
