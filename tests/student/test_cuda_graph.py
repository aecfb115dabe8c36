"""The graphed loop's steps, unrecorded on the CPU; a GPU only records and replays them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlkd.student import cuda_graph as graphed
from rlkd.student import generate as decode
from rlkd.student.cuda_graph import ATTENTION, graphed_generate, grouped_attention
from rlkd.student.generate import GRAPHED, generate_ids, graph_fits, graph_supported, is_sharded
from rlkd.student.sampling import Sampling

pytestmark = pytest.mark.slow

PROMPTS = [[5, 6, 7, 8, 9]] * 3 + [[11, 12]] * 2 + [[30] * 9]
SIZES = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip


def sampling(**changes: Any) -> Sampling:
    return Sampling(
        **{"max_new_tokens": 40, "temperature": None, "top_p": 1.0, "eos_ids": (2,), "pad_id": 0, **changes}
    )


def model_of(kind: str, **changes: Any) -> Any:
    torch.manual_seed(3)
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **SIZES, sliding_window=None, **changes)
    ).eval()


@pytest.mark.parametrize("kind", sorted(GRAPHED))
def test_it_agrees_with_the_library_greedily(kind: str) -> None:
    model = model_of(kind)
    assert graph_fits(model.config)
    for eos in (
        (2,),
        (2, 7, 9),
        tuple(range(2, 20)),
        tuple(range(60)),
    ):  # rows end at different times, and all at once
        settings = sampling(eos_ids=eos)
        assert graphed_generate(model, PROMPTS, settings) == decode.library_generate(model, PROMPTS, settings)
    assert model.config._attn_implementation == "sdpa"  # as before


@pytest.mark.gpu
@pytest.mark.parametrize("kind", sorted(GRAPHED))
def test_recorded_steps_agree_with_the_library_greedily(kind: str) -> None:
    model = model_of(kind).cuda()
    assert graphed_generate(model, PROMPTS, sampling()) == decode.library_generate(model, PROMPTS, sampling())


def test_it_samples_from_the_models_distribution() -> None:
    model = model_of("qwen2")
    count = 20_000
    torch.manual_seed(0)
    with torch.inference_mode():
        drawn = graphed_generate(
            model, [[4, 5, 6]] * count, sampling(max_new_tokens=2, temperature=1.7, eos_ids=(999,))
        )
    with torch.no_grad():
        first = (model(torch.tensor([[4, 5, 6]])).logits[0, -1] / 1.7).softmax(-1)
        top = int(first.argmax())
        second = (model(torch.tensor([[4, 5, 6, top]])).logits[0, -1] / 1.7).softmax(-1)
    counts = torch.bincount(torch.tensor([ids[0] for ids in drawn]), minlength=60) / count
    # Standard error of a frequency p over 20,000 draws is below sqrt(0.25 / 20000) = 0.0036.
    assert (counts - first).abs().max() < 5 * 0.0036
    after = torch.tensor([ids[1] for ids in drawn if ids[0] == top])
    error = (0.25 / len(after)) ** 0.5
    assert (torch.bincount(after, minlength=60) / len(after) - second).abs().max() < 5 * error


def test_adapters_and_checkpointing_of_a_model_in_training() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        model_of("qwen2"),
        LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False),
    )
    model.base_model.model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    model.train()
    with torch.inference_mode():
        found = graphed_generate(model, PROMPTS, sampling())
    assert model.training
    assert found == decode.library_generate(model, PROMPTS, sampling())
    with model.disable_adapter():
        assert found != graphed_generate(model, PROMPTS, sampling())  # the adapters count


def test_weights_in_float32_under_autocast() -> None:
    """As in training all weights: rotated keys come in float32, values in bfloat16."""
    from accelerate.utils.operations import convert_outputs_to_fp32

    model = model_of("qwen2")
    plain = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return plain(*args, **kwargs)

    model.forward = convert_outputs_to_fp32(forward)
    with torch.inference_mode():
        found = graphed_generate(model, PROMPTS, sampling())
    for prompt, ids in zip(PROMPTS, found, strict=True):
        assert ids
        with torch.no_grad():
            logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        best = logits.max(-1).values
        # Each token is the best one, up to bfloat16's rounding (8 bits: 1/256 of scores of about 10).
        assert (best - logits[range(len(ids)), ids]).max() < 0.25


def test_attention_of_one_query_by_hand() -> None:
    # One row, 2 heads that share one key-value head of size 1, over 3 places of which the last is closed.
    query = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    key = torch.tensor([0.0, 3.0**0.5, 9.0]).log1p().view(1, 1, 3, 1)  # log(1), log(1 + sqrt 3), log(10)
    value = torch.tensor([1.0, 2.0, 100.0]).view(1, 1, 3, 1)
    bias = torch.tensor([0.0, 0.0, float("-inf")]).view(1, 1, 1, 3)
    found, weights = grouped_attention(None, query, key, value, bias, scaling=1.0)
    assert weights is None
    # Head 0: scores 0 and 0, weights 1/2: (1 + 2) / 2. Head 1: weights 1 : 1 + sqrt 3, so (1 + 2 (1 + sqrt 3)) / (2 + sqrt 3).
    expected = [1.5, (3 + 2 * 3.0**0.5) / (2 + 3.0**0.5)]
    assert found.shape == (1, 1, 2, 1)
    assert found.flatten().tolist() == pytest.approx(expected)


def test_what_it_does_not_compute_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("qwen2")
    assert not graph_supported(model)  # on the CPU
    monkeypatch.setattr(decode, "graph_supported", lambda model: graph_fits(model.config))
    assert generate_ids(model, PROMPTS, sampling()) == decode.library_generate(model, PROMPTS, sampling())
    assert not graph_fits(AutoConfig.for_model("gemma2"))  # its attention caps the scores
    assert not graph_fits(AutoConfig.for_model("mistral", sliding_window=16))
    scaled = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    assert not graph_fits(model_of("llama", rope_parameters=scaled).config)
    for other in (ATTENTION, "eager", "flash_attention_2"):
        model.config._attn_implementation = other
        assert not graph_fits(model.config)


def test_weights_spread_over_processes_are_noticed() -> None:
    model = model_of("qwen2")
    assert not is_sharded(model)
    next(iter(model.parameters())).ds_id = 1  # as DeepSpeed's ZeRO-3 marks them
    assert is_sharded(model)


def test_a_batch_is_cut_to_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("qwen2")
    whole = graphed_generate(model, PROMPTS, sampling())
    assert graphed.rows_at_once(model, 100) > 1_000_000  # on the CPU
    monkeypatch.setattr(graphed, "rows_at_once", lambda model, length: 2)
    assert graphed_generate(model, PROMPTS, sampling()) == whole

    class OnGpu:
        """Only what the count looks at: 2 layers, 2 key-value heads of 8, float32."""

        config = model.config

        def parameters(self) -> Any:
            weight = SimpleNamespace(device=torch.device("cuda", 0), element_size=lambda: 4)
            return iter([weight])

    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * 2**20)
    # A token takes 2 (keys, values) x 2 x 2 x 8 x 4 = 256 bytes. Half of 1 + 3 - 2 MiB holds 4,096 of them: 40 rows of 100.
    assert graphed.rows_at_once(OnGpu(), 100) == 40
    assert graphed.rows_at_once(OnGpu(), 10_000) == 1
