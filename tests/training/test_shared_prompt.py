from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rlkd.student.packable import PACKED, why_not_packed

from ..lazy import Lazy, torch

if TYPE_CHECKING:
    from torch import Tensor

shared_prompt = Lazy("rlkd.training.shared_prompt")

SHAPE: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}


OWN: dict[str, dict[str, Any]] = {
    "gemma": {"head_dim": 8},
    "granite": {"attention_multiplier": 0.3, "logits_scaling": 2.0, "embedding_multiplier": 3.0},
    "helium": {"head_dim": 8},
    "mistral": {"sliding_window": None},
    "phi3": {"sliding_window": None},
    "smollm3": {"num_hidden_layers": 4},  # the fourth has no positions at all
    "starcoder2": {"sliding_window": None},
}
"""What an architecture's small model has beside :data:`SHAPE`."""


def model(kind: str = "llama") -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    torch.manual_seed(0)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, **{**SHAPE, **special, **OWN.get(kind, {})})
    made = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    add_fused_lm_head(made, temperature=0.7, outputs=("log_probs", "entropy"))
    return made


def batch(groups: int = 3, size: int = 4, prompt: int = 12, completion: int = 9) -> tuple[Tensor, Tensor]:
    """Shuffled rows of ``groups`` prompts of different lengths, completions of 1 to 9 tokens."""
    torch.manual_seed(1)
    rows = groups * size
    prompts = torch.randint(1, 40, (groups, prompt)).repeat_interleave(size, 0)
    left = torch.randint(3, prompt + 1, (groups,)).repeat_interleave(size)
    right = torch.randint(1, completion + 1, (rows,))
    right[0] = completion
    mask = torch.cat(
        [torch.arange(prompt) >= (prompt - left)[:, None], torch.arange(completion) < right[:, None]], 1
    ).long()
    ids = torch.cat([prompts, torch.randint(1, 40, (rows, completion))], 1) * mask
    order = torch.randperm(rows)
    return ids[order], mask[order]


def plain(made: Any, ids: Tensor, mask: Tensor, completion: int) -> tuple[Tensor, Tensor]:
    """What TRL computes."""
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :-completion] = -100
    output = made(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    return output.log_probs[:, -completion:], output.entropy[:, -completion:]


@pytest.mark.parametrize(
    ("kind", "checkpointing"),
    [*((kind, False) for kind in sorted(PACKED)), ("llama", True), ("qwen2", True), ("granite", True)],
)
def test_same_values_and_gradients_as_separate_rows(kind: str, checkpointing: bool) -> None:
    # In float64: gradients go up to 90 here, and float32 rounds sums in another order by more than the bound, differently from CPU to CPU.
    made = model(kind).double()
    assert shared_prompt.supports(made)
    ids, mask = batch()
    packed = shared_prompt.pack(ids, mask, 9)
    # No position is padding: each prompt but for its last token once, and as many positions as completion tokens.
    prompts = {tuple(row.tolist()) for row in ids[:, :12]}
    assert packed.input_ids.shape == (
        1,
        sum(sum(t > 0 for t in p) - 1 for p in prompts) + int(mask[:, 12:].sum()),
    )
    weight = torch.randn(ids.shape[0], 9)
    expected, expected_entropy = plain(made, ids, mask, 9)
    (expected * weight).sum().backward()
    gradients = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    shared_prompt.prepare(made)
    assert shared_prompt.supports(made)
    if checkpointing:
        made.gradient_checkpointing_enable()
        made.train()
    logps, entropy = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=True)
    (logps * weight).sum().backward()
    assert entropy is not None
    torch.testing.assert_close(logps, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropy, expected_entropy, rtol=1e-4, atol=1e-5)
    for name, (p, gradient) in zip(
        dict(made.named_parameters()), zip(made.parameters(), gradients, strict=True), strict=True
    ):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-3, atol=1e-4, msg=name)


def test_a_completion_masked_whole_has_no_value_and_no_gradient() -> None:
    made = model()
    ids, mask = batch()
    mask[2, 12:] = 0
    shared_prompt.prepare(made)
    logps, _ = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=False)
    assert logps[2].abs().sum() == 0
    assert torch.isfinite(logps).all()


def test_every_completion_masked_has_no_value() -> None:
    made = model()
    ids, mask = batch()
    mask[:, 12:] = 0
    shared_prompt.prepare(made)
    logps, _ = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=False)
    assert logps.shape == (12, 9)
    assert logps.abs().sum() == 0


@pytest.mark.parametrize("learned", [[1, 4, 5], []])
def test_completions_without_an_advantage_have_values_and_no_gradient(learned: list[int]) -> None:
    made = model()
    ids, mask = batch()
    shared_prompt.prepare(made)
    weight = torch.zeros(12, 9)
    weight[learned] = torch.randn(len(learned), 9)
    expected, expected_entropy = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=True)
    (expected * weight).sum().backward()
    gradients = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    chosen = torch.zeros(12, dtype=torch.bool)
    chosen[learned] = True
    logps, entropy = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=True, learned_B=chosen)
    # With nothing to learn from, a graph is still there: other processes wait for this one's gradients.
    (logps * weight).sum().backward()
    torch.testing.assert_close(logps, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropy, expected_entropy, rtol=1e-4, atol=1e-5)
    for p, gradient in zip(made.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-3, atol=1e-4)
    assert bool(gradients[0].abs().sum() > 0) == bool(learned)


def test_prompts_of_one_token() -> None:
    made = model()
    ids, mask = batch(groups=2, prompt=3)
    mask[:, :2] = 0
    ids[:, :2] = 0
    ids[:, 2] = torch.tensor([5, 7]).repeat(4)
    expected, _ = plain(made, ids, mask, 9)
    shared_prompt.prepare(made)
    logps, _ = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=False)
    torch.testing.assert_close(logps, expected, rtol=1e-4, atol=1e-5)


def test_a_prepared_model_attends_as_before_without_segments() -> None:
    made = model()
    ids, mask = batch()
    before, _ = plain(made, ids, mask, 9)
    shared_prompt.prepare(made)
    after, _ = plain(made, ids, mask, 9)
    torch.testing.assert_close(after, before)
    assert "rlkd" not in made.config.to_json_string()  # nothing of it is saved with the model


def test_only_plain_rotary_models_are_packed() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    eager = LlamaForCausalLM(LlamaConfig(**SHAPE, attn_implementation="eager"))
    assert not shared_prompt.supports(eager)
    sliding = Qwen2ForCausalLM(Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=8))
    assert not shared_prompt.supports(sliding)


@pytest.mark.parametrize(
    ("kind", "own", "why"),
    [
        ("gpt2", {}, "gpt2 is not among the architectures that this is tested for"),
        ("mistral", {"sliding_window": 8}, "its layers look at a window of 8 tokens, not at the whole text"),
        ("phi3", {"sliding_window": 8}, "its layers look at a window of 8 tokens, not at the whole text"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "its positions are scaled by the length of the row",
        ),
        ("llama", {}, ""),
    ],
)
def test_it_is_said_why_a_model_is_not_packed(kind: str, own: dict[str, Any], why: str) -> None:
    from transformers import AutoConfig

    assert why_not_packed(AutoConfig.for_model(kind, **own), "sdpa") == why


def test_only_one_attention_keeps_texts_apart() -> None:
    from transformers import LlamaConfig

    assert why_not_packed(LlamaConfig(), "flash_attention_2").startswith(
        "student.attention is flash_attention_2, "
    )


def test_masks_have_the_type_of_the_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlkd.training import shared_prompt as packing

    made = model()
    ids, mask = batch()
    shared_prompt.prepare(made)
    exact, _ = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=False)
    types: list[torch.dtype] = []
    attend = packing._attend

    def noting(
        query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, scaling: float | None
    ) -> Tensor:
        if seen is not None:
            types.append(seen.dtype)
        return attend(query, key, value, seen, scaling)

    monkeypatch.setattr(packing, "_attend", noting)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = shared_prompt.log_probabilities(made, ids, mask, 9, entropy=False)
    assert set(types) == {torch.bfloat16}  # made once, not by every layer
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.1)
