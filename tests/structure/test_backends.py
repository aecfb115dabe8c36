"""From configuration to decomposers and judges."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from rlkd.completion.openai import OpenAICompleter
from rlkd.structure.backends.cache import DiskCache, RequestCache, open_cache
from rlkd.structure.factory import make_decomposer, make_judge, make_scorer
from rlkd.structure.interfaces import Decomposer, Judge
from rlkd.structure.judges.early_stop import PrefixJudge
from schemas.config.endpoint import OpenAIEndpoint
from schemas.config.structure import CacheConfig, DecomposerConfig, JudgeConfig, StructuresConfig

SERVER = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "qwen"}
QWEN = OpenAICompleter(OpenAIEndpoint.model_validate(SERVER)).name
OFF = CacheConfig(enabled=False)
JUDGE: TypeAdapter[Any] = TypeAdapter(JudgeConfig)
DECOMPOSER: TypeAdapter[Any] = TypeAdapter(DecomposerConfig)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"type": "rules"}, "rules@5"),
        ({"type": "llm", "endpoint": SERVER}, f"llm:{QWEN}@1:auto:2000:gate0.5"),
        ({"type": "llm", "endpoint": SERVER, "batch": True, "gate": None}, f"llm:{QWEN}@1:batch:2000"),
        ({"type": "embedding", "model": "mini"}, "embedding:mini:0.8:15+rules@5"),
        (
            {"type": "cascade", "then": {"type": "llm", "endpoint": SERVER}},
            f"cascade(rules@5,llm:{QWEN}@1:auto:2000:gate0.5,0.2,0.8)",
        ),
    ],
)
def test_every_judge_can_be_built_without_a_server_or_weights(config: dict[str, Any], name: str) -> None:
    judge = make_judge(JUDGE.validate_python(config), OFF)
    assert isinstance(judge, Judge)
    assert judge.name == name
    assert isinstance(judge, PrefixJudge) == (config["type"] in ("llm", "cascade"))


def test_the_generative_decomposer() -> None:
    decomposer = make_decomposer(DECOMPOSER.validate_python({"type": "generative", "endpoint": SERVER}), OFF)
    assert isinstance(decomposer, Decomposer)
    assert decomposer.name.startswith("generative:qwen+")
    assert (
        decomposer.name
        == make_decomposer(DECOMPOSER.validate_python({"type": "generative", "endpoint": SERVER}), OFF).name
    )


@pytest.mark.parametrize(
    "change",
    [
        {"max_chars": 100},
        {"endpoint": SERVER | {"extra_body": {"seed": 1}}},
        {"endpoint": SERVER | {"base_url": "http://127.0.0.1:10/v1"}},
        {"endpoint": SERVER | {"model": "llama"}},
        {"form": "json"},
    ],
)
def test_what_was_read_under_other_settings_is_never_found(change: dict[str, Any], tmp_path: Path) -> None:
    config = {"type": "generative", "endpoint": SERVER}
    names = [make_decomposer(DECOMPOSER.validate_python(config | c), OFF).name for c in ({}, change)]
    disk = DiskCache(tmp_path)
    stores: list[RequestCache[int]] = [
        RequestCache("structure", name, int, lambda value: int(str(value)), disk) for name in names
    ]

    async def made(number: int) -> list[int | None]:
        async def make(wanted: list[int]) -> list[int]:
            return [number]

        store = stores[number]
        return await store.get([store.key(["problem", "path", "math"])], make)

    assert [asyncio.run(made(0)), asyncio.run(made(1))] == [[0], [1]]


def test_a_scorer_from_a_whole_section(tmp_path: Path) -> None:
    section = StructuresConfig.model_validate(
        {
            "decomposer": {"type": "generative", "endpoint": SERVER},
            "judge": {"type": "cascade", "then": {"type": "llm", "endpoint": SERVER}},
            "alignment": {"type": "prefix"},
            "cache": {"folder": str(tmp_path / "cache")},
        }
    )
    assert make_scorer(section).judge.name.startswith("cascade")
    assert (tmp_path / "cache" / "v1").is_dir()


def test_the_cache_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_cache(OFF) is None
    monkeypatch.setenv("RLKD_CACHE", str(tmp_path / "here"))
    disk = open_cache(CacheConfig())
    assert disk is not None
    assert disk.folder == tmp_path / "here" / "v1"


def test_rules_open_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_scorer(StructuresConfig())
    make_judge(StructuresConfig().judge)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "config",
    [
        {"type": "llm"},
        {"type": "cascade", "then": {"type": "rules"}, "low": 0.8, "high": 0.2},
        {"type": "cascade", "then": {"type": "cascade", "then": {"type": "rules"}}},
        {"type": "llm", "endpoint": SERVER, "verdict": "guess"},
        {"type": "llm", "endpoint": SERVER | {"api_key": "sk-abc"}},
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JUDGE.validate_python(config)
