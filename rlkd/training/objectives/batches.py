"""Rows of two sampled batches in one: what resampling needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_LEFT = ("prompt_ids", "prompt_mask")
"""Padded on the left; all others on the right."""


def merged(parts: list[tuple[dict[str, Any], list[int]]], pad_id: int) -> dict[str, Any]:
    """Joins rows of batches that TRL sampled, padded to the longest.

    Args:
        parts: Each a batch (tensors of equally many rows by name, and numbers) and the rows to take, in order.
        pad_id: The padding token.
    """
    import torch

    found: dict[str, Any] = {}
    for name, first in parts[0][0].items():
        if not isinstance(first, torch.Tensor) or first.ndim == 0:
            found[name] = first
            continue
        rows = [
            batch[name][torch.tensor(chosen, dtype=torch.long, device=first.device)]
            for batch, chosen in parts
        ]
        if first.ndim > 1:
            fill = pad_id if name in ("prompt_ids", "completion_ids") else 0
            width = max(part.shape[1] for part in rows)
            rows = [_padded(part, width, fill, left=name in _LEFT) for part in rows]
        found[name] = torch.cat(rows)
    return found


def _padded(rows: Tensor, width: int, fill: int, *, left: bool) -> Tensor:
    import torch

    missing = width - rows.shape[1]
    pad = (missing, 0) if left else (0, missing)
    return torch.nn.functional.pad(rows, pad, value=fill)
