"""Servers behind a configuration are asked for their models before a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.cli.check.findings import Findings
from flows.cli.check.machine import check_endpoints
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config


def rows(url: str, model: str = "big", **more: Any) -> list[tuple[str, str, str]]:
    endpoint = {"type": "openai", "base_url": url, "model": model, **more}
    judge = {"type": "llm", "endpoint": endpoint}
    config = parse_config({"name": "t", "data": {"type": "world"}, "structures": {"judge": judge}})
    found = Findings()
    check_endpoints(config, found)
    return found.rows


def server(reply: Reply, answer: Reply | None = None) -> SimulatedServer:
    """A server with one reply to everything, or another one to requests for a completion."""
    return SimulatedServer(lambda body: answer if body and answer is not None else reply)


def listing(*names: str) -> Reply:
    return Reply(raw=json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode())


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (listing("small", "big"), "ok", "has big"),
        (listing("small"), "note", "lists small, but not big; whether it takes that name is not known ("),
        (listing(*"abcdefg"), "note", "lists a, b, c, d, e and 2 more, but not big; whether"),
        (
            Reply("no such key", status=401),
            "wrong",
            "refuses a request without a key (api_key_env) (HTTP 401)",
        ),
        (Reply(raw=b"<html>a page</html>"), "wrong", "is no OpenAI-compatible server"),
        (Reply(raw=b'{"models": []}'), "wrong", "base_url usually ends with /v1"),
        (Reply("not here", status=404), "wrong", "has no list of models (HTTP 404), and refuses a request"),
    ],
)
def test_what_a_server_says_of_its_models(reply: Reply, verdict: str, said: str) -> None:
    with server(reply) as running:
        [(what, found, details)] = rows(running.url)
    assert (what, found) == ("endpoint", verdict)
    assert details.startswith("structures.judge.endpoint: ") and said in details


def test_a_server_that_is_not_there_and_a_key_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    [(_, verdict, details)] = rows("http://127.0.0.1:9/v1")
    assert verdict == "wrong" and "no OpenAI-compatible server answers at http://127.0.0.1:9/v1" in details
    monkeypatch.setenv("RLKD_TEST_KEY", "secret")
    with server(Reply("no", status=403)) as running:
        [(_, verdict, details)] = rows(running.url, api_key_env="RLKD_TEST_KEY")
        assert running.seen[0].headers["authorization"] == "Bearer secret"
    assert verdict == "wrong" and "refuses the key in RLKD_TEST_KEY (HTTP 403)" in details
    assert "secret" not in details
    monkeypatch.delenv("RLKD_TEST_KEY")
    [(_, verdict, details)] = rows("http://127.0.0.1:9/v1", api_key_env="RLKD_TEST_KEY")
    assert verdict == "wrong" and details.endswith("is missing: set the environment variable RLKD_TEST_KEY")


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (Reply("4", 1, 1), "ok", "lists small, but not big, and answers by that name"),
        (
            Reply("4", finish_reason="length"),
            "ok",
            "answers by that name",
        ),  # one token is all that was asked for
        (Reply("The model `big` does not exist.", status=404), "wrong", "check model and base_url"),
        (Reply("Model Not Exist", status=400), "wrong", "refuses a request for it"),
        (Reply("big is not a valid model ID", status=400), "wrong", "refuses a request for it"),
        (Reply("no key", status=401), "wrong", "refuses a request without a key (api_key_env) (HTTP 401)"),
        # Plain completions only, or a setting that this model does not have: nothing is known of the name.
        (Reply("Not Found", status=404), "note", "is not known ("),
        (Reply("max_tokens is not supported with this model.", status=400), "note", "is not known ("),
        (Reply("busy", status=503), "note", "is not known ("),
    ],
)
def test_a_name_that_is_not_listed_is_tried_with_one_token(answer: Reply, verdict: str, said: str) -> None:
    with server(listing("small"), answer) as running:
        [(_, found, details)] = rows(running.url, extra_body={"max_completion_tokens": 4096})
        [request] = [seen.body for seen in running.seen if seen.body]
    assert (found, said in details) == (verdict, True)
    assert (request["max_tokens"], request["max_completion_tokens"]) == (1, 1)
