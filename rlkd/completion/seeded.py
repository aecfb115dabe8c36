"""Sampling in which each request draws by itself, so that its text does not depend on what shares its batch.

transformers draws for a whole batch from one generator, and which requests meet in a batch is a matter of time.

Shapes: B rows, T tokens to write, V tokens of the vocabulary, K tokens that may be chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rlkd.io import sha256_json

if TYPE_CHECKING:
    from torch import Tensor

_BELOW_ONE = 1 - 1e-6
"""A draw of 1 would lie behind the last token, or on it by rounding alone."""


def draws(asked: Sequence[tuple[Sequence[int], int]], tokens: int) -> Tensor:
    """Draws (B, T) uniform numbers for requests, each by its prompt and its seed alone.

    Args:
        asked: Prompt and seed of each request.
        tokens: T.
    """
    import torch

    rows = []
    for prompt, seed in asked:
        generator = torch.Generator().manual_seed(int(sha256_json([list(prompt), seed])[:15], 16))
        rows.append(torch.rand(tokens, generator=generator))
    return torch.stack(rows).clamp(max=_BELOW_ONE)


def choice(
    drawn_BT: Tensor, prompt_tokens: int, temperature: float, limits: Any
) -> Callable[[Tensor, Tensor], Tensor]:
    """Makes a logits processor that leaves the token which a row has drawn; with it, greedy decoding samples.

    Args:
        drawn_BT: See :func:`draws`.
        prompt_tokens: Length of the prompts, with padding.
        temperature: Above 0.
        limits: The model's ``GenerationConfig``: its ``top_k`` (50 where it says nothing, as in the library), ``top_p``, ``min_p``.
    """
    import torch

    top_k = 50 if limits.top_k is None else limits.top_k
    top_p = 1.0 if limits.top_p is None else limits.top_p
    min_p = limits.min_p or 0.0

    def choose(ids_BN: Tensor, scores_BV: Tensor) -> Tensor:
        likely_BV = (scores_BV.float() / temperature).softmax(-1)
        p_BK, token_BK = likely_BV.topk(min(top_k or likely_BV.shape[1], likely_BV.shape[1]))
        p_BK = p_BK / p_BK.sum(1, keepdim=True)
        before_BK = p_BK.cumsum(1) - p_BK
        p_BK = p_BK * (before_BK < top_p) * (p_BK >= min_p * p_BK[:, :1])
        upto_BK = p_BK.cumsum(1)
        drawn_B1 = drawn_BT[:, ids_BN.shape[1] - prompt_tokens, None] * upto_BK[:, -1:]
        place_B1 = torch.searchsorted(upto_BK, drawn_B1, right=True).clamp(max=upto_BK.shape[1] - 1)
        return torch.full_like(scores_BV, float("-inf")).scatter(1, token_BK.gather(1, place_B1), 0.0)

    return choose
