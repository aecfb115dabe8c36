"""How a problem becomes the student's prompt, in tokens: one way for SFT, RL, evaluation and chat alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlkd.answers.conventions import write_output
from rlkd.errors import ConfigError, DataError
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.trace import TeacherTrace

_OPENED = re.compile(r"(<(?![/|!])[^<>\s/]{1,40}>|\[(?!/)[A-Z][A-Z_]{1,40}\])(\s*)\Z")
"""A tag that ends a prompt: ``<think>`` (DeepSeek-R1, QwQ), ``<reasoning>``, ``[THINK]`` (Magistral); not ``<|assistant|>``."""
_ROLES = re.compile(r"user|system|assistant|model|human|inst|s|bos|eos", re.IGNORECASE)
"""Names in such brackets that mark a turn, as in ``[INST]``: they open no part of the completion."""


@dataclass(frozen=True)
class PromptBook:
    """Renders and encodes prompts and completions for one student.

    Attributes:
        student: The conventions (template or chat, output form, budgets).
        tokenizer: The student's tokenizer.
    """

    student: StudentConfig
    tokenizer: Any

    def render(self, question: str) -> str:
        """Renders the prompt as text, as the student sees it.

        Raises:
            ConfigError: Chat is on, and the tokenizer has no chat template, or one that refuses or drops
                ``student.system``.
        """
        if not self.student.chat:
            return self.student.prompt.replace("{question}", question)
        if not getattr(self.tokenizer, "chat_template", None):
            raise ConfigError(
                "student.chat is on, but the tokenizer has no chat template; set student.chat=false and a student.prompt"
            )
        system = self.student.system
        if system and self.student.system_role == "user":
            return self._templated([{"role": "user", "content": f"{system}\n\n{question}"}])
        user = {"role": "user", "content": question}
        return self._templated([{"role": "system", "content": system}, user] if system else [user])

    def _templated(self, messages: list[dict[str, str]]) -> str:
        """Fills the chat template.

        A template may refuse a role (Gemma's and the first Mistrals' raise), or leave its text out without a word:
        the student would then train without the instruction that its output form depends on.
        """
        from jinja2.exceptions import TemplateError

        remedy = "set student.system_role=user (the text goes to the top of the user's turn) or leave student.system empty"
        held = any(message["role"] == "system" for message in messages)
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if held:
                raise ConfigError(
                    f"student.system: the chat template refuses a system message ({said}); {remedy}"
                ) from None
            raise ConfigError(
                f"student.chat: the tokenizer's chat template cannot be filled ({said}); set student.chat=false and a student.prompt"
            ) from None
        if held and self.student.system.strip() not in text:
            raise ConfigError(f"student.system: the chat template leaves the system message out; {remedy}")
        return text

    @cached_property
    def opening(self) -> str:
        r"""The tag that the prompt ends with and so has already opened, for example ``<think>\n``; empty for none.

        Such a prompt (DeepSeek-R1's and QwQ's templates end in ``<think>\n``) has written the first part of every
        completion: training must not repeat it, and a completion that is read must have it back.
        """
        found = _OPENED.search(self.render("?"))
        return "" if found is None or _ROLES.fullmatch(found[1][1:-1]) else found[0]

    def continued(self, completion: str) -> str:
        """Takes off what the prompt has already written of a completion.

        Raises:
            ConfigError: The prompt opens a tag that the completion never closes.
        """
        tag = self.opening.rstrip()
        if not tag:
            return completion
        rest = completion.lstrip()
        if rest.startswith(tag):
            rest = rest.removeprefix(tag)
            return rest.lstrip() if self.opening != tag else rest
        if f"{tag[0]}/{tag[1:]}" not in completion:
            raise ConfigError(
                f"the prompt ends with {tag}, which a completion in student.output={self.student.output} never closes; "
                "set student.output=think_boxed, or take a chat template (or student.prompt) that does not open it"
            )
        return completion

    def whole(self, text: str) -> str:
        """Puts what the prompt has opened back before a sampled completion, as it is read and scored."""
        return self.opening + text

    def encode(self, question: str) -> list[int]:
        """Encodes the prompt as token ids."""
        return self.encode_rendered(self.render(question))

    def encode_rendered(self, prompt: str) -> list[int]:
        """Encodes a rendered prompt as token ids.

        A chat template writes its own special tokens, so none are added to it. An end-of-text token that a
        tokenizer puts at the end is taken off: the student would see the problem as already answered.
        """
        ids = list(self.tokenizer(prompt, add_special_tokens=not self.student.chat)["input_ids"])
        while ids and ids[-1] == self.tokenizer.eos_token_id and not self.student.chat:
            ids.pop()
        return ids

    def encode_completion(self, text: str) -> list[int]:
        """Encodes what the student is to write after the prompt, with the end-of-text token that stops it."""
        ids = list(self.tokenizer(self.continued(text), add_special_tokens=False)["input_ids"])
        if not ids or ids[-1] != self.tokenizer.eos_token_id:
            ids.append(self.tokenizer.eos_token_id)
        return ids

    def fits(self, ids: list[int]) -> bool:
        """Tells whether a prompt stays within ``student.max_prompt_tokens``."""
        return len(ids) <= self.student.max_prompt_tokens


@dataclass(frozen=True)
class TrainingText:
    """Tokenised training rows, and what was left out.

    Attributes:
        rows: ``{"input_ids": [...], "labels": [...]}``; labels are -100 over the prompt.
        long_prompts: Traces left out because their prompt exceeds ``student.max_prompt_tokens``.
        long_completions: Traces left out because their completion exceeds ``student.max_completion_tokens``.
    """

    rows: list[dict[str, list[int]]]
    long_prompts: int
    long_completions: int


def training_text(book: PromptBook, pairs: Iterable[tuple[Problem, TeacherTrace]]) -> TrainingText:
    """Tokenises (problem, trace) pairs for completion-only training; see :func:`encode_pairs`."""
    return encode_pairs(
        book,
        (
            (problem.question, write_output(trace.path, trace.answer or problem.answer, book.student.output))
            for problem, trace in pairs
        ),
    )


def trace_lengths(book: PromptBook, problems: Iterable[Problem]) -> list[int]:
    """Counts the tokens of the traces that come with problems, as the student would learn them, with their end."""
    return [
        len(book.encode_completion(write_output(trace, problem.answer, book.student.output)))
        for problem in problems
        for trace in problem.traces
    ]


def encode_pairs(book: PromptBook, pairs: Iterable[tuple[str, str]]) -> TrainingText:
    """Tokenises (question, completion) pairs for completion-only training.

    A pair that does not fit is left out and counted, never cut: a cut one teaches the student not to stop.

    Raises:
        DataError: Nothing fits.
    """
    rows: list[dict[str, list[int]]] = []
    long_prompts = long_completions = 0
    for question, text in pairs:
        prompt = book.encode(question)
        completion = book.encode_completion(text)
        if not book.fits(prompt):
            long_prompts += 1
        elif len(completion) > book.student.max_completion_tokens:
            long_completions += 1
        else:
            rows.append({"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion})
    if not rows and (long_prompts or long_completions):
        raise DataError(
            f"no teacher trace fits: {long_prompts} have a prompt over student.max_prompt_tokens "
            f"({book.student.max_prompt_tokens}) and {long_completions} a completion over student.max_completion_tokens "
            f"({book.student.max_completion_tokens}); raise these limits"
        )
    return TrainingText(rows, long_prompts, long_completions)
