"""The small things that every completer leans on."""

from __future__ import annotations

import asyncio

import pytest

from rlkd.completion.base import CompletionFault, CompletionResult, Usage, fault_kind, gather
from rlkd.completion.build import build_completer
from rlkd.completion.openai import OpenAICompleter
from rlkd.errors import EndpointError, RLKDError
from schemas.config.endpoint import OpenAIEndpoint


def test_gather_keeps_order() -> None:
    async def after(wait: float, value: int) -> int:
        await asyncio.sleep(wait)
        return value

    assert asyncio.run(gather([after(0.02, 1), after(0.0, 2), after(0.01, 3)])) == [1, 2, 3]
    assert asyncio.run(gather([])) == []


def test_gather_cancels_the_rest_and_raises_the_error_itself() -> None:
    cancelled: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("yes")
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("a bug")

    async def nested() -> None:
        await gather([wait(), fail()])

    with pytest.raises(KeyError, match="a bug"):
        asyncio.run(gather([wait(), nested()]))
    assert cancelled == ["yes", "yes"]


def test_usage_adds_up() -> None:
    usage = Usage()
    usage.add(CompletionResult("a", "stop", 10, 2))
    usage.add(CompletionResult("b", "stop", 5, 1))
    usage.faults["timeout"] += 2
    assert (usage.prompt_tokens, usage.completion_tokens, usage.failed) == (15, 3, 2)


def test_a_fault_is_an_endpoint_error_of_a_kind() -> None:
    fault = CompletionFault("refused", "no")
    assert isinstance(fault, EndpointError)
    assert isinstance(fault, RLKDError)
    assert isinstance(fault, ConnectionError)
    assert (fault_kind(fault), fault_kind(EndpointError("other"))) == ("refused", "endpoint")


def test_a_server_from_its_configuration() -> None:
    config = OpenAIEndpoint(type="openai", base_url="http://host/v1/", model="m")
    completer = build_completer(config)
    assert isinstance(completer, OpenAICompleter)
    assert repr(completer) == "OpenAICompleter(http://host/v1, m)"  # the trailing slash is gone
