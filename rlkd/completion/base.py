"""What a completer is: one request, one text, and an error where there is none.

Whatever goes wrong (no server, no time, no sense in what came back) is an
:class:`~rlkd.errors.EndpointError`. A completer never makes up a result, so that a fault further up is a
missing score and not a number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from rlkd.errors import EndpointError

FinishReason = Literal["stop", "length"]
FaultKind = Literal[
    "unreachable", "timeout", "rate_limited", "server_error", "rejected", "malformed", "truncated", "refused"
]

log = logging.getLogger("rlkd.completion")


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        content: Its text.
    """

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a model is asked.

    Attributes:
        messages: The chat so far; or
        prompt: a plain text to go on from, without a chat template. Exactly one of the two.
        max_tokens: Most tokens that it may write.
        temperature: 0 is greedy.
        stop: Texts that end the completion (not part of it).
        json_schema: Schema of the JSON that is wanted; used where the backend can constrain its output.
        logprobs: Whether the log-probabilities of the first token's alternatives are wanted.
        seed: Seed of the sampling, for servers that take one; ``None`` sends none.
        allow_truncated: Whether a completion that hit ``max_tokens`` counts (only where the first token is
            all that is read); otherwise it is an error.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None
    logprobs: bool = False
    allow_truncated: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("a request has either messages or a prompt")


@dataclass(frozen=True, slots=True)
class CompletionResult:
    """What a model wrote.

    Attributes:
        text: The completion.
        finish_reason: ``stop``, or ``length`` where the limit cut it off (only with ``allow_truncated``).
        prompt_tokens: Tokens of the prompt; 0 where the backend does not say.
        completion_tokens: Tokens written; 0 where the backend does not say.
        first_token_logprobs: Natural-log probabilities of the most likely first tokens (at least 20 where the
            backend gives as many), in no order; ``None`` where it gives none. Tokens may repeat.
        reasoning: The model's thoughts where the server keeps them apart from the text; else empty.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_logprobs: tuple[tuple[str, float], ...] | None = None
    reasoning: str = ""


@dataclass(slots=True)
class Usage:
    """What a completer has used since it was made; for cost tables and fault reports.

    Attributes:
        requests: Requests that were asked for (retries not counted).
        prompt_tokens, completion_tokens: As the backend counts them.
        faults: Failed requests by kind.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, result: CompletionResult) -> None:
        """Counts a result's tokens."""
        self.prompt_tokens += result.prompt_tokens
        self.completion_tokens += result.completion_tokens

    @property
    def failed(self) -> int:
        """Requests that ended in an error."""
        return sum(self.faults.values())


class CompletionFault(EndpointError):
    """A request that gave no usable text, with the kind of fault, and the HTTP status where that was the fault."""

    def __init__(self, kind: FaultKind, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.status = status


def fault_kind(error: EndpointError) -> str:
    """Returns the kind of fault for counters; ``endpoint`` where the error does not say."""
    return error.kind if isinstance(error, CompletionFault) else "endpoint"


@runtime_checkable
class Completer(Protocol):
    """Any model that writes text."""

    name: str
    """Names the model in cache keys and reports: the same name means the same answers."""
    usage: Usage
    """What it has used so far."""

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        """Asks the model.

        Raises:
            EndpointError: No usable text came back; never a made-up result.
        """
        ...

    async def aclose(self) -> None:
        """Lets go of connections or weights. Using it again opens them again."""
        ...


async def gather(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Runs coroutines together; where one raises, the others are cancelled before the error goes on."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
