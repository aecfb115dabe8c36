"""How the next token is chosen from logits, and where a completion ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_new_tokens: Longest completion.
        temperature: Divides the logits; ``None`` takes the most likely token each time (greedy).
        top_p: Smallest set of tokens with this much probability is kept; 1 keeps all.
        eos_ids: Tokens that end a completion (kept as its last token).
        pad_id: Token for padding.
    """

    max_new_tokens: int
    temperature: float | None
    top_p: float
    eos_ids: tuple[int, ...]
    pad_id: int


def cut(ids: list[int], eos_ids: tuple[int, ...]) -> list[int]:
    """The tokens up to and including the first end-of-text token."""
    for i, token in enumerate(ids):
        if token in eos_ids:
            return ids[: i + 1]
    return ids


def choose(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Next tokens from logits.

    Args:
        logits: (B, V), float.
        sampling: How tokens are chosen.

    Returns:
        (B,) token ids. Sampling inverts the cumulative distribution with one double-precision number a row, so
        that a token without probability is never taken.
    """
    import torch

    if sampling.temperature is None:
        return logits.argmax(-1)
    if sampling.temperature != 1.0:
        logits = logits / sampling.temperature
    probabilities = logits.softmax(-1)
    if sampling.top_p < 1.0:
        ordered, order = probabilities.sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= sampling.top_p
        probabilities = probabilities.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
    cumulative = probabilities.cumsum(-1)
    drawn = torch.rand(len(logits), 1, dtype=torch.float64, device=logits.device) * cumulative[:, -1:]
    return (cumulative <= drawn).sum(-1)
