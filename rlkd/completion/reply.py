"""Reads an OpenAI-compatible server's answer: text, thoughts, usage, log-probabilities, or why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from rlkd.completion.base import CompletionFault, CompletionRequest, CompletionResult

MAX_QUOTE = 200
"""Characters of a server's error message that are repeated in ours."""


def parse_reply(raw: bytes, request: CompletionRequest) -> CompletionResult:
    """Reads a server's answer.

    Args:
        raw: The body of a reply with status 200.
        request: What was asked.

    Raises:
        CompletionFault: The body is not what the interface promises (malformed), the text was cut off
            (truncated), or the model or a filter declined (refused).
    """
    try:
        reply = json.loads(raw)
    except (ValueError, RecursionError):
        raise CompletionFault("malformed", f"the answer is not JSON: {error_text(raw)!r}") from None
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise CompletionFault("malformed", f"the answer holds no choice: {error_text(raw)!r}")
    choice = choices[0]
    text, refusal = _text(choice, chat=bool(request.messages))
    reason = choice.get("finish_reason")
    if refusal or reason == "content_filter":
        raise CompletionFault("refused", f"the model declined: {(refusal or 'content filter')[:MAX_QUOTE]!r}")
    if text is None:
        raise CompletionFault("malformed", "the answer holds no text")
    reasoning = _reasoning(choice)
    if reason == "length":
        if not request.allow_truncated:
            raise CompletionFault(
                "truncated", f"cut off at {request.max_tokens} tokens; raise max_tokens or shorten the prompt"
            )
    elif reason not in ("stop", None, "eos", "eos_token", "stop_sequence"):
        raise CompletionFault("malformed", f"the model ended with {str(reason)[:40]!r}")
    elif not text.strip():
        raise CompletionFault("malformed", "the text is empty")
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return CompletionResult(
        text=text,
        finish_reason="length" if reason == "length" else "stop",
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        first_token_logprobs=_logprobs(choice.get("logprobs")) if request.logprobs else None,
        reasoning=reasoning,
    )


def _reasoning(choice: Mapping[str, Any]) -> str:
    """The thoughts that a server keeps apart: ``reasoning_content`` (DeepSeek, SGLang), ``reasoning`` (vLLM, OpenRouter)."""
    message = choice.get("message")
    named = (
        [message.get(name) for name in ("reasoning_content", "reasoning")]
        if isinstance(message, dict)
        else []
    )
    return next((text for text in named if isinstance(text, str) and text.strip()), "")


def _text(choice: Mapping[str, Any], chat: bool) -> tuple[str | None, str | None]:
    """Text and refusal of a choice; both ``None`` where it has neither."""
    if not chat:
        text = choice.get("text")
        return (text if isinstance(text, str) else None), None
    message = choice.get("message")
    if not isinstance(message, dict):
        return None, None
    content, refusal = message.get("content"), message.get("refusal")
    if content is None and _reasoning(choice):
        content = ""  # all its tokens went into thoughts
    if isinstance(content, list):  # some servers answer in parts
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(parts) if parts and all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]
    return (content if isinstance(content, str) else None), (
        refusal if isinstance(refusal, str) and refusal else None
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _logprobs(value: Any) -> tuple[tuple[str, float], ...] | None:
    """The first token's alternatives, from the chat or the completions form; ``None`` where the server gives none.

    Raises:
        CompletionFault: There are some, and they make no sense.
    """
    if not isinstance(value, dict):
        return None
    pairs: list[tuple[Any, Any]] = []
    content = value.get("content")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        first = content[0]
        tops = first.get("top_logprobs")
        pairs = (
            [(top.get("token"), top.get("logprob")) for top in tops if isinstance(top, dict)]
            if isinstance(tops, list)
            else []
        )
        if first.get("token") not in [token for token, _ in pairs]:
            pairs.append((first.get("token"), first.get("logprob")))
    else:
        tops = value.get("top_logprobs")
        if isinstance(tops, list) and tops and isinstance(tops[0], dict):
            pairs = list(tops[0].items())
    if not pairs:
        return None
    for token, logprob in pairs:
        number = isinstance(logprob, int | float) and not isinstance(logprob, bool)
        if not isinstance(token, str) or not number or math.isnan(logprob) or logprob > 1e-3:
            raise CompletionFault("malformed", "the log-probabilities make no sense")
    return tuple((token, min(float(logprob), 0.0)) for token, logprob in pairs)


def error_text(raw: bytes) -> str:
    """A server's own words about an error, on one line and bounded."""
    text = raw[: 16 * MAX_QUOTE].decode("utf-8", "replace")
    try:
        value = json.loads(raw) if len(raw) < 1_000_000 else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        inner = value.get("error", value)
        said = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(said, str):
            text = said
    return " ".join(text.split())[:MAX_QUOTE]
