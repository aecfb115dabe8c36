"""A language model as a teacher, behind a real server that fails in the ways that servers fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.pace import Pace
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.data.paid_answers import PaidAnswer, PaidAnswers
from rlkd.data.rejection import CUT_OFF, NO_REPLY, REPEATED
from rlkd.data.spending import BudgetSpent, Cost, Spending
from rlkd.data.teachers._sampled import join_thoughts, share_of, split_thoughts
from rlkd.data.traces import NO_ANSWER, WRONG_ANSWER, collect_traces
from rlkd.errors import ConfigError, UserError
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.shards import Shard
from schemas.config.traces import Budget, EndpointTeacher, Price
from schemas.problem import Problem
from schemas.trace import TeacherTrace

PROBLEMS = [
    Problem(id=f"p{i}", question=f"Anna has {i} shells and finds 2 more. How many?", answer=str(i + 2))
    for i in range(1, 13)
]


def shells(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split()[2])


def right(body: dict[str, Any]) -> Reply:
    i = shells(body)
    return Reply(f"Seed {body['seed']}.\n{i} + 2 = {i + 2}\nThe answer is \\boxed{{{i + 2}}}.", 50, 20)


def config_of(
    url: str, folder: Path, per_problem: int = 1, endpoint: dict[str, Any] | None = None, **teacher: Any
) -> Any:
    server = {"base_url": url, "model": "big", "attempts": 3, "max_wait_s": 0.02, "concurrency": 4}
    settings = {"type": "endpoint", "endpoint": server | (endpoint or {}), "answers": str(folder / "answers")}
    data = {"type": "file", "path": "p", "columns": {"traces": []}}
    traces = {"per_problem": per_problem, "teacher": settings | {"max_tokens": 100} | teacher}
    return parse_config({"name": "t", "data": data, "student": {"output": "boxed"}, "traces": traces})


def collect(
    config: Any, tmp: Path, kit: Any, name: str = "traces", problems: list[Problem] = PROBLEMS
) -> dict[str, Any]:
    data, folder = tmp / "data", tmp / name
    data.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    for split in ("train", "validation", "test", "ood"):
        write_rows(data / f"{split}.jsonl", problems if split == "train" else [])
    collect_traces(StageContext(config, {"data": data}, folder, kit.messages()))
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def keys(server: SimulatedServer) -> Counter[tuple[int, int]]:
    """How often each sample was asked for."""
    return Counter((shells(seen.body), seen.body["seed"]) for seen in server.seen)


def test_samples_are_verified_and_their_cost_is_told(tmp_path: Path, kit: Any) -> None:
    with SimulatedServer(right) as server:
        summary = collect(
            config_of(server.url, tmp_path, price={"prompt": 2, "completion": 10}), tmp_path, kit
        )
    assert len(server.seen) == 12
    assert "\\boxed{}" in server.seen[0].body["messages"][0]["content"]
    # 12 answers of 50 and 20 tokens: 12 * (50 * 2 + 20 * 10) / 1,000,000 = 0.0036
    assert summary["costs"] == [
        {
            "teacher": "big",
            "domain": "math",
            "requests": 12,
            "prompt_tokens": 600,
            "completion_tokens": 240,
            "train_prompt_tokens": 600,
            "train_completion_tokens": 240,
            "money": pytest.approx(0.0036),
            "currency": "USD",
            "accepted": 12,
            "rejected": {},
        }
    ]


def test_what_the_training_problems_took_is_told_apart(tmp_path: Path, kit: Any) -> None:
    held_out = [row.model_copy(update={"split": "test"}) for row in PROBLEMS[8:]]
    with SimulatedServer(right) as server:
        [row] = collect(config_of(server.url, tmp_path), tmp_path, kit, problems=[*PROBLEMS[:8], *held_out])[
            "costs"
        ]
    # 12 answers of 50 and 20 tokens, 8 of them on training problems.
    assert (row["prompt_tokens"], row["completion_tokens"]) == (600, 240)
    assert (row["train_prompt_tokens"], row["train_completion_tokens"]) == (400, 160)


def test_raising_the_number_of_samples_buys_the_rest_only(tmp_path: Path, kit: Any) -> None:
    with SimulatedServer(right) as server:
        collect(config_of(server.url, tmp_path), tmp_path, kit)
        summary = collect(config_of(server.url, tmp_path, per_problem=3), tmp_path, kit, "more")
    assert len(server.seen) == 36
    assert set(keys(server).values()) == {1}
    assert summary["accepted"] == 36


def test_it_asks_until_enough_are_right(tmp_path: Path, kit: Any) -> None:
    asked: Counter[int] = Counter()

    def answer(body: dict[str, Any]) -> Reply:
        asked[shells(body)] += 1
        if asked[shells(body)] == 3:
            return right(body)
        return Reply("It is \\boxed{-1}.", 5, 5)

    with SimulatedServer(answer) as server:
        summary = collect(config_of(server.url, tmp_path, attempts=5), tmp_path, kit)
    assert set(asked.values()) == {3}
    # the first wrong answer is rejected for what it says, the second because it says the same again
    assert (summary["accepted"], summary["reasons"]) == (12, {WRONG_ANSWER: 12, REPEATED: 12})


def test_every_fault_ends_with_a_trace_or_a_reason(tmp_path: Path, kit: Any) -> None:
    seen: Counter[int] = Counter()
    first = {
        1: Reply("slow down", status=429, headers={"Retry-After": "0"}),
        2: Reply("broken", status=500),
        3: Reply(hang_up=True),
        4: Reply(raw=b'{"choices": [{"mess'),
        5: Reply(raw=b'{"choices": []}'),
        6: Reply("late", delay_s=30.0),
        9: Reply("who are you?", status=401),  # one of several servers behind a gateway
        10: Reply("no such model", status=404),  # while the gateway loads it
    }
    always = {
        7: Reply("thinking", 5, 100, finish_reason="length"),
        8: Reply("bad", status=400),
        11: Reply("Anna hat 11 Muscheln und findet noch 2, es sind also dreizehn.", 50, 20),
        12: Reply("and so on " * 50_000, 50, 100_000, finish_reason="length"),
    }

    def answer(body: dict[str, Any]) -> Reply:
        i = shells(body)
        seen[i] += 1
        return always.get(i) or (first[i] if i in first and seen[i] == 1 else right(body))

    with SimulatedServer(answer) as server:
        config = config_of(server.url, tmp_path, endpoint={"timeout_s": 5.0})
        summary = collect(config, tmp_path, kit)
        assert summary["accepted"] == 8
        assert summary["reasons"] == {CUT_OFF: 2, f"{NO_REPLY} (rejected)": 1, NO_ANSWER: 1}
        assert {i for i in seen if seen[i] == 2} == set(first)
        assert sum(cost["completion_tokens"] for cost in summary["costs"]) == 100 + 20 + 100_000 + 8 * 20
        before = Counter(seen)
        collect(config, tmp_path, kit)  # what got no answer is asked again, and nothing else
    assert seen - before == Counter({8: 1})


@pytest.mark.parametrize(("status", "words"), [(401, "check the key"), (404, "check base_url and model")])
def test_a_wrong_key_or_model_ends_it_at_once(tmp_path: Path, kit: Any, status: int, words: str) -> None:
    with SimulatedServer(lambda body: Reply("no", status=status)) as server:
        with pytest.raises(UserError, match=words):
            collect(config_of(server.url, tmp_path), tmp_path, kit)
        assert len(server.seen) == 3  # one request, made three times


def test_a_budget_stops_it_and_a_higher_one_goes_on(tmp_path: Path, kit: Any) -> None:
    with SimulatedServer(right) as server:
        with pytest.raises(BudgetSpent, match=r"budget of 5 requests is spent: 5 requests, 350 tokens"):
            collect(config_of(server.url, tmp_path, budget={"requests": 5}), tmp_path, kit)
        assert len(server.seen) == 5
        summary = collect(config_of(server.url, tmp_path, budget={"requests": 12}), tmp_path, kit)
        assert set(keys(server).values()) == {1}
    assert summary["accepted"] == 12


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    store = PaidAnswers(path)
    store.add(PaidAnswer(key="one", problem_id="p", text="1"))
    store.close()
    with path.open("ab") as file:
        file.write(b'{"key": "two", "prob')
    store = PaidAnswers(path)
    assert (len(store), store.get("two")) == (1, None)
    store.add(PaidAnswer(key="two", problem_id="p", text="2"))
    store.close()
    store = PaidAnswers(path)
    answers = [store.get(key) for key in ("one", "two")]
    store.close()
    assert [answer.text for answer in answers if answer] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "reasoning", "parts"),
    [
        ("<think>\na\n</think>\nb", "", ("a", "b")),
        ("a</think>b", "", ("a", "b")),  # the prompt has opened the tag
        ("b", "a", ("a", "b")),
        ("<think>a", "", ("a", "")),  # cut off while it thinks
        ("b", "", ("", "b")),
    ],
)
def test_thoughts_are_kept_apart(text: str, reasoning: str, parts: tuple[str, str]) -> None:
    assert split_thoughts(text, reasoning) == parts


def test_thoughts_are_joined_by_rule() -> None:
    whole = "2 + 2 = 4\nThe answer is 4."
    joined = "<think>\nhm\n</think>\n"
    assert join_thoughts("hm", whole, "boxed", "auto") == whole
    assert join_thoughts("hm", whole, "think_boxed", "auto") == joined + whole
    assert join_thoughts("hm", "\\boxed{4}", "boxed", "auto") == joined + "\\boxed{4}"
    assert join_thoughts("hm", whole, "boxed", "join") == joined + whole
    assert join_thoughts("hm", whole, "think_boxed", "drop") == whole


def test_reasoning_content_becomes_the_path(tmp_path: Path, kit: Any) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        i = shells(body)
        message = {"content": f"\\boxed{{{i + 2}}}", "reasoning_content": f"{i} + 2 = {i + 2}"}
        return Reply(raw=json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

    with SimulatedServer(answer) as server:
        collect(config_of(server.url, tmp_path), tmp_path, kit)
    trace = read_rows(tmp_path / "traces" / "accepted.jsonl", TeacherTrace)[0]
    assert trace.path == "<think>\n1 + 2 = 3\n</think>\n\\boxed{3}"


def test_a_budget_counts_what_is_under_way() -> None:
    async def two() -> None:
        spending = Spending(Budget(tokens=150), Price())
        async with spending.booked(Cost(1, 10, 90)):
            other = asyncio.create_task(spending.booked(Cost(1, 10, 90)).__aenter__())
            await asyncio.sleep(0)
            assert not other.done()  # 100 + 100 could exceed 150, until the first turns out to take 30
            spending.spent += Cost(1, 10, 20)
        await other
        alone = Spending(Budget(tokens=150), Price()).booked(Cost(1, 60, 100))
        with pytest.raises(
            BudgetSpent, match="budget of 150 tokens"
        ):  # nothing is under way that could be cheaper
            await alone.__aenter__()

    asyncio.run(two())


def test_requests_and_tokens_are_spread_over_the_minute() -> None:
    now = [0.0]
    pace = Pace(60, 600, lambda: now[0])
    pace.book(100)  # 100 of 600 tokens a minute: the next may go after 10 s
    assert pace.due() == 10.0
    pace.correct(100, 30)  # 70 were not used: 7 s less
    assert pace.due() == pytest.approx(3.0)
    now[0] = 2.5
    assert pace.due() == pytest.approx(0.5)


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"below traces\.per_problem = 3"):
        config_of("http://x/v1", tmp_path, per_problem=3, attempts=2)
    with pytest.raises(ConfigError, match="samples of a problem would be the same"):
        config_of("http://x/v1", tmp_path, attempts=2, temperature=0)
    with pytest.raises(ConfigError, match="would never be spent"):
        config_of("http://x/v1", tmp_path, budget={"money": 1})
    assert config_of("http://x/v1", tmp_path).traces.teacher.output == "boxed"  # the student's


def test_shards_ask_what_one_run_asks_and_give_the_same_traces(tmp_path: Path, kit: Any) -> None:
    with SimulatedServer(right) as server:
        config = config_of(server.url, tmp_path, per_problem=2, budget={"requests": 40})
        whole = collect(config_of(server.url, tmp_path / "other", per_problem=2), tmp_path, kit)
        server.reset()
        data, folder = tmp_path / "data", tmp_path / "sharded"
        folder.mkdir()
        ctx = StageContext(config, {"data": data}, folder, kit.messages())
        for index in (2, 0, 1):
            collect_traces(replace(ctx, shard=Shard(index, 3)))
        assert len(server.seen) == 24 and set(keys(server).values()) == {1}
        assert not (folder / "accepted.jsonl").exists()
        summary = collect(config, tmp_path, kit, "sharded")
        assert len(server.seen) == 24  # all is there
        collect(config, tmp_path, kit, "another")  # a run without shards finds what shards have bought
        assert len(server.seen) == 24
    assert summary == whole
    same = [(tmp_path / name / "accepted.jsonl").read_bytes() for name in ("traces", "sharded", "another")]
    assert same[0] == same[1] == same[2]


def test_a_shard_has_its_share_of_pace_and_budget() -> None:
    settings = EndpointTeacher.model_validate(
        {
            "endpoint": {
                "base_url": "http://x/v1",
                "model": "m",
                "concurrency": 32,
                "requests_per_minute": 60,
            },
            "budget": {"money": 9, "requests": 100},
        }
    )
    share = share_of(settings, 3)
    assert isinstance(share, EndpointTeacher)
    # 32 / 3 = 10.67, 60 / 3 = 20, 9 / 3 = 3, 100 / 3 = 33.3
    assert (share.endpoint.concurrency, share.endpoint.requests_per_minute) == (10, 20)
    assert (share.budget.money, share.budget.requests, share.budget.tokens) == (3, 33, None)


def test_the_main_file_waits_for_a_shard_that_asks(tmp_path: Path) -> None:
    shard = PaidAnswers(tmp_path / "a.jsonl", part="shard0of2")
    shard.add(PaidAnswer(key="one", problem_id="p", text="1"))
    other = PaidAnswers(tmp_path / "a.jsonl", part="shard1of2")  # two shards do not wait for each other
    other.close()
    said: list[str] = []
    opened = threading.Thread(
        target=lambda: said.append(str(len(PaidAnswers(tmp_path / "a.jsonl", said.append))))
    )
    opened.start()
    opened.join(0.3)
    assert opened.is_alive() and "waiting for its answers" in said[0]
    shard.close()
    opened.join(10)
    assert said[1:] == ["1"]
