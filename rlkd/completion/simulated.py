"""A simulated OpenAI-compatible server on this machine, for tests, benchmarks and dry runs.

It speaks real HTTP on 127.0.0.1, answers as a function says, takes as long as a model would, serves a bounded
number of requests at once, and can fail in the ways that servers fail.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request.

    Attributes:
        text: The completion.
        prompt_tokens, completion_tokens: What it reports as usage, and what its time depends on.
        finish_reason: ``stop``, ``length``, ``content_filter``, ...
        logprobs: First token's alternatives with their log-probabilities; ``None`` leaves them out.
        refusal: The model's refusal.
        status: HTTP status; other than 200 sends ``text`` as the error message.
        headers: More headers.
        delay_s: Further seconds before the answer.
        raw: Sent as the body instead of all this.
        hang_up: Close the connection without an answer, or in the middle of ``raw``.
    """

    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str | None = "stop"
    logprobs: tuple[tuple[str, float], ...] | None = None
    refusal: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    raw: bytes | None = None
    hang_up: bool = False

    def body(self) -> bytes:
        """Builds the body in the chat-completions form."""
        if self.raw is not None:
            return self.raw
        if self.status != 200:
            return json.dumps({"error": {"message": self.text}}).encode()
        message: dict[str, Any] = {"role": "assistant", "content": None if self.refusal else self.text}
        if self.refusal:
            message["refusal"] = self.refusal
        choice: dict[str, Any] = {
            "index": 0,
            "message": message,
            "text": self.text,
            "finish_reason": self.finish_reason,
        }
        if self.logprobs is not None:
            tops = [{"token": token, "logprob": logprob} for token, logprob in self.logprobs]
            choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


Answer = Callable[[dict[str, Any]], Reply]
"""From a request's JSON body to its reply. Called in the server's thread."""


@dataclass(slots=True)
class Seen:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class SimulatedServer:
    """Runs in a thread of its own between ``with`` and the end of the block.

    Args:
        answer: What it answers.
        slots: Requests that it works on at once; others wait.
        base_s: Seconds that every request takes.
        token_s: Seconds per token written.

    Attributes:
        url: Address for ``base_url``.
        seen: Every request, in order of arrival.
        most_at_once: Most requests that were being worked on at the same time.
    """

    def __init__(self, answer: Answer, slots: int = 64, base_s: float = 0.0, token_s: float = 0.0) -> None:
        self.answer = answer
        self.base_s = base_s
        self.token_s = token_s
        self.url = ""
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._slots = slots
        self._working = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-server", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> SimulatedServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def reset(self) -> None:
        """Forgets what it has seen and counted."""
        self.seen = []
        self.most_at_once = self.prompt_tokens = self.completion_tokens = 0

    async def _start(self) -> None:
        self._semaphore = asyncio.Semaphore(self._slots)
        self._server = await asyncio.start_server(
            self._connection, "127.0.0.1", 0, limit=1 << 24, backlog=512
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _stop(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the server is closing
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer on a connection that stays open; false to close it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        self.seen.append(Seen(head[0].split(" ")[1], headers, body))
        async with self._semaphore:
            self._working += 1
            self.most_at_once = max(self.most_at_once, self._working)
            try:
                reply = self.answer(body)
                await asyncio.sleep(self.base_s + self.token_s * reply.completion_tokens + reply.delay_s)
            finally:
                self._working -= 1
        if reply.hang_up and reply.raw is None:
            return False
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        content = reply.body()
        lines = [
            f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Other')}",
            "content-type: application/json",
        ]
        promised = len(content) * (2 if reply.hang_up else 1)
        lines += [
            f"{name}: {value}"
            for name, value in ({"content-length": str(promised)} | dict(reply.headers)).items()
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        await writer.drain()
        return not reply.hang_up
