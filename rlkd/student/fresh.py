"""A new student: a small random Llama with a tokenizer trained on the run's texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlkd.errors import ConfigError
from rlkd.student.load import Student, check_limits
from schemas.config.student import FreshModel, StudentConfig


def fresh_student(config: StudentConfig, texts: Iterable[str], seed: int) -> Student:
    """A small random Llama with a byte-level BPE tokenizer trained on the given texts.

    Args:
        config: The ``student`` section, whose model is ``fresh``.
        texts: What the tokenizer learns from: prompts and teacher paths of the training split.
        seed: Seed of the weights.

    Raises:
        ConfigError: The settings do not fit together.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model_config = config.model
    if not isinstance(model_config, FreshModel):
        raise ConfigError("student.model is not fresh")
    tokenizer = train_tokenizer(texts, model_config.vocabulary)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=model_config.width,
            intermediate_size=4 * model_config.width,
            num_hidden_layers=model_config.layers,
            num_attention_heads=model_config.heads,
            max_position_embeddings=model_config.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation=config.attention,
        )
    )
    check_limits(config, model, tokenizer, "student.model (fresh)")
    return Student(model, tokenizer)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer (any text survives it) with ``<pad>``, ``<bos>`` and ``<eos>``; the same for the same texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocabulary, 256 + 3),
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
