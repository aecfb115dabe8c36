"""Log-probabilities of groups of completions without padding, each prompt computed once.

GRPO scores G completions of each prompt. As separate rows the prompt is computed G times and every row is padded to the
longest. Here a batch is one row without padding, ``[prompt 1, prompt 2, ..., segment 1, segment 2, ...]``, where a prompt is
without its last token, and a segment is that last token followed by a completion without its own last. Position ids continue the prompt
in each segment. In the attention a prompt sees itself, and a segment its prompt and itself; segments of about equal length are attended
together. So every probability is the same as in separate rows, up to rounding.

At 64 completions of 82 tokens in 8 groups the demo's student computes 6,100 positions so, for 14,800 in rows of a prompt and some of its
completions under a mask, and its attention takes a quarter of the time.

Shapes: B completions, U prompts, P prompt tokens (padded on the left), C completion tokens (padded on the right), N positions of the
row, H heads, K key-value heads, D head size; in a bucket of the attention b segments of at most T positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rlkd.student.packable import FULL_ATTENTION, why_not_packed

ATTENTION = FULL_ATTENTION[1]
"""Name of :func:`segment_attention` among the library's attention functions."""

BUCKET = 8
"""Segments attended together: sorted by length, so that few of their positions are padding."""


@dataclass(frozen=True)
class Bucket:
    """Segments of about equal length, in the order of the row.

    Attributes:
        index: (b, T) position in the row; at padding some other.
        prompt: (b,) number of the segment's prompt.
        mask: (b, 1, T, Pmax + T), 0 where a query may see a key of its prompt or of its segment, else -inf.
        real: Which of the b * T are no padding.
    """

    index: Tensor
    prompt: Tensor
    mask: Tensor
    real: Tensor


@dataclass(frozen=True)
class Segments:
    """What the attention has to know of a row.

    Attributes:
        index: (U, Pmax) position of each prompt token in the row; at padding, which is on the right, some other.
        real: Which of the U * Pmax are no padding.
        buckets: The segments, in the order of the row.
    """

    index: Tensor
    real: Tensor
    buckets: list[Bucket]


@dataclass(frozen=True)
class Packed:
    """A batch as one row.

    Attributes:
        input_ids: (1, N).
        positions: (1, N).
        labels: (1, N) the token that each position predicts; -100 where none counts.
        place: (B, C) position that predicts each completion token; at padding some other.
        real: (B, C) whether it is a token, not padding.
        segments: What sees what.
    """

    input_ids: Tensor
    positions: Tensor
    labels: Tensor
    place: Tensor
    real: Tensor
    segments: Segments

    def unpack(self, values: Tensor) -> Tensor:
        """Per-position values (1, N) as values per completion token (B, C), 0 at padding."""
        return values[0, self.place] * self.real


def supports(model: Any) -> bool:
    """Whether a model's attention allows packing."""
    config = getattr(model, "config", None)
    return config is not None and not why_not_packed(config, config._attn_implementation)


def prepare(model: Any) -> None:
    """Lets a model's layers attend by :func:`segment_attention`, which is the library's where no segments are given.

    For good, not for one call: with gradient checkpointing a layer runs again in the backward pass.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    AttentionInterface.register(ATTENTION, segment_attention)
    AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.config._attn_implementation = ATTENTION


def segment_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    segments: Segments | None = None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Computes the attention of a packed row; without ``segments`` the library's.

    Args:
        module: The layer.
        query: (1, H, N, D).
        key: (1, K, N, D).
        value: (1, K, N, D).
        attention_mask: Not used for a packed row.
        segments: What sees what.
        scaling: Factor on the scores; by default 1 / sqrt(D).
        others: What other attention functions take.

    Returns:
        (1, N, H, D), and nothing for the weights.
    """
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    repeats = query.shape[1] // key.shape[1]
    q_NHD, k_NHD, v_NHD = (
        x[0].transpose(0, 1).repeat_interleave(times, 1) if times > 1 else x[0].transpose(0, 1)
        for x, times in ((query, 1), (key, repeats), (value, repeats))
    )
    found = []
    prompt_k, prompt_v = _rows(k_NHD, segments.index), _rows(v_NHD, segments.index)
    if segments.index.shape[1]:
        seen = _attend(_rows(q_NHD, segments.index), prompt_k, prompt_v, None, scaling)
        found.append(seen.flatten(0, 1)[segments.real])
    for bucket in segments.buckets:
        own_k, own_v = _rows(k_NHD, bucket.index), _rows(v_NHD, bucket.index)
        keys = torch.cat([prompt_k.index_select(0, bucket.prompt), own_k], 1)
        values = torch.cat([prompt_v.index_select(0, bucket.prompt), own_v], 1)
        seen = _attend(_rows(q_NHD, bucket.index), keys, values, bucket.mask, scaling)
        found.append(seen.flatten(0, 1)[bucket.real])
    return torch.cat(found)[None], None


def _rows(x_NHD: Tensor, index: Tensor) -> Tensor:
    """Positions (b, T) of a row as (b, T, H, D)."""
    return x_NHD.index_select(0, index.flatten()).unflatten(0, index.shape)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float | None) -> Tensor:
    """Attention of (b, T, H, D) over keys and values (b, S, H, D), causal where there is no mask; (b, T, H, D)."""
    return functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
    ).transpose(1, 2)


def pack(
    input_ids: Tensor, attention_mask: Tensor, completion: int, dtype: torch.dtype = torch.float32
) -> Packed:
    """Packs a batch.

    Args:
        input_ids: (B, P + C), prompts padded on the left, completions on the right.
        attention_mask: (B, P + C).
        completion: C.
        dtype: Of the masks: the attention's, so that no layer makes a copy and keeps it for the backward pass.
    """
    device, length = input_ids.device, input_ids.shape[1] - completion
    prompts = torch.cat([input_ids[:, :length], attention_mask[:, :length].to(input_ids.dtype)], 1)
    group_B = torch.unique(prompts, dim=0, return_inverse=True)[1]
    first_U = torch.zeros(int(group_B.max()) + 1, dtype=torch.long, device=device)
    first_U[group_B] = torch.arange(
        len(group_B), device=device
    )  # any completion of the group: they share the prompt
    seen_UP = attention_mask[first_U, : length - 1].bool()
    ids = [input_ids[first_U, : length - 1][seen_UP]]
    positions = [(seen_UP.cumsum(1) - 1)[seen_UP]]
    labels = [torch.full_like(ids[0], -100)]
    prompt_B = attention_mask[:, : length - 1].sum(1)  # tokens of the prompt before its last
    real_BC = attention_mask[:, length:].bool()
    order_B = real_BC.sum(1).argsort(stable=True)
    sorted_real = real_BC[order_B]
    ids.append(input_ids[order_B, length - 1 : -1][sorted_real])
    labels.append(input_ids[order_B, length:][sorted_real])
    offset_C = torch.arange(completion, device=device)
    positions.append((prompt_B[order_B][:, None] + offset_C)[sorted_real])
    place_BC = torch.zeros(real_BC.shape, dtype=torch.long, device=device)
    before = len(ids[0]) - 1
    place_BC[order_B] = (before + sorted_real.flatten().cumsum(0)).clamp(min=0).view(real_BC.shape)
    segments = _segments(seen_UP, group_B[order_B], sorted_real, place_BC[order_B], dtype)
    return Packed(
        torch.cat(ids)[None],
        torch.cat(positions)[None],
        torch.cat(labels)[None],
        place=place_BC,
        real=real_BC,
        segments=segments,
    )


def _segments(
    seen_UP: Tensor, group_B: Tensor, real_BC: Tensor, place_BC: Tensor, dtype: torch.dtype
) -> Segments:
    """Makes the index and the masks of the attention; completions in the order of the row, shortest first."""
    device = seen_UP.device
    prompt_U = seen_UP.sum(1)
    longest = int(prompt_U.max())
    inside = torch.arange(longest, device=device) < prompt_U[:, None]
    index = (inside.flatten().cumsum(0) - 1).clamp(min=0).view(inside.shape)
    buckets = []
    sizes = real_BC.sum(1).tolist()
    for start in range(0, len(sizes), BUCKET):
        rows = slice(start, start + BUCKET)
        width = sizes[rows][-1]
        if not width:
            continue  # completions that are masked whole have no position
        causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
        visible = torch.cat(
            [
                inside[group_B[rows]][:, None].expand(-1, width, -1),
                causal.expand(len(sizes[rows]), -1, -1),
            ],
            2,
        )
        mask = torch.zeros(visible.shape, dtype=dtype, device=device).masked_fill_(~visible, float("-inf"))
        real = real_BC[rows, :width].flatten().nonzero()[:, 0]
        buckets.append(Bucket(place_BC[rows, :width], group_B[rows], mask[:, None], real))
    return Segments(index, inside.flatten().nonzero()[:, 0], buckets)


def log_probabilities(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    completion: int,
    *,
    entropy: bool,
    learned_B: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Computes log-probabilities (B, C), 0 where masked, and entropies (B, C) of a batch.

    Args:
        model: The policy, prepared (:func:`prepare`), with TRL's fused head (``fused_lm_head=True`` returns log-probabilities).
        input_ids: (B, P + C); see :func:`pack`.
        attention_mask: (B, P + C).
        completion: C.
        entropy: Whether entropies are wanted.
        learned_B: Completions that the gradient goes through. The others, of groups whose rewards are all equal, have an advantage
            of 0: without a backward pass they cost a third. One is kept where there is none, since processes wait for each other's
            gradients.
    """
    device = input_ids.device.type
    dtype = (
        torch.get_autocast_dtype(device)
        if torch.is_autocast_enabled(device)
        else next(model.parameters()).dtype
    )
    if learned_B is None or learned_B.all():
        return _of_packed(model, pack(input_ids, attention_mask, completion, dtype), entropy=entropy)
    learned_B = learned_B.clone()
    if not learned_B.any():
        learned_B[0] = True
    parts = []
    for rows_B, grad in ((learned_B, True), (~learned_B, False)):
        packed = pack(input_ids[rows_B], attention_mask[rows_B], completion, dtype)
        with torch.set_grad_enabled(grad):
            parts.append(_of_packed(model, packed, entropy=entropy))
    order_B = torch.cat([learned_B.nonzero()[:, 0], (~learned_B).nonzero()[:, 0]]).argsort()
    log_p, entropies = zip(*parts, strict=True)
    return torch.cat(log_p)[order_B], torch.cat(entropies)[order_B] if entropy else None


def _of_packed(model: Any, packed: Packed, *, entropy: bool) -> tuple[Tensor, Tensor | None]:
    output = model(
        input_ids=packed.input_ids,
        # Four dimensions: the library makes no mask of its own. The attention looks at the segments instead.
        attention_mask=packed.input_ids.new_zeros(1, 1, 1, 1),
        position_ids=packed.positions,
        segments=packed.segments,
        shift_labels=packed.labels,
        fused_lm_head=True,
    )
    return packed.unpack(output.log_probs), packed.unpack(output.entropy) if entropy else None
