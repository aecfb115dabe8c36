"""Models under evaluation behind one interface: students on this machine, and language models behind an endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rlkd.answers.conventions import OutputFormat
from rlkd.completion.base import gather, log
from rlkd.completion.local_hf import model_name
from rlkd.errors import CheckpointError, EndpointError, UserError
from rlkd.io import sha256_json
from schemas.config.endpoint import LocalEndpoint
from schemas.config.student import CheckpointModel, StudentConfig
from schemas.config.traces import SampledTeacher, TeacherConfig
from schemas.problem import Problem
from schemas.rollout import Completion

if TYPE_CHECKING:
    from rlkd.data.teachers._sampled import LanguageModelTeacher
    from rlkd.student.prompts import PromptBook
    from rlkd.student.sampler import LocalSampler

Ask = tuple[Problem, int | None]
"""A problem and the number of the sample; ``None`` for the greedy answer."""
_PER_CONNECTION = 32
"""Requests handed to an endpoint at once, for each connection: its queue never runs dry, and memory stays bounded."""


class Solver(Protocol):
    """A model that answers problems."""

    @property
    def identity(self) -> str:
        """Digest of the model and the way of asking: the same identity means the same answers."""

    @property
    def output(self) -> OutputFormat:
        """How it is asked to state its answer."""

    @property
    def asked(self) -> dict[str, Any]:
        """How it is asked, for the report."""

    @property
    def batch(self) -> int:
        """Answers asked for at once."""

    @property
    def cost(self) -> str:
        """What the answers have cost, in words; empty where they cost nothing."""

    @property
    def fault(self) -> str:
        """Why the last request failed that did; empty where none has."""

    def complete(self, asks: Sequence[Ask], temperature: float | None, seed: int) -> list[Completion | None]:
        """Answers problems, in order; greedy where ``temperature`` is ``None``. ``None`` is a request that failed.

        A problem whose prompt is too long gets an empty completion without a token.
        """

    def close(self) -> None:
        """Lets go of weights or connections."""


class StudentSolver:
    """A causal LM on this machine, asked as a student is.

    Args:
        config: The ``student`` section.
        folder: Its checkpoint; ``None`` loads ``student.model``.
        batch: Completions generated at once.

    Raises:
        CheckpointError: It cannot be loaded.
    """

    def __init__(self, config: StudentConfig, folder: Path | None, batch: int) -> None:
        self.config, self.folder, self.batch = config, folder, batch
        self.output: OutputFormat = config.output
        self.asked = config.model_dump(mode="json", exclude={"model", "lora", "attention"})
        self.cost = self.fault = ""
        self._sampler: LocalSampler | None = None
        self._book: PromptBook | None = None

    @property
    def identity(self) -> str:
        """Digest of the weights and the way of asking."""
        from rlkd.student.checkpoints import resolve_model_path

        model = self.config.model
        revision = model.revision if isinstance(model, CheckpointModel) else None
        where = self.folder or (
            resolve_model_path(model.path) if isinstance(model, CheckpointModel) else model.type
        )
        return sha256_json([model_name(LocalEndpoint(path=str(where), revision=revision)), self.asked])

    def load(self) -> None:
        """Loads the model; done by itself when the first completion is asked for.

        Raises:
            CheckpointError: It cannot be loaded.
        """
        import torch

        from rlkd.student.load import load_student
        from rlkd.student.prompts import PromptBook
        from rlkd.student.sampler import LocalSampler

        if self._sampler is not None:
            return
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        student = load_student(self.config, self.folder)
        self._book = PromptBook(self.config, student.tokenizer)
        self._sampler = LocalSampler(student.model, student.tokenizer, whole=self._book.whole)

    def complete(self, asks: Sequence[Ask], temperature: float | None, seed: int) -> list[Completion | None]:
        """Answers problems; see :class:`Solver`."""
        drawn = int(sha256_json([seed, temperature, asks[0][0].id, asks[0][1]])[:8], 16)
        return list(self.generate([problem for problem, _ in asks], temperature, drawn))

    def generate(self, problems: Sequence[Problem], temperature: float | None, seed: int) -> list[Completion]:
        """Samples one completion per problem, in order; a prompt over ``student.max_prompt_tokens`` gets an empty one."""
        self.load()
        assert self._sampler is not None and self._book is not None
        prompts = [self._book.encode(problem.question) for problem in problems]
        fits = [i for i, ids in enumerate(prompts) if self._book.fits(ids)]
        made = self._sampler.generate(
            [prompts[i] for i in fits],
            self.config.max_completion_tokens,
            temperature,
            self.batch,
            seed,
            problem_ids=[problems[i].id for i in fits],
        )
        found = dict(zip(fits, made, strict=True))
        return [
            found.get(i) or Completion(problem_id=problem.id, text="", tokens=0, finish_reason="length")
            for i, problem in enumerate(problems)
        ]

    def close(self) -> None:
        """Lets go of the model."""
        self._sampler = self._book = None


class EndpointSolver:
    """A language model behind an endpoint, asked as a teacher is: same client, settings, budget and kept answers.

    Args:
        config: The teacher, one of ``traces.teacher``.
        ask_first: Ask its server for the model before the first answer that is not kept yet: many retries of many requests
            would take a minute to find what one look finds.

    Raises:
        UserError: It is no language model.
    """

    def __init__(self, config: TeacherConfig, ask_first: bool = False) -> None:
        if not isinstance(config, SampledTeacher):
            raise UserError(
                f"the teacher {config.type} is no language model; evaluate one of type endpoint or local"
            )
        self.config: TeacherConfig = config
        self.output: OutputFormat = config.output or "boxed"
        self.asked = config.model_dump(
            mode="json", exclude={"temperature", "attempts", "price", "budget", "answers", "domains"}
        )
        self.fault = ""
        self._ask_first = ask_first
        self._teacher: LanguageModelTeacher | None = None
        self._runner = asyncio.Runner()
        first = self._open(None)
        asked = {name: value for name, value in self.asked.items() if name != "endpoint"}
        self.identity = sha256_json([first.completer.name, asked])
        self.batch = _PER_CONNECTION * first.concurrency

    @property
    def cost(self) -> str:
        """What the answers that this call asked for have cost, those included that were kept from earlier ones."""
        teacher = self._open(None)
        spent = teacher.spending.spent
        return spent.text(teacher.config.price) if spent.requests else ""

    def complete(self, asks: Sequence[Ask], temperature: float | None, seed: int) -> list[Completion | None]:
        """Answers problems; see :class:`Solver`.

        Raises:
            UserError: The server cannot be used, no further request could succeed, or the budget is spent; what was answered
                is kept.
        """
        from rlkd.completion.models_list import need_servers

        teacher = self._open(temperature)
        if self._ask_first and any(
            teacher.known(problem, index or 0, seed) is None for problem, index in asks
        ):
            self._ask_first = False
            for note in need_servers(self.config):
                log.warning("%s", note)

        async def ask(problem: Problem, index: int | None) -> Completion | None:
            try:
                answer = await teacher.sample(problem, index or 0, seed)
            except EndpointError as error:
                self.fault = str(error)
                return None
            refused = answer.finish == "refused"
            return Completion(
                problem_id=problem.id,
                text="" if refused else teacher.path(answer),
                tokens=max(answer.completion_tokens, 1),
                finish_reason="length" if answer.finish == "length" else "stop",
            )

        async def all_of_them() -> list[Completion | None]:
            return await gather([ask(problem, index) for problem, index in asks])

        return self._runner.run(all_of_them())

    def close(self) -> None:
        """Closes the connections, and lets other processes have the answers."""
        if self._teacher is not None:
            self._runner.run(self._teacher.completer.aclose())
            self._teacher.close()
            self._teacher = None
        self._runner.close()

    def _open(self, temperature: float | None) -> LanguageModelTeacher:
        """The teacher at a temperature; one holds the file of answers at a time."""
        from rlkd.data.teachers import open_teacher
        from rlkd.data.teachers._sampled import LanguageModelTeacher

        wanted = temperature or 0.0
        if self._teacher is None or self._teacher.config.temperature != wanted:
            made = open_teacher(self.config.model_copy(update={"temperature": wanted}), [])
            assert isinstance(made, LanguageModelTeacher)
            if self._teacher is not None:
                self._teacher.close()
                made.completer = self._teacher.completer  # warm connections, or loaded weights
                made.spending = self._teacher.spending  # one budget
            self._teacher = made
        return self._teacher


def conventions_of(path: str) -> dict[str, Any]:
    """Chooses how a model is asked that comes without a run's configuration, as settings of the section ``student``.

    Its chat template where it has one, the instructions that a teacher would get at the top of the user's turn, the answer in a
    box, and as much of 2,048 prompt tokens and 1,024 new ones as its context holds.

    Args:
        path: Folder, GGUF file, hub id, or built-in model.

    Raises:
        CheckpointError: There is no such model, or it cannot be read.
    """
    from transformers import AutoConfig, AutoTokenizer

    from rlkd.data.teachers._sampled import prompt_for
    from rlkd.student.checkpoints import DEMO_BASE, resolve_model_path

    if path == DEMO_BASE:
        return {"model": {"type": "checkpoint", "path": path}}  # the defaults are its conventions
    where = resolve_model_path(path)
    try:
        tokenizer, model = AutoTokenizer.from_pretrained(where), AutoConfig.from_pretrained(where)
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: no model that can be loaded ({said[:200]}); name a checkpoint folder, a GGUF file, a Hugging Face id, "
            "builtin:NAME, models:/NAME/VERSION, a run folder, or an endpoint as http://HOST/v1#MODEL"
        ) from None
    context = getattr(model.get_text_config(), "max_position_embeddings", None) or 4096
    completion = min(1024, context // 2)
    chat = bool(getattr(tokenizer, "chat_template", None))
    asked = prompt_for("boxed")
    return {
        "model": {"type": "checkpoint", "path": path},
        "output": "boxed",
        "chat": chat,
        "max_prompt_tokens": min(2048, context - completion),
        "max_completion_tokens": completion,
        **(
            {"system": asked.replace("{question}", "").strip(), "system_role": "user"}
            if chat
            else {"prompt": f"{asked}\n"}
        ),
    }
