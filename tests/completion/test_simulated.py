"""The simulated server keeps its promises: bounded slots, time per token, counters."""

from __future__ import annotations

import concurrent.futures

import httpx

from rlkd.completion.simulated import Reply, SimulatedServer


def test_it_serves_a_bounded_number_at_once_and_counts() -> None:
    with (
        SimulatedServer(lambda body: Reply(body["q"], 7, 3), slots=2, token_s=0.005) as server,
        httpx.Client(timeout=60) as client,
    ):
        post = lambda i: client.post(server.url + "/chat/completions", json={"q": str(i)}).json()  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(post, range(6)))
        assert [reply["choices"][0]["message"]["content"] for reply in replies] == [str(i) for i in range(6)]
        assert replies[0]["usage"] == {"prompt_tokens": 7, "completion_tokens": 3}
        assert server.most_at_once == 2
        assert (len(server.seen), server.prompt_tokens, server.completion_tokens) == (6, 42, 18)
        server.reset()
        assert (len(server.seen), server.prompt_tokens) == (0, 0)


def test_errors_have_a_message_and_headers() -> None:
    with SimulatedServer(lambda body: Reply("wait", status=429, headers={"retry-after": "3"})) as server:
        reply = httpx.post(server.url, json={})
    assert (reply.status_code, reply.headers["retry-after"], reply.json()) == (
        429,
        "3",
        {"error": {"message": "wait"}},
    )
