"""A lean sampling loop for small Llama models on the CPU.

Shapes: U distinct prompts, G samples of each, B = U * G rows, P prompt tokens (left-padded), H heads,
K key-value heads, D head size, E hidden size, T tokens so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rlkd.completion.decode import Sampling, choose


@dataclass
class _Layer:
    """Weights of one layer; queries, keys and values in one matrix, gate and up in another."""

    norm1: Tensor
    qkv: Tensor
    out: Tensor
    norm2: Tensor
    gate_up: Tensor
    down: Tensor


class _Llama:
    """The arithmetic of a Llama model, without its bookkeeping."""

    def __init__(self, model: Any) -> None:
        config = model.config
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.size: int = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps: float = config.rms_norm_eps
        self.embedding: Tensor = model.model.embed_tokens.weight
        self.head: Tensor = model.lm_head.weight
        self.norm: Tensor = model.model.norm.weight
        self.inv_freq: Tensor = model.model.rotary_emb.inv_freq
        self.layers = [self._layer(layer) for layer in model.model.layers]

    @staticmethod
    def _layer(layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        return _Layer(
            layer.input_layernorm.weight,
            torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]),
            attention.o_proj.weight,
            layer.post_attention_layernorm.weight,
            torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]),
            mlp.down_proj.weight,
        )

    def rope(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (..., 1, D), for positions (...)."""
        angles = positions[..., None].float() * self.inv_freq
        angles = torch.cat([angles, angles], -1)[..., None, :]
        return angles.cos(), angles.sin()

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Applies rotary positions to (..., heads, D)."""
        half = self.size // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * cos + turned * sin

    def project(self, layer: _Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (..., H, D), keys and values (..., K, D) of hidden states (..., E)."""
        qkv = functional.linear(functional.rms_norm(x, x.shape[-1:], layer.norm1, self.eps), layer.qkv)
        qkv = qkv.unflatten(-1, (self.heads + 2 * self.kv_heads, self.size))
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], -2)
        return self.rotate(q, cos, sin), self.rotate(k, cos, sin), v

    def finish(self, layer: _Layer, x: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward, with both residuals; ``attended`` is (..., H * D)."""
        x = x + functional.linear(attended, layer.out)
        gate, up = functional.linear(
            functional.rms_norm(x, x.shape[-1:], layer.norm2, self.eps), layer.gate_up
        ).chunk(2, -1)
        return x + functional.linear(functional.silu(gate) * up, layer.down)

    def logits(self, x: Tensor) -> Tensor:
        """(..., V) of hidden states (..., E)."""
        return functional.linear(functional.rms_norm(x, x.shape[-1:], self.norm, self.eps), self.head)


@dataclass
class _State:
    """What the loop carries: per layer, prompt keys/values (U, K, P, D) and sample keys/values (B, K, T, D)."""

    prompt_k: list[Tensor]
    prompt_v: list[Tensor]
    sample_k: list[Tensor]
    sample_v: list[Tensor]
    bias: Tensor  # (U, 1, 1, P): 0 for prompt tokens, -inf for padding
    length: Tensor  # (U,)
    cos: Tensor  # (P + T, 1, D), by position
    sin: Tensor
    rows: Tensor  # (B,) row of the output


def lean_generate(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """See :func:`rlkd.completion.decode.generate_ids`. Neighbouring equal prompts are computed once."""
    runs = [(list(key), len(list(group))) for key, group in groupby(tuple(p) for p in prompts)]
    results: list[list[int]] = []
    llama = _Llama(model)
    for size, same in groupby(runs, key=lambda run: run[1]):
        results.extend(_generate_groups(llama, [ids for ids, _ in same], size, sampling))
    return results


def _generate_groups(
    llama: _Llama, prompts: list[list[int]], group: int, sampling: Sampling
) -> list[list[int]]:
    """``group`` completions of each prompt, group after group."""
    state, hidden = _prefill(llama, prompts, group, sampling)
    tokens = torch.full((len(prompts) * group, sampling.max_new_tokens), sampling.pad_id, dtype=torch.long)
    eos = torch.tensor(sampling.eos_ids)
    ended = torch.zeros(len(prompts) * group, dtype=torch.bool)
    logits = llama.logits(hidden).repeat_interleave(group, 0)
    for step in range(sampling.max_new_tokens):
        chosen = choose(logits, sampling)
        chosen = torch.where(ended, sampling.pad_id, chosen)
        tokens[state.rows, step] = chosen
        ended |= torch.isin(chosen, eos)
        if step + 1 == sampling.max_new_tokens or ended.all():
            break
        if step % 8 == 7:
            keep = ~ended.view(-1, group).all(1)
            if keep.sum() <= 0.9 * len(keep):
                _compact(state, keep, group, step)
                rows = keep.repeat_interleave(group)
                chosen, ended = chosen[rows], ended[rows]
        logits = _step(llama, state, chosen, step, group)
    output = tokens.tolist()
    return [_cut(row, set(sampling.eos_ids)) for row in output]


def _cut(row: list[int], eos: set[int]) -> list[int]:
    for i, token in enumerate(row):
        if token in eos:
            return row[: i + 1]
    return row


def _prefill(
    llama: _Llama, prompts: list[list[int]], group: int, sampling: Sampling
) -> tuple[_State, Tensor]:
    """Runs the prompts; returns the state and the last hidden state (U, E) of each."""
    width, count = max(map(len, prompts)), len(prompts)
    ids = torch.tensor([[sampling.pad_id] * (width - len(p)) + p for p in prompts])
    length = torch.tensor([len(p) for p in prompts])
    real = torch.arange(width) >= (width - length)[:, None]
    bias = torch.zeros(count, 1, 1, width).masked_fill_(~real[:, None, None], float("-inf"))
    # Padded queries attend to themselves only to stay finite; nothing reads them.
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    mask = (causal & real[:, None, None]) | torch.eye(width, dtype=torch.bool)
    table = llama.rope(torch.arange(width + sampling.max_new_tokens))
    positions = (torch.arange(width) - (width - length)[:, None]).clamp(min=0)
    cos, sin = table[0][positions], table[1][positions]
    x = llama.embedding[ids]
    state = _State([], [], [], [], bias, length, *table, torch.arange(count * group))
    shape = (count * group, llama.kv_heads, sampling.max_new_tokens, llama.size)
    for layer in llama.layers:
        q, k, v = llama.project(layer, x, cos, sin)
        k, v = k.transpose(1, 2).contiguous(), v.transpose(1, 2).contiguous()
        attended = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k, v, attn_mask=mask, enable_gqa=llama.heads != llama.kv_heads
        )
        x = llama.finish(layer, x, attended.transpose(1, 2).flatten(-2))
        state.prompt_k.append(k)
        state.prompt_v.append(v)
        state.sample_k.append(torch.empty(shape))
        state.sample_v.append(torch.empty(shape))
    return state, x[:, -1]


def _step(llama: _Llama, state: _State, chosen: Tensor, step: int, group: int) -> Tensor:
    """Logits (B, V) after the tokens chosen at ``step``."""
    count = len(state.length)
    repeats = llama.heads // llama.kv_heads
    positions = (state.length + step).repeat_interleave(group)
    cos, sin = state.cos[positions], state.sin[positions]
    x = llama.embedding[chosen]
    scale = llama.size**-0.5
    for i, layer in enumerate(llama.layers):
        q, k, v = llama.project(layer, x, cos, sin)
        state.sample_k[i][:, :, step] = k
        state.sample_v[i][:, :, step] = v
        q = q * scale
        # (U, K, G*R, D): the samples of a group read the prompt's keys together.
        grouped = q.view(count, group, llama.kv_heads, repeats, llama.size).transpose(1, 2).flatten(2, 3)
        on_prompt = grouped @ state.prompt_k[i].transpose(-1, -2) + state.bias
        own = q.view(-1, llama.kv_heads, repeats, llama.size) @ state.sample_k[i][:, :, : step + 1].transpose(
            -1, -2
        )
        own = own.view(count, group, llama.kv_heads, repeats, step + 1).transpose(1, 2).flatten(2, 3)
        weights = torch.cat([on_prompt, own], -1).softmax(-1)
        from_prompt = weights[..., : on_prompt.shape[-1]] @ state.prompt_v[i]
        own_weights = (
            weights[..., on_prompt.shape[-1] :].unflatten(2, (group, repeats)).transpose(1, 2).flatten(0, 1)
        )
        from_own = own_weights @ state.sample_v[i][:, :, : step + 1]
        attended = from_prompt.unflatten(2, (group, repeats)).transpose(1, 2).flatten(0, 1) + from_own
        x = llama.finish(layer, x, attended.flatten(1))
    return llama.logits(x)


def _compact(state: _State, keep: Tensor, group: int, step: int) -> None:
    """Drops groups whose samples have all ended."""
    rows = keep.repeat_interleave(group)
    for i in range(len(state.prompt_k)):
        state.prompt_k[i] = state.prompt_k[i][keep]
        state.prompt_v[i] = state.prompt_v[i][keep]
        for cache in (state.sample_k, state.sample_v):
            shrunk = torch.empty(int(rows.sum()), *cache[i].shape[1:])
            shrunk[:, :, : step + 1] = cache[i][rows, :, : step + 1]
            cache[i] = shrunk
    state.bias, state.length, state.rows = state.bias[keep], state.length[keep], state.rows[rows]
