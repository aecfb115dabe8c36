from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rlkd.student.fresh import train_tokenizer
from rlkd.student.special_tokens import end_ids, prepare_tokenizer, turn_end

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


@pytest.fixture
def tokenizer() -> Any:
    made = train_tokenizer(["1 + 2 = 3"], 300)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (CHATML, "<|im_end|>"),
        (CHATML.replace("<|im_end|>\n", " <|im_end|>"), "<|im_end|>"),  # some write a space before it
        (CHATML.replace("<|im_end|>", "<eos>"), "<eos>"),
        (CHATML.replace("<|im_end|>", ""), None),  # a turn that ends with its line only
        ("{{ raise_exception('no') }}", None),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", None),
        (None, None),
    ],
)
def test_the_end_of_a_turn_is_read_off_the_template(
    tokenizer: Any, template: str | None, end: str | None
) -> None:
    tokenizer.chat_template = template
    assert turn_end(tokenizer) == end


def test_chat_ends_with_the_turn_and_says_so(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    assert prepare_tokenizer(tokenizer, "here") == ""
    assert tokenizer.eos_token == "<eos>"
    assert prepare_tokenizer(tokenizer, "here", chat=True) == (
        "EOS is <|im_end|>, with which the chat template ends a turn (the tokenizer has <eos>)"
    )
    assert tokenizer.eos_token == "<|im_end|>"
    assert prepare_tokenizer(tokenizer, "here", chat=True) == ""


def test_padding_that_is_the_end_is_replaced_and_said(tokenizer: Any) -> None:
    tokenizer.pad_token = "<eos>"
    assert prepare_tokenizer(tokenizer, "here") == "PAD is <pad>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


@pytest.mark.parametrize(("declared", "ids"), [(None, (2,)), (7, (2, 7)), ([7, 2], (2, 7))])
def test_a_completion_ends_at_what_model_or_tokenizer_declares(declared: Any, ids: tuple[int, ...]) -> None:
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=declared))
    assert end_ids(model, SimpleNamespace(eos_token_id=2)) == ids
