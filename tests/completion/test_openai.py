"""The HTTP client against a real server that fails in every way that servers fail."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rlkd.completion.base import CompletionFault, CompletionRequest, CompletionResult, Message
from rlkd.completion.openai import OpenAICompleter
from rlkd.completion.reply import parse_reply
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.errors import EndpointError, UserError
from schemas.config.endpoint import OpenAIEndpoint

ASK = CompletionRequest(messages=(Message("user", "Is it?"),), max_tokens=8)
SECRET = "sk-" + "verysecret" * 3


def settings(url: str, **changes: Any) -> OpenAIEndpoint:
    values = {
        "type": "openai",
        "base_url": url,
        "model": "judge",
        "timeout_s": 30.0,
        "attempts": 3,
        "max_wait_s": 0.02,
    }
    return OpenAIEndpoint.model_validate(values | changes)


@contextmanager
def server(
    answer: Reply | list[Reply] | Callable[[dict[str, Any]], Reply], **options: Any
) -> Iterator[SimulatedServer]:
    """A server that answers always the same, or one reply after another (the last one stays)."""
    if isinstance(answer, list):
        replies = list(answer)

        def function(body: dict[str, Any]) -> Reply:
            return replies.pop(0) if len(replies) > 1 else replies[0]

    elif isinstance(answer, Reply):
        function = lambda body: answer  # noqa: E731
    else:
        function = answer
    with SimulatedServer(function, **options) as running:
        yield running


def ask(url: str, request: CompletionRequest = ASK, **changes: Any) -> CompletionResult:
    completer = OpenAICompleter(settings(url, **changes))

    async def once() -> CompletionResult:
        try:
            return await completer.complete(request)
        finally:
            await completer.aclose()

    return asyncio.run(once())


def test_a_good_answer_with_its_usage_and_log_probabilities() -> None:
    reply = Reply("Yes", 120, 2, logprobs=(("Yes", math.log(0.75)), (" no", math.log(0.25))))
    request = CompletionRequest(
        messages=(Message("system", "s"), Message("user", "u")), max_tokens=8, logprobs=True, stop=("\n",)
    )
    with server(reply) as running:
        result = ask(running.url, request)
        sent = running.seen[0]
    assert (result.text, result.finish_reason, result.prompt_tokens, result.completion_tokens) == (
        "Yes",
        "stop",
        120,
        2,
    )
    assert result.first_token_logprobs == (("Yes", math.log(0.75)), (" no", math.log(0.25)))
    assert sent.path == "/v1/chat/completions"
    assert sent.body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert (sent.body["temperature"], sent.body["max_tokens"], sent.body["stop"]) == (0.0, 8, ["\n"])
    assert (sent.body["logprobs"], sent.body["top_logprobs"]) == (True, 20)


def test_a_plain_prompt_goes_to_the_completions_interface() -> None:
    with server(Reply("4")) as running:
        result = ask(running.url, CompletionRequest(prompt="2+2=", logprobs=True))
        sent = running.seen[0]
    assert result.text == "4"
    assert sent.path == "/v1/completions"
    assert (sent.body["prompt"], sent.body["logprobs"]) == ("2+2=", 20)


@pytest.mark.parametrize(
    ("mode", "expected"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("none", None)]
)
def test_the_schema_is_sent_as_the_server_wants_it(mode: str, expected: str | None) -> None:
    request = CompletionRequest(messages=ASK.messages, json_schema={"type": "object"})
    with server(Reply("{}")) as running:
        ask(running.url, request, structured_output=mode, extra_body={"seed": 1})
        body = running.seen[0].body
    assert body["seed"] == 1
    assert body.get("response_format", {}).get("type") == expected
    if mode == "json_schema":
        assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(raw=b"<html>busy</html>"), "malformed"),
        (Reply(raw=b'{"choices": [{"message": {"content": "ye'), "malformed"),
        (Reply(raw=b""), "malformed"),
        (Reply(raw=b"[" * 100_000), "malformed"),
        (Reply(raw=b'{"choices": []}'), "malformed"),
        (Reply(raw=b'{"choices": [{"finish_reason": "stop"}]}'), "malformed"),
        (Reply(raw=b'{"choices": [{"message": {"content": 7}, "finish_reason": "stop"}]}'), "malformed"),
        (Reply("  "), "malformed"),
        (Reply("yes", finish_reason="tool_calls"), "malformed"),
        (Reply("yes", finish_reason="length"), "truncated"),
        (Reply("yes", finish_reason="content_filter"), "refused"),
        (Reply(refusal="I cannot do that."), "refused"),
        (Reply("no such thing", status=400), "rejected"),
        (Reply("bad key", status=401), "rejected"),
        (Reply("no such model", status=404), "rejected"),
        (Reply("moved", status=301), "rejected"),
        (Reply("not built", status=501), "server_error"),
    ],
)
def test_what_makes_no_sense_is_an_error_at_once_and_never_tried_again(reply: Reply, kind: str) -> None:
    with server(reply) as running:
        with pytest.raises(EndpointError) as caught:
            ask(running.url)
        assert len(running.seen) == 1
    assert isinstance(caught.value, CompletionFault)
    assert caught.value.kind == kind
    assert "judge at http" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (Reply("slow down", status=429, headers={"retry-after": "0.01"}), "rate_limited"),
        (
            Reply("slow down", status=429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
            "rate_limited",
        ),
        (Reply("oops", status=500), "server_error"),
        (Reply("oops", status=503), "server_error"),
        (Reply(hang_up=True), "unreachable"),
        (Reply(raw=b'{"choices": [', hang_up=True), "unreachable"),
    ],
)
def test_passing_faults_are_tried_again_and_lasting_ones_are_errors(first: Reply, kind: str) -> None:
    with server([first, first, Reply("yes")]) as running:
        assert ask(running.url).text == "yes"
        assert len(running.seen) == 3
    with server(first) as running:
        with pytest.raises(CompletionFault) as caught:
            ask(running.url)
        assert len(running.seen) == 3
    assert caught.value.kind == kind
    assert "3 attempts" in str(caught.value)


def test_a_server_that_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CompletionFault, match="is the server up") as caught:
        ask(f"http://127.0.0.1:{port}/v1")
    assert caught.value.kind == "unreachable"


def test_a_slow_server_is_given_up_after_the_time_limit() -> None:
    with (
        server(Reply("yes", delay_s=30)) as running,
        pytest.raises(CompletionFault, match=r"no answer within 0\.05 s") as caught,
    ):
        ask(running.url, timeout_s=0.05, attempts=2)
    assert caught.value.kind == "timeout"


def test_retry_after_is_honoured_up_to_a_limit_and_a_longer_one_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    asked = ["31", date, "900", "901"]
    answers = iter([(429, {"retry-after": after}, b"{}") for after in asked])

    async def post(*args: Any) -> Any:
        return next(answers)

    monkeypatch.setattr("rlkd.completion.openai._post", post)
    completer = OpenAICompleter(settings("http://x", attempts=4, max_retry_after_s=60))
    with caplog.at_level("WARNING", "rlkd.completion"), pytest.raises(CompletionFault) as caught:
        asyncio.run(completer.complete(ASK))
    waits = [w for w in waits if w > 1]
    assert 31 <= waits[0] <= 34.15  # beyond max_wait_s, and up to a tenth (and 0.05 s) more
    assert 38 <= waits[1] <= 44.05  # a date counts from now
    assert waits[2] == 60  # 900 s is more than is allowed
    assert "asks to wait 900 s, which is longer than max_retry_after_s = 60" in caplog.text
    assert "the server asks to wait 901 s, which is longer than max_retry_after_s = 60: raise it" in str(
        caught.value
    )


def test_no_more_requests_at_once_than_allowed_and_order_is_kept() -> None:
    def echo(body: dict[str, Any]) -> Reply:
        text = body["messages"][0]["content"]
        return Reply(status=500, text="no") if text == "q3" else Reply(text, delay_s=0.02)

    async def many(completer: OpenAICompleter) -> list[Any]:
        requests = [CompletionRequest(messages=(Message("user", f"q{i}"),)) for i in range(10)]
        try:
            return await asyncio.gather(*map(completer.complete, requests), return_exceptions=True)
        finally:
            await completer.aclose()

    with server(echo) as running:
        completer = OpenAICompleter(settings(running.url, concurrency=3, attempts=1))
        results = asyncio.run(many(completer))
        assert running.most_at_once <= 3
    assert [getattr(result, "text", None) for result in results] == [
        f"q{i}" if i != 3 else None for i in range(10)
    ]
    assert isinstance(results[3], EndpointError)
    assert (completer.usage.requests, completer.usage.failed, dict(completer.usage.faults)) == (
        10,
        1,
        {"server_error": 1},
    )


def test_one_completer_serves_one_event_loop_after_another() -> None:
    with server(Reply("yes", 5, 1)) as running:
        completer = OpenAICompleter(settings(running.url))
        texts = [asyncio.run(completer.complete(ASK)).text for _ in range(3)]
    assert texts == ["yes"] * 3
    assert completer.usage.prompt_tokens == 15


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {SECRET}.",
        f"bad key {SECRET[:8]}***{SECRET[-4:]}",
        f"key '{SECRET[3:20]}' unknown",
    ],
)
def test_the_key_appears_in_no_log_error_or_repr(
    said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUDGE_KEY", SECRET)
    with caplog.at_level(logging.DEBUG), server(Reply(said, status=401)) as running:
        completer = OpenAICompleter(settings(running.url, api_key_env="JUDGE_KEY"))
        with pytest.raises(CompletionFault) as caught:
            asyncio.run(completer.complete(ASK))
        assert running.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    everything = (
        caplog.text
        + str(caught.value)
        + repr(caught.value)
        + repr(completer)
        + json.dumps(completer.config.model_dump())
    )
    assert all(SECRET[i : i + 6] not in everything for i in range(len(SECRET) - 6))
    assert "[key]" in str(caught.value)


def test_a_key_that_is_not_set_is_the_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(UserError, match="set the environment variable JUDGE_KEY"):
        ask("http://127.0.0.1:9/v1", api_key_env="JUDGE_KEY")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "127.0.0.1:8000"),
        ("base_url", "http://me:word@host/v1"),
        ("api_key_env", "sk-abc"),
        ("api_key_env", "skAbc1"),
    ],
)
def test_settings_that_cannot_be(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=field):
        settings("http://host/v1", **{field: value})


def test_a_request_is_either_a_chat_or_a_prompt() -> None:
    with pytest.raises(ValueError, match="either"):
        CompletionRequest()
    with pytest.raises(ValueError, match="either"):
        CompletionRequest(messages=ASK.messages, prompt="x")


@pytest.mark.parametrize("logprob", [math.nan, 0.5, "high", True, None])
def test_log_probabilities_that_make_no_sense(logprob: Any) -> None:
    raw = json.dumps(
        {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop", "logprobs": {"content": [
            {"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": "yes", "logprob": logprob}]}]}}]}
    )  # fmt: skip
    request = CompletionRequest(messages=ASK.messages, logprobs=True)
    with pytest.raises(CompletionFault, match="make no sense"):
        parse_reply(raw.encode(), request)


def test_completions_form_of_log_probabilities_and_text_in_parts() -> None:
    raw = {
        "choices": [
            {
                "text": "yes",
                "finish_reason": "stop",
                "logprobs": {"top_logprobs": [{"yes": -0.5, "no": -1.5}]},
            }
        ]
    }
    result = parse_reply(json.dumps(raw).encode(), CompletionRequest(prompt="x", logprobs=True))
    assert result.first_token_logprobs == (("yes", -0.5), ("no", -1.5))
    parts = {
        "choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]
    }
    assert parse_reply(json.dumps(parts).encode(), ASK).text == "ab"
