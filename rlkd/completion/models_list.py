"""Asks a server which models it has: wrong addresses, keys and names show without a token being paid for."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from typing import Literal

import httpx

from rlkd.errors import UserError
from schemas.base import Schema, sections_of
from schemas.config.endpoint import OpenAIEndpoint

_SHOWN = 5


def ask_for_model(config: OpenAIEndpoint, wait_s: float = 10.0) -> tuple[str, bool]:
    """Asks a server for its list of models (``GET /models``).

    Args:
        config: Address, model, and the variable that holds the key.
        wait_s: Seconds to wait for the answer.

    Returns:
        What it said, in a sentence, and whether it named the model: some servers take names that they do not list, and some have
        no list.

    Raises:
        UserError: Nothing answers there, it refuses the key, or what answers is no OpenAI-compatible server.
    """
    url = config.base_url
    key = os.environ.get(config.api_key_env or "", "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.get(f"{url}/models", headers=headers, timeout=wait_s, follow_redirects=True)
    except httpx.HTTPError as error:
        raise UserError(
            f"no OpenAI-compatible server answers at {url} ({type(error).__name__}: {str(error)[:200]}); start it, or mend base_url"
        ) from None
    status = reply.status_code
    if status in (401, 403):
        where = (
            f"the key in {config.api_key_env}"
            if config.api_key_env
            else "a request without a key (api_key_env)"
        )
        raise UserError(f"{url} refuses {where} (HTTP {status})")
    if status == 200:
        try:
            names = [str(entry["id"]) for entry in json.loads(reply.text)["data"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(
                f"what answers at {url} is no OpenAI-compatible server (GET /models is no list of models); base_url usually ends with /v1"
            ) from None
        if config.model in names:
            return f"{url} has {config.model}", True
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        listed = ", ".join(names[:_SHOWN]) + more if names else "no model"
        return f"{url} lists {listed}, but not {config.model}; check the model's name", False
    return (
        f"{url} answers, but has no list of models (HTTP {status}); check that base_url is as its documentation says (it usually ends with /v1)",
        False,
    )


def ask_servers(
    config: Schema, under: Collection[str] | None = None
) -> Iterator[tuple[str, str, Literal["ok", "note", "wrong"]]]:
    """Asks each server that a model is behind for its list of models, each once.

    Args:
        config: The configuration.
        under: Dotted names of the sections whose servers are asked; ``None`` asks all.

    Yields:
        The endpoint's name in the configuration, what was found, and whether it can be used. One whose key is missing is left out.
    """
    asked: set[tuple[str, str, str | None]] = set()
    for name, section in sections_of(config):
        if not isinstance(section, OpenAIEndpoint):
            continue
        if under is not None and not any(f"{name}.".startswith(f"{part}.") for part in under):
            continue
        variable = section.api_key_env
        key = (section.base_url, section.model, variable)
        if key in asked or (variable is not None and not os.environ.get(variable, "").strip()):
            continue
        asked.add(key)
        try:
            text, named = ask_for_model(section)
        except UserError as error:
            yield name, str(error), "wrong"
        else:
            yield name, text, "ok" if named else "note"
