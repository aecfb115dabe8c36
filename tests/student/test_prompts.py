from __future__ import annotations

from typing import Any

import pytest

from rlkd.answers.conventions import read_output
from rlkd.errors import ConfigError, DataError
from rlkd.student.fresh import train_tokenizer
from rlkd.student.prompts import PromptBook, encode_pairs, training_text
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


THINKING = TEMPLATE.replace("assistant:{% endif %}", "assistant:<think>\n{% endif %}")
"""A template that opens the reasoning itself, as DeepSeek-R1's and QwQ's do."""
TRACE = "<think>\n1 + 2 = 3\n</think>\n<answer>\n\\boxed{3}\n</answer>"


def learned_text(book: PromptBook, completion: str) -> str:
    """Prompt and completion as one text, as the student sees them in training."""
    (row,) = encode_pairs(book, [("1 + 2?", completion)]).rows
    text: str = book.tokenizer.decode(row["input_ids"])
    return text


@pytest.mark.parametrize(
    ("end", "opening"),
    [
        ("assistant:<think>\n", "<think>\n"),
        ("assistant:<think>", "<think>"),
        ("<|assistant|>", ""),
        ("[INST] 1 [/INST]", ""),
        ("assistant\n<think>\n\n</think>\n\n", ""),
        ("assistant:[THINK]", "[THINK]"),
        ("A: <reasoning>\n", "<reasoning>\n"),
        ("so 1 < 2 and 3 >", ""),
        ("<assistant>", ""),
    ],
)
def test_what_the_prompt_has_opened_is_found(tokenizer: Any, end: str, opening: str) -> None:
    assert PromptBook(StudentConfig(prompt="{question} " + end), tokenizer).opening == opening


def test_a_tag_that_the_template_opens_is_not_repeated(tokenizer: Any) -> None:
    tokenizer.chat_template = THINKING
    book = PromptBook(StudentConfig(chat=True, output="think_boxed"), tokenizer)
    assert learned_text(book, TRACE) == "<bos>user: 1 + 2?\nassistant:" + TRACE + "<eos>"
    tokenizer.chat_template = THINKING.replace("<think>\n", "<think>")
    book = PromptBook(StudentConfig(chat=True, output="think_boxed"), tokenizer)
    assert learned_text(book, TRACE) == "<bos>user: 1 + 2?\nassistant:" + TRACE + "<eos>"


def test_what_is_sampled_after_an_opened_tag_is_read_whole(tokenizer: Any) -> None:
    tokenizer.chat_template = THINKING
    book = PromptBook(StudentConfig(chat=True, output="think_boxed"), tokenizer)
    sampled = TRACE.removeprefix("<think>\n")
    assert book.whole(sampled) == TRACE
    assert read_output(book.whole(sampled), "think_boxed").well_formed
    twice = read_output(book.whole(TRACE), "think_boxed")  # a student that opens it once more
    assert twice.answer == "3"
    assert not twice.well_formed


def test_a_tag_that_the_completion_never_closes_is_an_error(tokenizer: Any) -> None:
    tokenizer.chat_template = THINKING
    book = PromptBook(StudentConfig(chat=True, output="boxed"), tokenizer)
    with pytest.raises(ConfigError, match=r"ends with <think>, which .*student.output=boxed never closes"):
        book.encode_completion("1 + 2 = 3\nThe answer is \\boxed{3}.")


def test_a_template_that_refuses_a_system_message_names_the_setting(tokenizer: Any) -> None:
    refusal = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    )
    tokenizer.chat_template = refusal + TEMPLATE
    with pytest.raises(
        ConfigError,
        match=r"student.system: .*refuses a system message \(System role not supported\); set student",
    ):
        PromptBook(StudentConfig(chat=True, system="Be brief."), tokenizer).render("1 + 2?")
    folded = PromptBook(StudentConfig(chat=True, system="Be brief.", system_role="user"), tokenizer)
    assert folded.render("1 + 2?") == "<bos>user: Be brief.\n\n1 + 2?\nassistant:"


def test_a_template_that_drops_the_system_message_is_an_error(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    with pytest.raises(ConfigError, match=r"student.system: the chat template leaves the system message out"):
        PromptBook(StudentConfig(chat=True, system="Be brief."), tokenizer).render("1 + 2?")


def test_a_template_that_cannot_be_filled_is_one_sentence(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages[0].content + messages[1].content }}"
    with pytest.raises(ConfigError, match=r"student.chat: the tokenizer's chat template cannot be filled"):
        PromptBook(StudentConfig(chat=True), tokenizer).render("1 + 2?")


def test_a_template_that_strips_reasoning_from_earlier_turns_does_not_strip_what_is_learned(
    tokenizer: Any,
) -> None:
    tokenizer.chat_template = TEMPLATE.replace(
        "{{ m.content }}", "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    )
    book = PromptBook(StudentConfig(chat=True, output="think_boxed"), tokenizer)
    assert learned_text(book, TRACE).endswith(TRACE + "<eos>")
