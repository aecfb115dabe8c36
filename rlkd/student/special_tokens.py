"""The tokens that end a text and that pad a batch: found, checked, and set where that is safe."""

from __future__ import annotations

from typing import Any

from rlkd.errors import CheckpointError

_MARK = "0123456789"
"""What the assistant says in the turn whose end is looked at; digits, which no template changes."""
_SPARE = (
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<|finetune_right_pad_id|>",
    "<|endoftext|>",
    "<|reserved_special_token_0|>",
    "<|padding|>",
)
"""Tokens that texts do not hold, under the names that published tokenizers have for them."""


def prepare_tokenizer(tokenizer: Any, where: str, *, chat: bool = False) -> str:
    """Checks the special tokens, and sets EOS and PAD where one can be had safely.

    The end-of-text token must never serve as padding: trainers that mask padding would then also mask the
    token that teaches the student to stop. A reserved or unknown token that never occurs is used instead.
    With ``chat`` a turn of the chat template ends the text: Gemma's ends with ``<end_of_turn>`` where the tokenizer's EOS
    is ``<eos>``, and a student that is taught the one would not stop at the other.

    Returns:
        One sentence about what was set; empty where nothing was.

    Raises:
        CheckpointError: There is no end-of-text token, or no token that can serve as padding.
    """
    tokenizer.padding_side = "left"
    said = []
    end = turn_end(tokenizer) if chat else None
    if end is not None and end != tokenizer.eos_token:
        said.append(
            f"EOS is {end}, with which the chat template ends a turn (the tokenizer has {tokenizer.eos_token})"
        )
        tokenizer.eos_token = end
    if tokenizer.eos_token_id is None:
        raise CheckpointError(
            f"{where}: the tokenizer has no end-of-text (EOS) token, so the student could not stop; "
            'set "eos_token" in its tokenizer_config.json to the token that ends its texts'
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        spare = _spare_token(tokenizer)
        if spare is not None:
            tokenizer.pad_token = spare
            said.append(f"PAD is {spare}")
        elif tokenizer.pad_token_id is None:
            raise CheckpointError(
                f"{where}: the tokenizer has no padding (PAD) token and no unused one to take for it; "
                'set "pad_token" in its tokenizer_config.json to a token that never occurs in a text'
            )
    return "; ".join(said)


def turn_end(tokenizer: Any) -> str | None:
    """Finds the token with which the chat template ends the assistant's turn, for example ``<|im_end|>``.

    ``None`` where there is no template, it cannot be filled, or a turn ends with no token of its own.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    from jinja2.exceptions import TemplateError

    messages = [{"role": "user", "content": "1"}, {"role": "assistant", "content": _MARK}]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except (TemplateError, TypeError, ValueError, KeyError):
        return None
    _, mark, rest = text.rpartition(_MARK)
    if not mark:
        return None
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    rest = rest.lstrip()
    found = [token for token in special if token and rest.startswith(token)]
    return max(found, key=len, default=None)


def end_ids(model: Any, tokenizer: Any = None) -> tuple[int, ...]:
    """Lists the tokens at which a completion ends: those that the model's generation declares, and the tokenizer's EOS."""
    declared = model.generation_config.eos_token_id
    ids = [
        *(declared if isinstance(declared, list) else [declared]),
        getattr(tokenizer, "eos_token_id", None),
    ]
    return tuple(sorted({token for token in ids if token is not None}))


def _spare_token(tokenizer: Any) -> str | None:
    """Finds a token of the vocabulary that texts do not hold: a reserved one, else the unknown token."""
    vocabulary = tokenizer.get_vocab()
    for name in _SPARE:
        if name in vocabulary and vocabulary[name] != tokenizer.eos_token_id:
            return name
    unknown = tokenizer.unk_token
    return unknown if unknown is not None and tokenizer.unk_token_id != tokenizer.eos_token_id else None
