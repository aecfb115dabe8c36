"""A client for OpenAI-compatible servers (vLLM, SGLang, llama.cpp, TGI, Ollama, vendors).

Built on httpx rather than the ``openai`` package: one endpoint is all that is needed, httpx is a few
light modules where the package is hundreds, and retries, time-outs and what may be logged stay in our hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from rlkd.completion.base import CompletionFault, CompletionRequest, CompletionResult, Usage, log
from rlkd.completion.pace import Pace, expected_tokens
from rlkd.completion.reply import error_text, parse_reply
from rlkd.errors import UserError
from rlkd.io import sha256_json
from schemas.config.endpoint import OpenAIEndpoint

TOP_LOGPROBS = 20
"""Alternatives asked for; OpenAI's own limit, and vLLM's default one."""
MAX_BODY = 8 * 1024 * 1024
"""Bytes of an answer that are read; a longer one is malformed."""
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 529})


class _Retry(Exception):
    """An attempt that may succeed when it is made again."""

    def __init__(self, fault: CompletionFault, after_s: float | None = None) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.after_s = after_s


class _Session:
    """The connections of one event loop; holding one is what bounds concurrency.

    Each connection is a client of its own, made when first needed and handed out again while it is warm: a pool shared
    by n requests looks at all n connections for each of them, which at 40 at once was most of the client's time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, concurrency: int, secure: bool) -> None:
        self.loop = loop
        self._slots = asyncio.Semaphore(concurrency)
        self._idle: list[httpx.AsyncClient] = []
        self._verify: ssl.SSLContext | bool = httpx.create_ssl_context() if secure else False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[httpx.AsyncClient]:
        """Waits for a free connection."""
        async with self._slots:
            client = self._idle.pop() if self._idle else self._new()
            try:
                yield client
            finally:
                self._idle.append(client)

    def _new(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return httpx.AsyncClient(limits=limits, timeout=None, verify=self._verify)

    async def aclose(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            await self._idle.pop().aclose()


class OpenAICompleter:
    """Asks one model behind an OpenAI-compatible server.

    Usable from several event loops one after another (each synchronous reward call may run its own).
    The key is read from the environment for every request, and appears in no log, error or ``repr``.

    Args:
        config: Address, model and limits.
    """

    def __init__(self, config: OpenAIEndpoint) -> None:
        self.config = config
        # Two servers may call different models by one name, and what is sent along changes the answers.
        place = [config.base_url, config.structured_output, config.extra_body]
        self.name = f"{config.model}+{sha256_json(place)[:8]}"
        self.usage = Usage()
        self._session: _Session | None = None
        self._told = False
        self._pace = Pace(config.requests_per_minute, config.tokens_per_minute)

    def __repr__(self) -> str:
        return f"OpenAICompleter({self.config.base_url}, {self.config.model})"

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        """Asks the server; see :class:`~rlkd.completion.base.Completer`.

        Rate limits, server errors, lost connections and time-outs are tried again, with growing random
        waits or as long as ``Retry-After`` says; a rejected request (400, 401, ...) never is.

        Raises:
            CompletionFault: No usable text came back.
            UserError: The environment variable that should hold the key is not set.
        """
        key = key_of(self.config)
        body = _body(request, self.config)
        path = "/chat/completions" if request.messages else "/completions"
        self.usage.requests += 1
        try:
            result = await self._attempts(path, body, key, request)
        except CompletionFault as fault:
            self.usage.faults[fault.kind] += 1
            level = logging.WARNING if self.usage.faults[fault.kind] == 1 else logging.DEBUG
            log.log(level, "%s", fault)
            raise
        self.usage.add(result)
        return result

    async def aclose(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None and session.loop is asyncio.get_running_loop():
            await session.aclose()

    def _here(self) -> _Session:
        """The session of the running loop; one of a loop that has ended is dropped."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.loop is not loop:
            self._session = _Session(loop, self.config.concurrency, self.config.base_url.startswith("https"))
        return self._session

    async def _attempts(
        self, path: str, body: Mapping[str, Any], key: str | None, request: CompletionRequest
    ) -> CompletionResult:
        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            ceiling = min(self.config.max_wait_s, 0.5 * 2 ** min(state.attempt_number, 16))
            delay = random.uniform(ceiling / 2, ceiling)
            asked = error.after_s if isinstance(error, _Retry) else None
            return delay if asked is None else self._honoured(asked)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Retry),
            stop=tenacity.stop_after_attempt(self.config.attempts),
            wait=wait,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    return await self._attempt(path, body, key, request)
        except _Retry as last:
            tries = f" ({self.config.attempts} attempts)" if self.config.attempts > 1 else ""
            if (asked := last.after_s) is not None and asked > self.config.max_retry_after_s:
                tries += f"; the server asks to wait {asked:g} s, which is longer than max_retry_after_s = {self.config.max_retry_after_s:g}: raise it"
            raise CompletionFault(last.fault.kind, f"{last.fault}{tries}") from None
        raise AssertionError("tenacity ended without a result")

    def _honoured(self, asked: float) -> float:
        """Seconds to wait where the server asks for some; a longer wait than is allowed is said once."""
        limit = self.config.max_retry_after_s
        if asked > limit:
            text = "%s at %s asks to wait %g s, which is longer than max_retry_after_s = %g; trying again after that"
            level = logging.DEBUG if self._told else logging.WARNING
            log.log(level, text, self.config.model, self.config.base_url, asked, limit)
            self._told = True
            return limit
        # A random part on top, or all clients come back in the same instant.
        return asked + random.uniform(0, 0.1 * asked + 0.05)

    async def _attempt(
        self, path: str, body: Mapping[str, Any], key: str | None, request: CompletionRequest
    ) -> CompletionResult:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        where = f"{self.config.model} at {self.config.base_url}"
        await self._pace.wait(expected_tokens(request))
        async with self._here().connection() as client:
            try:
                # One bound over the whole exchange: a server that drips a byte now and then never trips a read time-out.
                async with asyncio.timeout(self.config.timeout_s):
                    status, reply_headers, raw = await _post(
                        client, self.config.base_url + path, body, headers
                    )
            except TimeoutError:
                fault = CompletionFault("timeout", f"{where}: no answer within {self.config.timeout_s:g} s")
                raise _Retry(fault) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                fault = CompletionFault(
                    "unreachable", f"{where}: cannot be reached ({type(error).__name__}); is the server up?"
                )
                raise _Retry(fault) from None
        if status != 200:
            raise _status_fault(where, status, reply_headers, _hide(error_text(raw), key))
        try:
            result = parse_reply(raw, request)
            self._pace.correct(expected_tokens(request), result.prompt_tokens + result.completion_tokens)
            return result
        except CompletionFault as error:
            raise CompletionFault(error.kind, f"{where}: {_hide(str(error), key)}") from None


def key_of(config: OpenAIEndpoint) -> str | None:
    """Reads the key from the environment; ``None`` where the server needs none.

    Raises:
        UserError: The variable that should hold it is not set.
    """
    name = config.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise UserError(f"the key for {config.base_url} is missing: set the environment variable {name}")
    return key


async def _post(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[int, httpx.Headers, bytes]:
    """Posts JSON; reads at most ``MAX_BODY`` bytes of the answer, so that no server can fill the memory."""
    async with client.stream("POST", url, json=body, headers=dict(headers)) as response:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                break
        return response.status_code, response.headers, b"".join(chunks)


def _body(request: CompletionRequest, config: OpenAIEndpoint) -> dict[str, Any]:
    """The request as the server wants it."""
    body: dict[str, Any] = {
        "model": config.model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.messages:
        body["messages"] = [
            {"role": message.role, "content": message.content} for message in request.messages
        ]
    else:
        body["prompt"] = request.prompt
    if request.stop:
        body["stop"] = list(request.stop)
    if request.logprobs:
        body |= (
            {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
            if request.messages
            else {"logprobs": TOP_LOGPROBS}
        )
    if request.json_schema is not None and config.structured_output != "none":
        if config.structured_output == "json_object":
            body["response_format"] = {"type": "json_object"}
        else:
            schema = {"name": "answer", "strict": True, "schema": dict(request.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.seed is not None:
        body["seed"] = request.seed
    return {name: value for name, value in (body | config.extra_body).items() if value is not None}


def _status_fault(where: str, status: int, headers: Mapping[str, str], said: str) -> Exception:
    message = f"{where}: status {status}" + (f" ({said})" if said else "")
    if status == 429:
        return _Retry(CompletionFault("rate_limited", message), _retry_after(headers))
    if status in _RETRIED_STATUS:
        return _Retry(CompletionFault("server_error", message), _retry_after(headers))
    if status >= 500:
        return CompletionFault("server_error", message)
    mend = {
        400: "; if the server has no JSON schemas, set structured_output to json_object or none",
        401: "; check the key in the variable that api_key_env names",
        403: "; check the key in the variable that api_key_env names",
        404: "; check base_url and model",
    }.get(status, "")
    return CompletionFault("rejected", message + mend, status)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, as a number or as a date (RFC 9110, 10.2.3); nonsense is ignored."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
        except ValueError:
            return None
    return seconds if 0 <= seconds < math.inf else None


def _hide(text: str, key: str | None) -> str:
    """Removes the key from a text: servers repeat it, whole or in part, when they reject it."""
    if not key:
        return text
    text = text.replace(key, "[key]")
    return " ".join(
        "[key]" if _is_part_of(word.strip("'\".,:;()"), key) else word for word in text.split(" ")
    )


def _is_part_of(word: str, key: str) -> bool:
    """Whether a word shows a piece of the key, such as ``sk-ab***yz``."""
    head, star, tail = word.partition("*")
    tail = tail.lstrip("*")
    if star:
        return len(head) >= 2 and key.startswith(head) and key.endswith(tail)
    return len(word) >= 6 and word in key
