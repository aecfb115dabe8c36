"""What a teacher has cost, and the budget that it must not exceed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rlkd.errors import UserError
from schemas.config.traces import Budget, Price

_MILLION = 1_000_000


class BudgetSpent(UserError):
    """The next request could exceed the budget."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests and tokens.

    Attributes:
        requests: Requests, retries not counted.
        prompt_tokens, completion_tokens: Tokens of their prompts and answers.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.requests - other.requests,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
        )

    @property
    def tokens(self) -> int:
        """Tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def money(self, price: Price) -> float:
        """Computes what it costs, in the currency of the price."""
        return (self.prompt_tokens * price.prompt + self.completion_tokens * price.completion) / _MILLION

    def text(self, price: Price) -> str:
        """Says it in words, the money where there is a price."""
        said = f"{self.requests:,} request{'' if self.requests == 1 else 's'}, {self.tokens:,} tokens"
        if price.prompt or price.completion:
            said += f", {self.money(price):,.4g} {price.currency}"
        return said


class Spending:
    """Keeps a teacher within its budget.

    A request that is under way counts with the most that it can cost. So the budget holds although many are under way at
    once; near its end fewer are.

    Args:
        budget: The limits.
        price: What tokens cost.

    Attributes:
        spent: What all answers that are in use have cost, those of earlier runs included.
        new: What was bought by this process.
    """

    def __init__(self, budget: Budget, price: Price) -> None:
        self.budget = budget
        self.price = price
        self.spent = Cost()
        self.new = Cost()
        self._booked = Cost()
        self._changed = asyncio.Condition()

    def exceeded(self, cost: Cost) -> str:
        """Names the limit that a cost exceeds; empty where it is within all of them."""
        limits = (
            (self.budget.money, cost.money(self.price), self.price.currency),
            (self.budget.tokens, cost.tokens, "tokens"),
            (self.budget.requests, cost.requests, "requests"),
        )
        return next(
            (
                f"{limit:,g} {unit}"
                for limit, value, unit in limits
                if limit is not None and value > limit * (1 + 1e-9)
            ),
            "",
        )

    @asynccontextmanager
    async def booked(self, most: Cost) -> AsyncIterator[None]:
        """Books the most that a request can cost while it is under way, waiting for others where that is too much now.

        Raises:
            BudgetSpent: It could exceed the budget, and nothing is under way that could turn out cheaper.
        """
        async with self._changed:
            while limit := self.exceeded(self.spent + self._booked + most):
                if self._booked == Cost():
                    raise BudgetSpent(
                        f"the teacher's budget of {limit} is spent: {self.spent.text(self.price)} so far, and the next request may "
                        f"take {most.tokens:,} tokens; what was finished is kept: raise traces.teacher.budget and run again to go "
                        "on, or lower traces.problems"
                    )
                await self._changed.wait()
            self._booked += most
        try:
            yield
        finally:
            async with self._changed:
                self._booked -= most
                self._changed.notify_all()
