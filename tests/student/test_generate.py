from __future__ import annotations

from typing import Any

import pytest

from rlkd.student import generate as decode
from rlkd.student.generate import generate_ids, lean_supported
from rlkd.student.sampling import Sampling, choose

from ..lazy import torch

PROMPTS = [[5, 6, 7, 8, 9]] * 3 + [[11, 12]] * 3 + [[20, 21, 22]] + [[30] * 9] * 2


def sampling(**changes: Any) -> Sampling:
    base: dict[str, Any] = {
        "max_new_tokens": 24,
        "temperature": None,
        "top_p": 1.0,
        "eos_ids": (2,),
        "pad_id": 0,
    }
    return Sampling(**{**base, **changes})


def llama(kv_heads: int, seed: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=kv_heads, max_position_embeddings=64, eos_token_id=2, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.slow
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lean_loop_agrees_with_the_library_greedily(kv_heads: int, seed: int) -> None:
    model = llama(kv_heads, seed)
    assert lean_supported(model)
    # Tokens 2, 7 and 9 end a completion, so that rows end at different times and are dropped.
    for eos in ((2,), (2, 7, 9), tuple(range(2, 20))):
        lean = generate_ids(model, PROMPTS, sampling(eos_ids=eos))
        assert lean == decode.library_generate(model, PROMPTS, sampling(eos_ids=eos))


def test_lean_loop_samples_from_the_models_distribution() -> None:
    model = llama(2, 5)
    prompt = [4, 5, 6]
    torch.manual_seed(0)
    count = 20_000
    drawn = generate_ids(model, [prompt] * count, sampling(max_new_tokens=2, temperature=1.7, eos_ids=(999,)))
    with torch.no_grad():
        first = (model(torch.tensor([prompt])).logits[0, -1] / 1.7).softmax(-1)
    counts = torch.bincount(torch.tensor([ids[0] for ids in drawn]), minlength=60) / count
    # Standard error of a frequency p over 20,000 draws is below sqrt(0.25 / 20000) = 0.0036.
    assert (counts - first).abs().max() < 5 * 0.0036
    top = int(first.argmax())
    seconds = torch.tensor([ids[1] for ids in drawn if ids[0] == top])
    with torch.no_grad():
        second = (model(torch.tensor([[*prompt, top]])).logits[0, -1] / 1.7).softmax(-1)
    frequencies = torch.bincount(seconds, minlength=60) / len(seconds)
    assert (frequencies - second).abs().max() < 5 * (0.25 / len(seconds)) ** 0.5


def test_sampling_while_rows_are_dropped_depends_only_on_the_seed() -> None:
    model = llama(4, 7)
    settings = sampling(temperature=1.0, eos_ids=tuple(range(2, 9)))
    torch.manual_seed(4)
    first = generate_ids(model, PROMPTS, settings)
    torch.manual_seed(4)
    assert generate_ids(model, PROMPTS, settings) == first
    torch.manual_seed(5)
    assert generate_ids(model, PROMPTS, settings) != first
    assert all(not set(ids[:-1]) & set(range(2, 9)) for ids in first)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    # Probabilities 0.5, 0.3, 0.15, 0.05: with top_p 0.7 the first (0.5) is short of it, the second reaches 0.8.
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(2000, 1)
    torch.manual_seed(0)
    chosen = choose(logits, sampling(temperature=1.0, top_p=0.7))
    assert set(chosen.tolist()) == {0, 1}
    # 0.5 / 0.8 = 0.625 of the draws take the first; five standard errors are 5 * sqrt(0.625 * 0.375 / 2000) = 0.054.
    assert abs((chosen == 0).float().mean().item() - 0.625) < 0.054


def test_a_token_without_probability_is_never_taken() -> None:
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf")]]).repeat(5000, 1)
    assert set(choose(logits, sampling(temperature=1.0)).tolist()) == {1}


def test_other_models_go_through_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama(4, 0)
    assert not lean_supported(model.to(torch.bfloat16))
    model = llama(4, 0)
    monkeypatch.setattr(decode, "LEAN_PARAMETERS", 10)
    assert not lean_supported(model)
    model.train()
    assert generate_ids(model, PROMPTS[:2], sampling()) == generate_ids(llama(4, 0), PROMPTS[:2], sampling())
    assert model.training
    assert generate_ids(model, [], sampling()) == []
