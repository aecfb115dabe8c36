"""The cost benchmark's counts (its times depend on the machine): same scores, fewer tokens, nothing asked twice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rlkd.completion.simulated import SimulatedServer

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "reward_cost.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reward_cost", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reward_cost"] = module
    spec.loader.exec_module(module)
    module.PROBLEMS = 4
    return module


@pytest.mark.slow
def test_the_same_scores_for_fewer_tokens(bench: ModuleType, tmp_path: Path) -> None:
    world = bench.make_world()
    assert len(world.samples) == 32
    assert len({name for _, name in world.samples}) == 24  # a quarter are duplicates
    with SimulatedServer(bench.answer(world), 40) as server:
        clock = bench.Clock(server)
        paper = bench.Paper(server.url, world).batch(judges=8)
        _, _, prompt, output = clock.stop(1.0)
        assert 0 < sum(paper) < len(paper)
        for cache, together in ((None, True), (tmp_path, True), (None, False)):
            clock.restart()
            assert bench.ours(server.url, world, cache, together, False, clock) == paper
            _, _, our_prompt, our_output = clock.stop(1.0)
            assert prompt >= 2.0 * our_prompt
            assert output >= 1.8 * our_output
            # 4 teachers and 24 students, each decomposed once
            assert sum("path-" in seen.body["messages"][-1]["content"] for seen in server.seen) == 28
        clock.restart()
        assert bench.ours(server.url, world, tmp_path, True, False, clock) == paper
        assert server.seen == []  # all of it from disk


def test_rules_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    figures = importlib.import_module("rules_cost").rules_part(16)
    assert all(value >= 0 for value in figures.values())
    shares = [value for name, value in figures.items() if name.startswith("share of time")]
    assert len(shares) == 4
