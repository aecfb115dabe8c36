"""The demo's student: a word-level tokenizer over the worlds' language and a small Llama model."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from schemas.config.pretrain import TinyModelSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from rlkd.worlds.world import World

PAD, UNK, BOS, EOS = "<pad>", "<unk>", "<bos>", "<eos>"
_VALUE = re.compile(r" ?\{[vxyk]\}")
_SLOT = re.compile(r"\{[a-z]\}")
_GLUE = (
    "To find ",
    ".\nTo find ",
    ", I need ",
    " and ",
    "So ",
    ".\nSo ",
    "The answer is",
    ".\nThe answer is",
    " is missing",
    "nothing",
)


def world_tokens(worlds: Iterable[World]) -> list[str]:
    """The tokens of the worlds' language: names, values with their leading space, frequent phrases.

    Single printable characters follow, so that any ASCII text survives encoding and decoding.
    """
    tokens: dict[str, None] = dict.fromkeys(_GLUE)
    for world in worlds:
        tokens |= dict.fromkeys(world.names)
        tokens |= dict.fromkeys(f" {value}" for value in world.values)
        for op in world.ops.values():
            tokens |= dict.fromkeys(_phrases(op.statement + " "))
            tokens |= dict.fromkeys(_phrases("{a}: " + op.working + " is {v}"))
        tokens |= dict.fromkeys(_phrases(world.given + " ") + _phrases(world.question))
    tokens |= dict.fromkeys(c for c in string.printable if c not in "\r\x0b\x0c")
    return list(tokens)


def _phrases(template: str) -> list[str]:
    """The fixed text between the slots of a template; a value's slot takes the space before it."""
    return [piece for piece in _SLOT.split(_VALUE.sub("{v}", template)) if piece]


def build_tokenizer(worlds: Iterable[World] | None = None) -> PreTrainedTokenizerFast:
    """A lossless word-level tokenizer of the built-in worlds' language.

    Args:
        worlds: The domains to cover; all registered ones by default.

    Returns:
        A fast tokenizer with pad, unknown, begin and end tokens; it adds none of them by itself.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from rlkd.worlds import get_world, world_names

    tokens = world_tokens(worlds or [get_world(name) for name in world_names()])
    vocabulary = {token: i for i, token in enumerate([PAD, UNK, BOS, EOS, *tokens])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    longest_first = sorted(tokens, key=lambda t: (-len(t), t))
    pattern = "|".join(re.sub(r"([^A-Za-z0-9 \n\t])", r"\\\1", t) for t in longest_first)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
    )


def build_model(settings: TinyModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int) -> Any:
    """A small Llama-architecture causal LM with fresh weights.

    Args:
        settings: Its shape.
        tokenizer: Gives the vocabulary size and the special tokens.
        seed: Seed of the weights.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            max_position_embeddings=settings.max_positions,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
