"""The written forms of a decomposition: how a generative decomposer is asked, and how its answer is read.

``prompted`` asks any instructed model, with instructions and an example. ``json`` and ``compact`` are what a
GSRM is trained on, which needs no instructions: training and decomposing both take the request from here, so
that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from rlkd.completion.base import CompletionRequest, Message
from rlkd.errors import CheckpointError
from rlkd.structure.backends.prompting import PROMPT_VERSION, data_block, encode, prompt_domain, prompt_text
from rlkd.structure.decomposers.compact_form import compact_prompt, read_compact, write_compact
from rlkd.structure.decomposers.json_form import STEPS_SCHEMA, parse_steps
from rlkd.structure.interfaces import PathItem
from schemas.gsrm import GsrmCard, WrittenForm
from schemas.structure import ReasoningStep

CARD = "rlkd_gsrm.json"
"""File in a trained model's folder that says how it is to be asked."""
FORM_VERSION = 4
"""Raised with every change of what a trained form asks or writes: a model trained on another is refused."""


class Form(Protocol):
    """How a decomposition is asked for and read."""

    version: str
    """Part of the decomposer's name."""
    repairs: bool
    """Whether a model that is asked so can be told of its fault and asked again."""

    def request(self, item: PathItem, max_chars: int, max_tokens: int) -> CompletionRequest:
        """The request to decompose a path, of which ``max_chars`` characters are read."""

    def read(self, text: str, path: str) -> tuple[ReasoningStep, ...]:
        """The steps in what the model wrote.

        Raises:
            ParseFault: It holds no decomposition.
        """


class TrainedForm(Form, Protocol):
    """A form that a model can be trained on."""

    def texts(self, item: PathItem, max_chars: int, chat: bool) -> tuple[str, str]:
        """System message and question of the training prompt; without chat, the question is the whole prompt."""

    def write(self, steps: Sequence[ReasoningStep], path: str) -> str:
        """What the model should write."""


class PromptedForm:
    """Instructions and an example for the path's domain, then the data; JSON comes back."""

    version = str(PROMPT_VERSION)
    repairs = True

    def request(self, item: PathItem, max_chars: int, max_tokens: int) -> CompletionRequest:
        """See :class:`Form`."""
        messages = decompose_messages(item, max_chars)
        return CompletionRequest(messages=messages, max_tokens=max_tokens, json_schema=STEPS_SCHEMA)

    def read(self, text: str, path: str) -> tuple[ReasoningStep, ...]:
        """See :class:`Form`."""
        return parse_steps(text, path)


class JsonForm:
    """One sentence of instruction, then the data; the same JSON comes back. For large models."""

    version = f"json{FORM_VERSION}"
    repairs = False

    def request(self, item: PathItem, max_chars: int, max_tokens: int) -> CompletionRequest:
        """See :class:`Form`."""
        messages = (Message("system", prompt_text("gsrm")), Message("user", _question(item, max_chars)))
        return CompletionRequest(messages=messages, max_tokens=max_tokens, json_schema=STEPS_SCHEMA)

    def read(self, text: str, path: str) -> tuple[ReasoningStep, ...]:
        """See :class:`Form`."""
        return parse_steps(text, path)

    def texts(self, item: PathItem, max_chars: int, chat: bool) -> tuple[str, str]:
        """See :class:`TrainedForm`."""
        system, question = prompt_text("gsrm"), _question(item, max_chars)
        return (system, question) if chat else ("", f"{system}\n{question}\n")

    def write(self, steps: Sequence[ReasoningStep], path: str) -> str:
        """See :class:`TrainedForm`. Kinds and calculations are not written: a reader finds them in the quotes."""
        rows = [
            {
                "meta": step.meta,
                "sub_problem": step.sub_problem,
                "answer": step.answer,
                "uses": list(step.quantities),
                "operation": step.operation,
                "depends_on": list(step.depends_on),
                "quote": path[step.start : step.end],
            }
            for step in steps
        ]
        return encode({"steps": rows})


class CompactForm:
    """Labelled segments in, the same with the steps marked out (:mod:`rlkd.structure.decomposers.compact_form`). For small models."""

    version = f"compact{FORM_VERSION}"
    repairs = False

    def request(self, item: PathItem, max_chars: int, max_tokens: int) -> CompletionRequest:
        """See :class:`Form`."""
        return CompletionRequest(prompt=self.texts(item, max_chars, False)[1], max_tokens=max_tokens)

    def read(self, text: str, path: str) -> tuple[ReasoningStep, ...]:
        """See :class:`Form`."""
        return read_compact(text, path)

    def texts(self, item: PathItem, max_chars: int, chat: bool) -> tuple[str, str]:
        """See :class:`TrainedForm`; never through a chat template, and without the problem."""
        return "", compact_prompt(item.path[:max_chars])

    def write(self, steps: Sequence[ReasoningStep], path: str) -> str:
        """See :class:`TrainedForm`."""
        return write_compact(steps, path)


def decompose_messages(item: PathItem, max_chars: int) -> tuple[Message, ...]:
    """The request to an instructed model: instructions and an example for the path's domain, then the data."""
    system = prompt_text("decompose") + "\n\n" + prompt_text(f"decompose_{prompt_domain(item.domain)}")
    return Message("system", system), Message("user", _question(item, max_chars))


def _question(item: PathItem, max_chars: int) -> str:
    data = data_block({"problem": item.problem[:max_chars], "solution": item.path[:max_chars]})
    return f"{data}\nWrite the steps of this solution as JSON."


def trained_form(name: WrittenForm) -> TrainedForm:
    """A form that models are trained on, by name."""
    return JsonForm() if name == "json" else CompactForm()


def read_card(folder: Path) -> GsrmCard | None:
    """The card of a trained GSRM; ``None`` where the folder is not one.

    Raises:
        CheckpointError: The card cannot be read, or the model was trained on a form of another version.
    """
    path = folder / CARD
    try:
        card = GsrmCard.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValidationError, UnicodeDecodeError):
        raise CheckpointError(
            f"{path}: cannot be read as the card of a GSRM; train the model again"
        ) from None
    if card.version != FORM_VERSION:
        raise CheckpointError(
            f"{path}: the model writes version {card.version} of the form {card.form}, and this is version {FORM_VERSION}; "
            "train it again, or use the version of rlkd that trained it"
        )
    return card
