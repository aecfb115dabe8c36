"""Asks a server which models it has: wrong addresses, keys and names show before anything is made.

A list that names the model settles it without a token being paid for. Some servers list no models, or not all names that
they take: such a one gets one request for one token.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Iterator
from typing import Literal

import httpx

from rlkd.completion.base import CompletionFault, CompletionRequest, Message
from rlkd.completion.openai import OpenAICompleter, key_of
from rlkd.errors import UserError
from schemas.base import Schema, sections_of
from schemas.config.endpoint import OpenAIEndpoint

_SHOWN = 5
_LIMITS = ("max_tokens", "max_completion_tokens")
_NO_SUCH_MODEL = re.compile(
    r"\bmodels?\b.{0,120}?\b(?:not (?:be )?(?:found|exist|available|valid)|doesn.t exist)\b"
    r"|\b(?:unknown|invalid|no such|unrecognized|not a valid) model\b|\bmodel_not_found\b",
    re.IGNORECASE,
)
"""What servers say of a model that they do not have, with status 400: ``Model Not Exist`` (DeepSeek), ``invalid model ID``."""


def ask_for_model(config: OpenAIEndpoint, wait_s: float = 10.0) -> tuple[str, bool]:
    """Asks a server for its list of models (``GET /models``), and where that does not name the model for one token of it.

    Args:
        config: Address, model, and the variable that holds the key.
        wait_s: Seconds to wait for an answer.

    Returns:
        What it said, in a sentence, and whether the model is known to be there.

    Raises:
        UserError: The key is not set, nothing answers there, it refuses the key, what answers is no OpenAI-compatible server,
            or it says that it has no such model.
    """
    said, listed = _ask_for_list(config, key_of(config), wait_s)
    if listed is not None and config.model in listed:
        return f"{config.base_url} has {config.model}", True
    return _ask_for_token(config, said, listed is not None, wait_s)


def _refuses_key(config: OpenAIEndpoint, status: int) -> UserError:
    named = config.api_key_env
    where = f"the key in {named}" if named else "a request without a key (api_key_env)"
    return UserError(f"{config.base_url} refuses {where} (HTTP {status})")


def _ask_for_list(config: OpenAIEndpoint, key: str | None, wait_s: float) -> tuple[str, list[str] | None]:
    """What the server says of its models, in words and as names; ``None`` where it has no list."""
    url = config.base_url
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.get(f"{url}/models", headers=headers, timeout=wait_s, follow_redirects=True)
    except httpx.HTTPError as error:
        raise UserError(
            f"no OpenAI-compatible server answers at {url} ({type(error).__name__}: {str(error)[:200]}); start it, or mend base_url"
        ) from None
    status = reply.status_code
    if status in (401, 403):
        raise _refuses_key(config, status)
    if status != 200:
        return f"{url} answers, but has no list of models (HTTP {status})", None
    try:
        names = [str(entry["id"]) for entry in json.loads(reply.text)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"what answers at {url} is no OpenAI-compatible server (GET /models is no list of models); base_url usually ends with /v1"
        ) from None
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(names[:_SHOWN]) + more if names else "no model"
    return f"{url} lists {listed}, but not {config.model}", names


def _ask_for_token(config: OpenAIEndpoint, said: str, listed: bool, wait_s: float) -> tuple[str, bool]:
    """Asks for one token, as the list settles nothing; another fault than that of the model leaves it open."""
    request = CompletionRequest(messages=(Message("user", "Hi"),), max_tokens=1, allow_truncated=True)
    one = {name: 1 for name in _LIMITS if config.extra_body.get(name) is not None}
    once = config.model_copy(
        update={"attempts": 1, "timeout_s": wait_s, "extra_body": config.extra_body | one}
    )

    async def ask() -> None:
        completer = OpenAICompleter(once)
        try:
            await completer.complete(request)
        finally:
            await completer.aclose()

    try:
        asyncio.run(ask())
    except CompletionFault as fault:
        if fault.status in (401, 403):
            raise _refuses_key(config, fault.status) from None
        # A server of plain completions has a list of models and no chat: its 404 says nothing of the model.
        nothing_there = fault.status == 404 and not listed
        words = str(fault).partition(": status ")[2]  # without the model's own name
        if nothing_there or (fault.status in (400, 404) and _NO_SUCH_MODEL.search(words)):
            raise UserError(
                f"{said}, and refuses a request for it ({fault}); check model and base_url, which usually ends with /v1"
            ) from None
        return f"{said}; whether it takes that name is not known ({fault})", False
    return f"{said}, and answers by that name", True


def ask_servers(
    config: Schema, under: Collection[str] | None = None
) -> Iterator[tuple[str, str, Literal["ok", "note", "wrong"]]]:
    """Asks each server that a model is behind for its model, each once; see :func:`ask_for_model`.

    Args:
        config: The configuration.
        under: Dotted names of the sections whose servers are asked; ``None`` asks all.

    Yields:
        The endpoint's name in the configuration, what was found, and whether it can be used (``note``: that is not known).
    """
    asked: set[tuple[str, str, str | None]] = set()
    for name, section in sections_of(config):
        if not isinstance(section, OpenAIEndpoint):
            continue
        if under is not None and not any(f"{name}.".startswith(f"{part}.") for part in under):
            continue
        key = (section.base_url, section.model, section.api_key_env)
        if key in asked:
            continue
        asked.add(key)
        try:
            text, named = ask_for_model(section)
        except UserError as error:
            yield name, str(error), "wrong"
        else:
            yield name, text, "ok" if named else "note"


def need_servers(config: Schema, under: Collection[str] | None = None) -> list[str]:
    """Asks servers as :func:`ask_servers` does, where they must be usable.

    Returns:
        What is to be known of those of which it is open whether they can be used.

    Raises:
        UserError: One of them cannot.
    """
    notes = []
    for name, text, verdict in ask_servers(config, under):
        if verdict == "wrong":
            raise UserError(f"{name}: {text}")
        if verdict == "note":
            notes.append(f"{name}: {text}")
    return notes
