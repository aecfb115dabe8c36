"""A lean sampling loop for small Llama models on the CPU.

Shapes: U distinct prompts, G samples of each, B = U * G rows, P prompt tokens (left-padded), H heads,
K key-value heads, D head size, E hidden size, T tokens so far, R rows still being written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rlkd.student.sampling import Sampling, choose

_ONE_THREAD = 30_000_000
"""Parameters up to which one thread is as fast as several."""
_COMPACT_EVERY = 4
_COMPACT_SHARE = 0.1
"""Every few tokens, rows that have ended are dropped where they are at least this share."""


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
    """What the loop carries, for the R rows that are still being written.

    A grid of U x G slots holds a row or nothing, so that the samples of a group read their prompt together.
    """

    prompt_k: list[Tensor]  # per layer (U, K, P, D)
    prompt_v: list[Tensor]
    sample_k: list[Tensor]  # per layer (R, K, T, D)
    sample_v: list[Tensor]
    bias: Tensor  # (U, 1, 1, P): 0 for prompt tokens, -inf for padding
    length: Tensor  # (R,) tokens of the row's prompt
    cos: Tensor  # (P + T, 1, D), by position
    sin: Tensor
    rows: Tensor  # (R,) row of the output
    slots: Tensor  # (R,) place in the grid
    group: int


def lean_generate(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """See :func:`rlkd.student.generate.generate_ids`. Neighbouring equal prompts are computed once.

    A small model runs on one thread: its matrices are too small to share (a second thread gains a tenth on an idle machine),
    and where other processes want the cores too, threads that wait for each other thousands of times a second stall.
    """
    threads = torch.get_num_threads()
    if sum(p.numel() for p in model.parameters()) <= _ONE_THREAD:
        torch.set_num_threads(1)
    try:
        return _generate(model, prompts, sampling)
    finally:
        torch.set_num_threads(threads)


def _generate(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    runs = [(list(key), len(list(same))) for key, same in groupby(tuple(p) for p in prompts)]
    llama = _Llama(model)
    results: list[list[int]] = []
    for size, equal in groupby(runs, key=lambda run: run[1]):
        results.extend(_generate_groups(llama, [ids for ids, _ in equal], size, sampling))
    return results


def _generate_groups(
    llama: _Llama, prompts: list[list[int]], group: int, sampling: Sampling
) -> list[list[int]]:
    """``group`` completions of each prompt, group after group."""
    state, hidden = _prefill(llama, prompts, group, sampling)
    tokens = torch.full((len(prompts) * group, sampling.max_new_tokens), sampling.pad_id, dtype=torch.long)
    lengths = torch.full((len(prompts) * group,), sampling.max_new_tokens)
    eos = torch.tensor(sampling.eos_ids)
    ended = torch.zeros(len(prompts) * group, dtype=torch.bool)
    logits = llama.logits(hidden).repeat_interleave(group, 0)
    for step in range(sampling.max_new_tokens):
        chosen = choose(logits, sampling)
        tokens[state.rows, step] = chosen
        ends_now = torch.isin(chosen, eos) & ~ended
        lengths[state.rows[ends_now]] = step + 1
        ended |= ends_now
        if step + 1 == sampling.max_new_tokens or ended.all():
            break
        if step % _COMPACT_EVERY == 0 and ended.sum() >= _COMPACT_SHARE * len(ended):
            _compact(state, ~ended, step)
            chosen, ended = chosen[~ended], ended[~ended]
        logits = _step(llama, state, chosen, step)
    return [row[:length] for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]


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
    rows = torch.arange(count * group)
    state = _State(
        [], [], [], [], bias, length.repeat_interleave(group), *table, rows=rows, slots=rows, group=group
    )
    shape = (count * group, llama.kv_heads, sampling.max_new_tokens, llama.size)
    x = llama.embedding[ids]
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


def _step(llama: _Llama, state: _State, chosen: Tensor, step: int) -> Tensor:
    """Logits (R, V) after the tokens chosen at ``step``."""
    positions = state.length + step
    cos, sin = state.cos[positions], state.sin[positions]
    x = llama.embedding[chosen]
    repeats = llama.heads // llama.kv_heads
    for i, layer in enumerate(llama.layers):
        q, k, v = llama.project(layer, x, cos, sin)
        state.sample_k[i][:, :, step] = k
        state.sample_v[i][:, :, step] = v
        own_k, own_v = state.sample_k[i][:, :, : step + 1], state.sample_v[i][:, :, : step + 1]
        q = q.view(-1, llama.kv_heads, repeats, llama.size) * llama.size**-0.5
        prompt_k = state.prompt_k[i].transpose(-1, -2)
        on_prompt = _from_grid(_to_grid(q, state) @ prompt_k + state.bias, state, repeats)
        weights = torch.cat([on_prompt, q @ own_k.transpose(-1, -2)], -1).softmax(-1)
        width = on_prompt.shape[-1]
        attended = _from_grid(_to_grid(weights[..., :width], state) @ state.prompt_v[i], state, repeats)
        attended = attended + weights[..., width:] @ own_v
        x = llama.finish(layer, x, attended.flatten(1))
    return llama.logits(x)


def _to_grid(x: Tensor, state: _State) -> Tensor:
    """(R, K, H/K, N) rows into (U, K, G * H/K, N), by prompt."""
    count = len(state.bias)
    grid = x.new_zeros(count * state.group, *x.shape[1:])
    grid[state.slots] = x
    return grid.unflatten(0, (count, state.group)).transpose(1, 2).flatten(2, 3)


def _from_grid(x: Tensor, state: _State, repeats: int) -> Tensor:
    """The inverse of :func:`_to_grid`."""
    return x.unflatten(2, (state.group, repeats)).transpose(1, 2).flatten(0, 1)[state.slots]


def _compact(state: _State, alive: Tensor, step: int) -> None:
    """Drops rows that have ended, and prompts without any row left."""
    slots = state.slots[alive]
    used = torch.zeros(len(state.bias), dtype=torch.bool)
    used[slots // state.group] = True
    place = used.cumsum(0) - 1
    state.slots = place[slots // state.group] * state.group + slots % state.group
    state.bias, state.length, state.rows = state.bias[used], state.length[alive], state.rows[alive]
    for i in range(len(state.prompt_k)):
        state.prompt_k[i], state.prompt_v[i] = state.prompt_k[i][used], state.prompt_v[i][used]
        for cache in (state.sample_k, state.sample_v):
            shrunk = torch.empty(len(state.rows), *cache[i].shape[1:])
            shrunk[:, :, : step + 1] = cache[i][alive, :, : step + 1]
            cache[i] = shrunk
