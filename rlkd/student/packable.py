"""Which students are trained on packed rows: several texts in one row of the warm start, a group's prompt once in RL."""

from __future__ import annotations

from typing import Any

FULL_ATTENTION = ("sdpa", "rlkd_segments")
"""Names of attention functions that look at the whole text before a token: the library's, and :mod:`rlkd.training.shared_prompt`'s."""

PACKED = frozenset(
    {
        *(
            "arcee",
            "cohere",
            "gemma",
            "glm",
            "glm4",
            "granite",
            "helium",
            "llama",
            "mistral",
            "olmo",
            "olmo2",
        ),
        *("phi3", "qwen2", "qwen3", "smollm3", "starcoder2"),
    }
)
"""Architectures whose attention is full and whose positions are rotary (only differences of positions matter); a test compares packed
with separate rows for each of them."""


def why_not_packed(config: Any, attention: str) -> str:
    """Says why a model is trained on separate, padded rows; empty where its texts are packed.

    Args:
        config: The model's transformers configuration.
        attention: Name of its attention function (``student.attention``).
    """
    if config.model_type not in PACKED:
        return f"{config.model_type} is not among the architectures that this is tested for"
    if attention not in FULL_ATTENTION:
        return f"student.attention is {attention}, and only sdpa keeps the texts of a row apart"
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"} or (window and getattr(config, "use_sliding_window", True)):
        return f"its layers look at a window of {window} tokens, not at the whole text"
    if (getattr(config, "rope_parameters", None) or {}).get("rope_type") in ("dynamic", "longrope"):
        return "its positions are scaled by the length of the row"
    if getattr(config, "use_bidirectional_attention", None):
        return "its attention looks ahead"
    return ""
