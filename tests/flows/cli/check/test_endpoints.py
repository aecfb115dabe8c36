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


def server(reply: Reply) -> SimulatedServer:
    return SimulatedServer(lambda body: reply)


def listing(*names: str) -> Reply:
    return Reply(raw=json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode())


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (listing("small", "big"), "ok", "has big"),
        (listing("small"), "note", "lists small, but not big; check the model's name"),
        (listing(*"abcdefg"), "note", "lists a, b, c, d, e and 2 more, but not big"),
        (
            Reply("no such key", status=401),
            "wrong",
            "refuses a request without a key (api_key_env) (HTTP 401)",
        ),
        (Reply(raw=b"<html>a page</html>"), "wrong", "is no OpenAI-compatible server"),
        (Reply(raw=b'{"models": []}'), "wrong", "base_url usually ends with /v1"),
        (Reply("not here", status=404), "note", "has no list of models (HTTP 404)"),
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
    assert rows("http://127.0.0.1:9/v1", api_key_env="RLKD_TEST_KEY") == []  # said by itself
