"""Sampling token ids from a causal LM: the library's generate, and two loops that do the same with less around it.

On a student of a million parameters on the CPU the library's per-token bookkeeping and the padded cache cost more than
the arithmetic. The lean loop computes each distinct prompt once, shares its keys and values between the
samples of a group, and drops finished groups. On a GPU it is the starting of kernels that costs more than the
arithmetic, up to billions of parameters; the graphed loop records them once. All sample from the same distribution.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rlkd.student.packable import FULL_ATTENTION
from rlkd.student.sampling import Sampling, cut

LEAN_PARAMETERS = 200_000_000
"""Largest model that the lean loop is used for: at 135 M the library's loops still take 1.1 to 1.5 times as long. Above it the
second copy of its weights that the loop makes costs more than it brings."""

GRAPHED = frozenset({"llama", "mistral", "qwen2", "qwen3", "olmo2", "granite", "smollm3"})
"""Kinds of model that the graphed loop is tested on."""


def generate_ids(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """Completions as token ids, one for each prompt, in order; random numbers come from torch's global generator.

    Args:
        model: A causal LM (unwrapped), on its device.
        prompts: Token ids; equal neighbours are computed once by the lean loop.
        sampling: How tokens are chosen.
    """
    import torch

    if not prompts:
        return []
    with torch.inference_mode():
        if lean_supported(model):
            from rlkd.student.cpu_loop import lean_generate

            return lean_generate(model, prompts, sampling)
        if graph_supported(model):
            from rlkd.student.cuda_graph import graphed_generate

            return graphed_generate(model, prompts, sampling)
        return library_generate(model, prompts, sampling)


def lean_supported(model: Any) -> bool:
    """Whether the lean loop can stand in for the library: a small plain Llama in float32 on the CPU."""
    import torch

    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        type(model).__name__ == "LlamaForCausalLM"
        and next(model.parameters()).device.type == "cpu"
        and next(model.parameters()).dtype == torch.float32
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.pretraining_tp == 1
        and rope.get("rope_type", "default") == "default"
        and all(type(module).__module__.startswith(("torch.", "transformers.")) for module in model.modules())
        and sum(p.numel() for p in model.parameters()) <= LEAN_PARAMETERS
    )


def graph_supported(model: Any) -> bool:
    """Whether the graphed loop can stand in for the library: a decoder that it is tested on, whole on one GPU.

    ``RLKD_CUDA_GRAPHS=0`` in the environment leaves all to the library.
    """
    wanted = os.environ.get("RLKD_CUDA_GRAPHS", "1") != "0"
    if not wanted or next(model.parameters()).device.type != "cuda":
        return False
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model  # without adapters
    return (
        graph_fits(model.config)
        and type(plain).__module__.startswith("transformers.")
        and not is_sharded(model)
    )


def is_sharded(model: Any) -> bool:
    """Whether its weights are spread over processes (FSDP, DeepSpeed ZeRO-3), which must then take every step together."""
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.tensor import DTensor

    return any(isinstance(module, FullyShardedDataParallel) for module in model.modules()) or any(
        isinstance(weight, DTensor) or hasattr(weight, "ds_id") for weight in model.parameters()
    )


def graph_fits(config: Any) -> bool:
    """Whether the graphed loop computes what a model of this configuration does: plain attention over the whole text."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in GRAPHED
        and rope.get("rope_type", "default")
        not in ("dynamic", "longrope")  # these look at the positions from Python
        and kinds == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and getattr(config, "quantization_config", None) is None
        and config._attn_implementation in FULL_ATTENTION
    )


def library_generate(
    model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, **others: Any
) -> list[list[int]]:
    """Samples with transformers' own loop; see :func:`generate_ids`.

    Args:
        model: A causal LM, on its device.
        prompts: Token ids, padded on the left here.
        sampling: How tokens are chosen.
        others: More settings of ``GenerationConfig``, such as ``cache_implementation``.
    """
    import torch
    from transformers import GenerationConfig

    width = max(len(p) for p in prompts)
    device = next(model.parameters()).device
    ids = torch.tensor([[sampling.pad_id] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    choice: dict[str, Any] = {"do_sample": False}
    if sampling.temperature is not None:
        choice = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    settings = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=sampling.pad_id,
        eos_token_id=list(sampling.eos_ids),
        **{"disable_compile": True, **choice, **others},
    )
    training = model.training
    model.eval()
    try:
        output = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)[
            :, width:
        ].tolist()
    finally:
        model.train(training)
    return [cut(row, sampling.eos_ids) for row in output]
