"""Cached decomposers and judges, and the circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import MissingScoreError
from rlkd.rewards.breaker import CircuitBreaker
from rlkd.structure.backends.cache import DiskCache
from rlkd.structure.backends.cached import CachedDecomposer, CachedJudge
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from schemas.structure import ReasoningStep, Structure


class Lines:
    """One step per line; counts the paths that it read; fails on paths that say so."""

    name = "lines@1"

    def __init__(self) -> None:
        self.read: list[str] = []

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        self.read += [item.path for item in items]
        return [
            None
            if item.path == "fail"
            else Structure(
                steps=tuple(
                    ReasoningStep(index=i, answer=line) for i, line in enumerate(item.path.splitlines())
                )
            )
            for item in items
        ]


def test_each_path_is_read_once_also_from_disk(tmp_path: Path) -> None:
    inner = Lines()
    cached = CachedDecomposer(inner, DiskCache(tmp_path))
    items = [
        PathItem("p", "a\nb"),
        PathItem("p", "c"),
        PathItem("p", "a\nb"),
        PathItem("other", "c"),
        PathItem("p", "fail"),
    ]
    first = asyncio.run(cached.decompose(items))
    assert [None if s is None else len(s.steps) for s in first] == [2, 1, 2, 1, None]
    assert inner.read == ["a\nb", "c", "c", "fail"]
    other = Lines()
    again = asyncio.run(CachedDecomposer(other, DiskCache(tmp_path)).decompose(items))
    assert again == first
    assert other.read == ["fail"]  # what is missing is asked again
    assert cached.name == "lines@1"


def test_a_pair_is_judged_once_wherever_its_steps_stand(table_judge: Any, tmp_path: Path) -> None:
    inner = table_judge({("a", "b"): PairVerdict(0.25, 0.5, 0.75), ("a", "c"): None})
    judge = CachedJudge(inner, DiskCache(tmp_path))
    step = lambda text, index=0: ReasoningStep(index=index, sub_problem=text, start=index, end=index + 1)  # noqa: E731
    pairs = [
        StepPair(step("a"), step("b")),
        StepPair(step("a", 3), step("b", 5)),
        StepPair(step("a"), step("c")),
    ]
    assert asyncio.run(judge.judge(pairs)) == [PairVerdict(0.25, 0.5, 0.75)] * 2 + [None]
    assert inner.asked == [("a", "b"), ("a", "c")]
    fresh = table_judge({("a", "c"): PairVerdict(0.0, 0.0, 0.0)})
    assert asyncio.run(CachedJudge(fresh, DiskCache(tmp_path)).judge(pairs))[0] == PairVerdict(
        0.25, 0.5, 0.75
    )
    assert fresh.asked == [("a", "c")]


@pytest.mark.parametrize("stored", [[0.1, 0.2], [0.1, 0.2, 1.5], [0.1, 0.2, True], "yes", {"p": 1}])
def test_a_stored_verdict_that_is_none_is_asked_again(
    table_judge: Any, pair: Callable[..., StepPair], tmp_path: Path, stored: Any
) -> None:
    disk = DiskCache(tmp_path)
    inner = table_judge({("a", "b"): PairVerdict(1.0, 1.0, 1.0)})
    judge = CachedJudge(inner, disk)
    asyncio.run(judge.judge([pair("a", "b")]))
    [key] = list(disk._cache)
    disk.put("verdict", "table", {key: stored})
    assert asyncio.run(CachedJudge(inner, disk).judge([pair("a", "b")])) == [PairVerdict(1.0, 1.0, 1.0)]
    assert len(inner.asked) == 2
    assert disk.discarded == 1


def test_the_breaker_trips_past_the_share_and_not_before() -> None:
    breaker = CircuitBreaker(max_share=0.25, window=8, minimum=4)
    breaker.record([False, False, False])  # too few to judge
    with pytest.raises(MissingScoreError, match=r"3 of the last 4 scores .* allowed 25% \(timeout\)"):
        breaker.record([True], "timeout")
    breaker = CircuitBreaker(max_share=0.25, window=8, minimum=4)
    breaker.record([True] * 6 + [False] * 2)  # 2 of 8 is 25%: not more than allowed
    breaker.record([True] * 8)
    breaker.record([False, False])  # the first two have left the window: 2 of 8
    with pytest.raises(MissingScoreError):
        breaker.record([False])
    assert (breaker.seen, breaker.missing) == (19, 5)


def test_a_breaker_that_allows_everything_never_trips() -> None:
    breaker = CircuitBreaker(max_share=1.0, minimum=1)
    breaker.record([False] * 100)
    assert breaker.missing == 100
