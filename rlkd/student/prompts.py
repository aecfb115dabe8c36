"""How a problem becomes the student's prompt, in tokens: one way for SFT, RL, evaluation and chat alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rlkd.answers.conventions import write_output
from rlkd.errors import ConfigError, DataError
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.trace import TeacherTrace


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
        """The prompt as text, as the student sees it.

        Raises:
            ConfigError: Chat is on and the tokenizer has no chat template.
        """
        if not self.student.chat:
            return self.student.prompt.replace("{question}", question)
        if not getattr(self.tokenizer, "chat_template", None):
            raise ConfigError(
                "student.chat is on, but the tokenizer has no chat template; set student.chat=false and a student.prompt"
            )
        messages = [{"role": "system", "content": self.student.system}] if self.student.system else []
        messages.append({"role": "user", "content": question})
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def encode(self, question: str) -> list[int]:
        """The prompt as token ids."""
        return self.encode_rendered(self.render(question))

    def encode_rendered(self, prompt: str) -> list[int]:
        """A rendered prompt as token ids.

        A chat template writes its own special tokens, so none are added to it. An end-of-text token that a
        tokenizer puts at the end is taken off: the student would see the problem as already answered.
        """
        ids = list(self.tokenizer(prompt, add_special_tokens=not self.student.chat)["input_ids"])
        while ids and ids[-1] == self.tokenizer.eos_token_id and not self.student.chat:
            ids.pop()
        return ids

    def encode_completion(self, text: str) -> list[int]:
        """A completion as token ids, with the end-of-text token that stops it."""
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if not ids or ids[-1] != self.tokenizer.eos_token_id:
            ids.append(self.tokenizer.eos_token_id)
        return ids

    def fits(self, ids: list[int]) -> bool:
        """Whether a prompt stays within ``student.max_prompt_tokens``."""
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
