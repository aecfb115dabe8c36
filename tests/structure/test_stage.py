from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.errors import DataError, MissingScoreError
from rlkd.io import read_rows, sha256_text, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.structure.decomposers.generative import generative_decomposer
from rlkd.structure.interfaces import PathItem
from rlkd.structure.stage import decompose_traces
from schemas.config.pipeline import PipelineConfig
from schemas.config.structure import GenerativeDecomposerConfig
from schemas.problem import Problem
from schemas.structure import ReasoningStep, Structure
from schemas.trace import TeacherTrace

CONFIG = PipelineConfig.model_validate({"name": "toy", "data": {"type": "world"}})


class Recorder:
    """One step per path; fails on paths named in ``faults`` and dies after ``limit`` of them."""

    name = "recorder@1"

    def __init__(self, faults: Sequence[str] = (), limit: int = 10**6) -> None:
        self.faults, self.limit, self.seen = faults, limit, list[str]()

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        if len(self.seen) + len(items) > self.limit:
            raise ConnectionError("killed")
        self.seen += [item.path for item in items]
        return [
            None
            if item.path in self.faults
            else Structure(
                steps=(ReasoningStep(index=0, sub_problem=item.path),), path_sha256=sha256_text(item.path)
            )
            for item in items
        ]


def context(root: Path, count: int) -> StageContext:
    for name in ("data", "traces", "structures"):
        (root / name).mkdir(exist_ok=True)
    problems = [Problem(id=f"p{i}", question="q", answer="1", domain="logic") for i in range(count)]
    write_rows(root / "data" / "train.jsonl", problems[: count // 2])
    write_rows(root / "data" / "test.jsonl", problems[count // 2 :])
    traces = [
        TeacherTrace(id=f"p{i}/0", problem_id=f"p{i}", teacher="t", path=f"path {i}", accepted=True)
        for i in range(count)
    ]
    write_rows(root / "traces" / "accepted.jsonl", traces)
    return StageContext(
        CONFIG, {"data": root / "data", "traces": root / "traces"}, root / "structures", NullSink()
    )


def test_every_trace_is_decomposed_once_in_order(tmp_path: Path) -> None:
    ctx = context(tmp_path, 150)
    recorder = Recorder()
    result = decompose_traces(ctx, recorder)
    rows = read_rows(ctx.folder / "structures.jsonl", Structure)
    assert [row.trace_id for row in rows] == [f"p{i}/0" for i in range(150)]
    assert rows[7].problem_id == "p7"
    assert rows[7].decomposer == "recorder@1"
    assert sorted(recorder.seen) == sorted(f"path {i}" for i in range(150))
    assert (result.rows, result.summary["missing"], result.summary["without_steps"]) == (150, 0, 0)


def test_an_unfinished_stage_continues_where_it_stopped(tmp_path: Path) -> None:
    ctx = context(tmp_path, 150)
    with pytest.raises(ConnectionError):
        decompose_traces(ctx, Recorder(limit=128))
    with (ctx.folder / "work" / "structures.jsonl").open("a") as file:
        file.write('{"torn')
    second = Recorder()
    decompose_traces(ctx, second)
    assert second.seen == [f"path {i}" for i in range(128, 150)]
    rows = read_rows(ctx.folder / "structures.jsonl", Structure)
    assert [row.trace_id for row in rows] == [f"p{i}/0" for i in range(150)]


def test_faults_are_missing_and_too_many_stop_the_stage(tmp_path: Path) -> None:
    ctx = context(tmp_path, 20)
    result = decompose_traces(ctx, Recorder(faults=("path 3", "path 4")))
    assert result.summary["missing"] == 2
    assert "p3/0" not in {row.trace_id for row in read_rows(ctx.folder / "structures.jsonl", Structure)}
    other = context(tmp_path, 21)
    (other.folder / "work" / "structures.jsonl").unlink()
    with pytest.raises(MissingScoreError, match="failed on 3 of 21 traces"):
        decompose_traces(other, Recorder(faults=("path 3", "path 4", "path 5")))


def test_why_an_endpoint_failed_is_said_and_its_key_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-" + "verysecret" * 3
    monkeypatch.setenv("MY_KEY", key)
    with SimulatedServer(lambda body: Reply(f"wrong key {key}", status=401)) as server:
        endpoint = {"type": "openai", "base_url": server.url, "model": "m", "api_key_env": "MY_KEY"}
        config = GenerativeDecomposerConfig.model_validate({"type": "generative", "endpoint": endpoint})
        with pytest.raises(MissingScoreError) as raised:
            decompose_traces(context(tmp_path, 12), generative_decomposer(config))
    said = str(raised.value)
    assert "failed on 12 of 12 traces (last fault: " in said
    assert "status 401" in said
    assert "check the key in the variable that api_key_env names" in said
    assert "mend structures.decomposer" in said
    assert "verysecret" not in said


def test_structures_of_another_decomposer_are_not_reused(tmp_path: Path) -> None:
    ctx = context(tmp_path, 6)
    decompose_traces(ctx, Recorder())
    newer = Recorder()
    newer.name = "recorder@2"
    decompose_traces(ctx, newer)
    assert len(newer.seen) == 6


def test_the_configured_cache_keeps_what_a_model_said(tmp_path: Path) -> None:
    def config(cache: Path) -> PipelineConfig:
        endpoint = {"type": "openai", "base_url": server.url, "model": "m"}
        decomposer = {"type": "generative", "endpoint": endpoint}
        structures = {"decomposer": decomposer, "cache": {"folder": str(cache)}}
        return CONFIG.model_validate({**CONFIG.model_dump(), "structures": structures})

    answer = json.dumps({"steps": [{"sub_problem": "How many?", "answer": "1", "quote": "path"}]})
    with SimulatedServer(lambda body: Reply(answer)) as server:
        asked = []
        for i, cache in enumerate(("one", "one", "two")):
            (tmp_path / str(i)).mkdir()
            ctx = replace(context(tmp_path / str(i), 3), config=config(tmp_path / cache))
            assert decompose_traces(ctx).rows == 3
            asked.append(len(server.seen))
    assert asked == [3, 3, 6]  # the second run finds all three answers on disk, another folder has none


def test_clear_errors(tmp_path: Path) -> None:
    ctx = context(tmp_path, 4)
    write_rows(tmp_path / "data" / "test.jsonl", [])
    with pytest.raises(DataError, match="trace p2/0 is for problem p2, which the data stage does not have"):
        decompose_traces(ctx, Recorder())
    write_rows(tmp_path / "traces" / "accepted.jsonl", [])
    with pytest.raises(DataError, match="there is no accepted trace"):
        decompose_traces(ctx, Recorder())
