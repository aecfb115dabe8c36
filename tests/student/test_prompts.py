from __future__ import annotations

from typing import Any

import pytest

from rlkd.errors import ConfigError, DataError
from rlkd.student.fresh import train_tokenizer
from rlkd.student.prompts import PromptBook, training_text
from schemas.config.student import StudentConfig

from ..training.conftest import make_problem, make_trace

TEMPLATE = "{% for m in messages %}<bos>{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"


@pytest.fixture
def tokenizer() -> Any:
    return train_tokenizer(["What is 1 + 2?", "1 + 2 = 3\nThe answer is 3."], 300)


def test_the_template_is_filled_and_encoded_without_an_end(tokenizer: Any) -> None:
    book = PromptBook(StudentConfig(prompt="Q: {question}\nA:"), tokenizer)
    assert book.render("What {is} 1 + 2?") == "Q: What {is} 1 + 2?\nA:"
    assert tokenizer.decode(book.encode("What is 1 + 2?")) == "Q: What is 1 + 2?\nA:"


def test_an_end_token_added_by_the_tokenizer_is_taken_off(tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[("<bos>", tokenizer.bos_token_id), ("<eos>", tokenizer.eos_token_id)],
    )
    ids = PromptBook(StudentConfig(), tokenizer).encode("1 + 2")
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id not in ids


def test_a_chat_template_writes_its_special_tokens_itself(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATE
    book = PromptBook(StudentConfig(chat=True, system="Be brief."), tokenizer)
    assert book.render("1 + 2?") == "<bos>system: Be brief.\n<bos>user: 1 + 2?\nassistant:"
    ids = book.encode("1 + 2?")
    assert ids.count(tokenizer.bos_token_id) == 2  # the template's own, none added


def test_chat_without_a_template_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="the tokenizer has no chat template"):
        PromptBook(StudentConfig(chat=True), tokenizer).render("x")


def test_only_the_completion_and_its_end_are_learned(tokenizer: Any) -> None:
    problem = make_problem(1, 2, "train")
    book = PromptBook(StudentConfig(), tokenizer)
    text = training_text(book, [(problem, make_trace(problem))])
    (row,) = text.rows
    learned = [token for token in row["labels"] if token != -100]
    assert learned[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(learned[:-1]) == "1 + 2 = 3\nThe answer is 3."
    prompt = book.encode(problem.question)
    assert row["input_ids"] == prompt + learned
    assert row["labels"][: len(prompt)] == [-100] * len(prompt)


def test_traces_that_do_not_fit_are_left_out_whole_and_counted(tokenizer: Any) -> None:
    fits, long_prompt, long_path = (make_problem(a, 1, "train") for a in (1, 2, 3))
    long_prompt = long_prompt.model_copy(update={"question": "why? " * 40})
    path = make_trace(long_path).model_copy(update={"path": "3 + 1 = 4\n" * 30 + "The answer is 4."})
    book = PromptBook(StudentConfig(max_prompt_tokens=30, max_completion_tokens=60), tokenizer)
    text = training_text(
        book, [(fits, make_trace(fits)), (long_prompt, make_trace(long_prompt)), (long_path, path)]
    )
    assert (len(text.rows), text.long_prompts, text.long_completions) == (1, 1, 1)
    with pytest.raises(
        DataError, match=r"no teacher trace fits: 1 have a prompt over student.max_prompt_tokens"
    ):
        training_text(book, [(long_prompt, make_trace(long_prompt))])


def test_the_path_is_rewritten_in_the_students_convention(tokenizer: Any) -> None:
    problem = make_problem(1, 2, "train")
    book = PromptBook(StudentConfig(output="gsm8k"), tokenizer)
    (row,) = training_text(book, [(problem, make_trace(problem))]).rows
    learned = [token for token in row["labels"] if token != -100][:-1]
    assert tokenizer.decode(learned) == "1 + 2 = 3\n#### 3"
