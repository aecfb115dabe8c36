"""The teacher ``student``: the student itself before training, of whose samples the verified ones teach it.

Rejection-sampling self-training, as in STaR (Zelikman et al. 2022, arXiv 2203.14465) without its hints, and RFT (Yuan et
al. 2023, arXiv 2308.01825). The student is asked as in training and evaluation: its own prompt, sampler and end of text.
"""

from __future__ import annotations

from typing import Any

from rlkd.completion.base import CompletionFault, CompletionRequest, CompletionResult, Message
from rlkd.completion.local_hf import LocalCompleter
from rlkd.data.paid_answers import PaidAnswer
from rlkd.data.teachers._sampled import LanguageModelTeacher
from rlkd.errors import ConfigError
from rlkd.io import sha256_json
from rlkd.student.checkpoints import resolve_model_path
from rlkd.student.load import load_student
from rlkd.student.prompts import PromptBook
from rlkd.student.sampler import LocalSampler
from schemas.config import traces as settings
from schemas.config.endpoint import LocalEndpoint
from schemas.config.student import CheckpointModel, StudentConfig
from schemas.problem import Problem


class StudentCompleter(LocalCompleter):
    """Completes with a student: questions go through its prompt template, and its own sampler writes.

    Args:
        student: The student; it must have a checkpoint.
        model: Its model.
        batch_size: Most completions at once.
    """

    def __init__(self, student: StudentConfig, model: CheckpointModel, batch_size: int) -> None:
        self._path = resolve_model_path(model.path)
        super().__init__(LocalEndpoint(path=self._path, revision=model.revision, batch_size=batch_size))
        asked = student.model_dump(include={"prompt", "chat", "system", "system_role", "dtype"})
        self.name += f"+{sha256_json(asked)[:8]}"
        self.student = student
        self._sampler: Any = None
        self._book: Any = None

    async def aclose(self) -> None:
        """Lets go of the weights."""
        self._sampler = self._book = None

    def _load(self) -> None:
        if self._sampler is None:
            loaded = load_student(self.student)
            self._book = PromptBook(self.student, loaded.tokenizer)
            self._sampler = LocalSampler(
                loaded.model,
                loaded.tokenizer,
                add_special_tokens=not self.student.chat,
                whole=self._book.whole,
            )

    def _generate(self, requests: list[CompletionRequest]) -> list[CompletionResult | CompletionFault]:
        """Samples one batch; the same requests give the same texts."""
        first = requests[0]
        prompts = [self._book.encode(request.messages[-1].content) for request in requests]
        fit = [i for i, prompt in enumerate(prompts) if self._book.fits(prompt)]
        asked = [[request.messages[-1].content, request.seed] for request in requests]
        written = self._sampler.generate(
            [prompts[i] for i in fit],
            first.max_tokens,
            first.temperature or None,
            self.config.batch_size,
            int(sha256_json(asked)[:8], 16),
        )
        limit = self.student.max_prompt_tokens
        results: list[CompletionResult | CompletionFault] = [
            CompletionFault(
                "rejected", f"a prompt of {len(prompt)} tokens exceeds student.max_prompt_tokens = {limit}"
            )
            for prompt in prompts
        ]
        for i, completion in zip(fit, written, strict=True):
            results[i] = CompletionResult(
                completion.text, completion.finish_reason, len(prompts[i]), completion.tokens
            )
        return results


class StudentTeacher(LanguageModelTeacher):
    """A student that is sampled as in its own training; see the module."""

    def __init__(
        self, config: settings.StudentTeacher, completer: StudentCompleter, model: str, concurrency: int
    ) -> None:
        super().__init__(config, completer, model, True, concurrency)
        self._longest = min(config.max_tokens, completer.student.max_completion_tokens)

    def request(self, problem: Problem, index: int, seed: int) -> CompletionRequest:
        """Builds the request for one sample: the bare question, which the completer puts into the student's prompt."""
        return CompletionRequest(
            messages=(Message("user", problem.question),),
            max_tokens=self._longest,
            temperature=self.config.temperature,
            allow_truncated=True,
            seed=self.sample_seed(seed, index),
        )

    def path(self, answer: PaidAnswer) -> str:
        """The student's text as it is: thoughts and answer are in its own form already."""
        return answer.text


def build(config: settings.StudentTeacher, problems: list[Problem]) -> StudentTeacher:
    """Builds the teacher of ``type: student``; nothing is loaded yet.

    Raises:
        ConfigError: The student has no checkpoint.
        CheckpointError: Its checkpoint is not there.
    """
    student = config.student
    if student is None or not isinstance(student.model, CheckpointModel):
        raise ConfigError(
            "traces.teacher is the student, but student.model names no checkpoint: a fresh student writes nothing"
        )
    completer = StudentCompleter(student, student.model, config.batch_size)
    return StudentTeacher(config, completer, f"student {student.model.path}", 2 * config.batch_size)
