"""Requests and tokens per minute, spread evenly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rlkd.completion.base import CompletionRequest

CHARS_PER_TOKEN = 3.5
"""Characters of a token, roughly: English has about 4, arithmetic and other languages fewer."""

_LOOK_S = 0.1
"""Longest time between two looks at whether it is one's turn."""


def expected_tokens(request: CompletionRequest) -> int:
    """Estimates the most tokens that a request can use: its prompt, roughly, and all that it may write."""
    chars = len(request.prompt or "") + sum(len(message.content) for message in request.messages)
    return round(chars / CHARS_PER_TOKEN) + request.max_tokens


class Pace:
    """Lets requests through at most so often; each waits until its turn.

    Tokens are booked as if a request used all that it may, and what it did not use is given back when it is answered.

    Args:
        requests_per_minute: Most requests in a minute; ``None`` for no limit.
        tokens_per_minute: Most tokens in a minute; ``None`` for no limit.
        clock: Seconds that only grow; for tests.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._next_request = self._next_token = 0.0

    def due(self) -> float:
        """Returns the seconds until the next request may go."""
        return max(0.0, self._next_request - self._clock(), self._next_token - self._clock())

    def book(self, tokens: int) -> None:
        """Notes that a request of so many tokens goes now."""
        now = self._clock()
        self._next_request = max(now, self._next_request) + self._request_s
        self._next_token = max(now, self._next_token) + tokens * self._token_s

    def correct(self, booked: int, used: int) -> None:
        """Gives back the tokens that a request did not use; a server that counts none (0) changes nothing."""
        if used:
            self._next_token -= max(0, booked - used) * self._token_s

    async def wait(self, tokens: int) -> None:
        """Waits for the turn of a request, and books it."""
        # Looked at again and again, because tokens that others give back bring the turn forward.
        while (seconds := self.due()) > 0:
            await asyncio.sleep(min(seconds, _LOOK_S))
        self.book(tokens)
