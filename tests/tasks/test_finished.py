"""Servers that the stages to come need are asked before anything is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.errors import UserError
from schemas.config.pipeline import PipelineConfig
from tasks.finished import ask_needed_servers

NOBODY = "http://127.0.0.1:9/v1"
LISTING = Reply(raw=json.dumps({"object": "list", "data": [{"id": "big"}]}).encode())


def config(judge: str, teacher: str | None = None, **more: Any) -> PipelineConfig:
    def endpoint(url: str) -> dict[str, str]:
        return {"type": "openai", "base_url": url, "model": "big"}

    values: dict[str, Any] = {
        "name": "t",
        "data": {"type": "world"},
        "structures": {"judge": {"type": "llm", "endpoint": endpoint(judge)}},
    }
    if teacher is not None:
        values["traces"] = {"teacher": {"type": "endpoint", "endpoint": endpoint(teacher)}}
    found = parse_config(values | more)
    assert isinstance(found, PipelineConfig)
    return found


def test_a_judge_that_is_not_there_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"structures\.judge\.endpoint: no OpenAI-compatible server answers"):
        ask_needed_servers(config(NOBODY), str(tmp_path / "run"))


def test_a_teacher_of_another_protocol_gets_one_request(tmp_path: Path) -> None:
    with (
        SimulatedServer(lambda body: LISTING) as judge,
        SimulatedServer(lambda body: Reply(raw=b'{"generated_text": "hello"}')) as teacher,
        pytest.raises(
            UserError, match=r"traces\.teacher\.endpoint: what answers at .* is no OpenAI-compatible"
        ),
    ):
        ask_needed_servers(config(judge.url, teacher.url), str(tmp_path / "run"))
    assert len(teacher.seen) == 1


def test_servers_that_answer_are_asked_once(tmp_path: Path) -> None:
    with SimulatedServer(lambda body: LISTING) as judge, SimulatedServer(lambda body: LISTING) as teacher:
        ask_needed_servers(config(judge.url, teacher.url), str(tmp_path / "run"))
        assert (len(judge.seen), len(teacher.seen)) == (1, 1)


def test_a_configuration_without_servers_asks_nothing(tmp_path: Path) -> None:
    found = parse_config({"name": "t", "data": {"type": "world"}})
    ask_needed_servers(found, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
