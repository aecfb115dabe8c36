"""Log-probabilities of a group's completions with their common prompt computed once.

GRPO scores G completions of each prompt. As separate rows the prompt is computed G times and every row is
padded to the longest; packed together the prompt is computed once and little is padded:
``[prompt without its last token, segment 1, segment 2, ...]``, where a segment is the prompt's last token
followed by a completion without its last token. A mask lets a segment see the prompt and itself only, and
position ids continue the prompt in each segment, so every probability is the same as unpacked, up to rounding.

Shapes: B completions, U packed rows, P prompt tokens (padded on the left), C completion tokens (padded on
the right), L tokens of a packed row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LONGEST = 2048
"""Longest packed row: the mask has L x L entries."""

_PLAIN = {"llama", "qwen2", "qwen3"}
"""Architectures whose attention is full and whose positions are rotary (only differences of positions matter)."""


@dataclass(frozen=True)
class Packed:
    """A packed batch.

    Attributes:
        input_ids: (U, L).
        mask: (U, 1, L, L), true where a query may see a key.
        positions: (U, L).
        labels: (U, L) the token that each position predicts; -100 where none counts.
        row: (B, 1) packed row of each completion.
        place: (B, C) position in that row that predicts each completion token.
        real: (B, C) whether it is a token, not padding.
    """

    input_ids: Tensor
    mask: Tensor
    positions: Tensor
    labels: Tensor
    row: Tensor
    place: Tensor
    real: Tensor

    def unpack(self, values: Tensor) -> Tensor:
        """Per-position values (U, L) as values per completion token (B, C), 0 at padding."""
        return values[self.row, self.place] * self.real


def supports(model: Any) -> bool:
    """Whether a model's attention allows packing."""
    config = getattr(model, "config", None)
    return (
        config is not None
        and config.model_type in _PLAIN
        and config._attn_implementation == "sdpa"
        and not getattr(config, "use_sliding_window", False)
    )


def pack(input_ids: Tensor, attention_mask: Tensor, completion: int, width: int) -> Packed | None:
    """Packs a batch, or says that it is not worth it.

    Args:
        input_ids: (B, P + C), prompts padded on the left, completions on the right.
        attention_mask: (B, P + C).
        completion: C.
        width: Hidden size of the model, for the estimate of the costs.

    Returns:
        The packed batch; ``None`` where plain rows are cheaper or the packed ones too long.
    """
    rows, total = input_ids.shape
    length = total - completion
    prompts = torch.cat([input_ids[:, :length], attention_mask[:, :length].to(input_ids.dtype)], 1)
    group = torch.unique(prompts, dim=0, return_inverse=True)[1]
    sizes = attention_mask[:, length:].sum(1)
    best: tuple[float, Tensor, Tensor, int] | None = None
    for parts in (1, 2, 4):
        row, start, longest = _layout(group, sizes, length - 1, parts)
        cost = _cost(int(row.max()) + 1, longest, width)
        if longest <= LONGEST and (best is None or cost < best[0]):
            best = cost, row, start, longest
    if best is None or best[0] > 0.9 * _cost(rows, total, width):
        return None
    _, row, start, longest = best
    return _fill(input_ids, attention_mask, length, row, start, longest)


def _cost(rows: int, length: int, width: int) -> float:
    """Multiplications per layer: about 12 E^2 a token in the matrices and 2 L E in the attention, over E."""
    return rows * length * (12.0 * width + 2.0 * length)


def _layout(group: Tensor, sizes: Tensor, prompt: int, parts: int) -> tuple[Tensor, Tensor, int]:
    """Where completions go when each group is packed into ``parts`` rows.

    Returns:
        Packed row (B,) and first position (B,) of each completion, and L.
    """
    fill: dict[tuple[int, int], int] = {}
    index: dict[tuple[int, int], int] = {}
    seen: dict[int, int] = {}
    row, start = [], []
    for name, size in zip(group.tolist(), sizes.tolist(), strict=True):
        number = seen.get(name, 0)
        seen[name] = number + 1
        key = (name, number % parts)
        row.append(index.setdefault(key, len(index)))
        start.append(fill.get(key, prompt))
        fill[key] = start[-1] + size
    return torch.tensor(row), torch.tensor(start), max(max(fill.values()), prompt + 1)


def _fill(
    input_ids: Tensor, attention_mask: Tensor, length: int, row: Tensor, start: Tensor, longest: int
) -> Packed:
    """Writes tokens, labels, positions and mask of the packed rows."""
    device, completion = input_ids.device, input_ids.shape[1] - length
    row, start, count = row.to(device), start.to(device), int(row.max()) + 1
    real = attention_mask[:, length:].bool()
    offset = torch.arange(completion, device=device)
    place = (start[:, None] + offset).clamp(max=longest - 1)
    at = row[:, None].expand_as(place)[real], place[real]
    first = torch.zeros(count, dtype=torch.long, device=device)
    first[row] = torch.arange(len(row), device=device)  # any completion of the row: they share the prompt
    ids = input_ids.new_zeros(count, longest)
    ids[:, : length - 1] = input_ids[first, : length - 1]
    ids[at] = input_ids[:, length - 1 : -1][real]
    labels = input_ids.new_full((count, longest), -100)
    labels[at] = input_ids[:, length:][real]
    positions = torch.zeros_like(ids)
    positions[:, : length - 1] = torch.arange(length - 1, device=device)
    positions[at] = (length - 1 + offset).expand_as(place)[real]
    # Segment -1 is the prompt, seen by all; -2 is padding, seen by none but itself (to stay finite).
    segment = torch.full_like(ids, -2)
    segment[:, : length - 1] = torch.where(attention_mask[first, : length - 1].bool(), -1, -2)
    segment[at] = torch.arange(len(row), device=device)[:, None].expand_as(place)[real]
    seen = (segment[:, :, None] == segment[:, None]) | (segment[:, None] == -1)
    mask = seen & torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    return Packed(ids, mask[:, None], positions, labels, row[:, None], place, real)


def log_probabilities(model: Any, packed: Packed, *, entropy: bool) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities (B, C), 0 where masked, and entropies (B, C) of a packed batch.

    Args:
        model: The policy with TRL's fused head (``fused_lm_head=True`` returns log-probabilities).
        packed: The batch.
        entropy: Whether entropies are wanted.
    """
    device = packed.mask.device.type
    dtype = (
        torch.get_autocast_dtype(device)
        if torch.is_autocast_enabled(device)
        else next(model.parameters()).dtype
    )
    # Added to the scores, made once: a boolean mask would be turned into this in every layer, and kept for backward.
    mask = torch.zeros(packed.mask.shape, dtype=dtype, device=device).masked_fill_(
        ~packed.mask, float("-inf")
    )
    output = model(
        input_ids=packed.input_ids,
        attention_mask=mask,
        position_ids=packed.positions,
        shift_labels=packed.labels,
        fused_lm_head=True,
    )
    return packed.unpack(output.log_probs), packed.unpack(output.entropy) if entropy else None
