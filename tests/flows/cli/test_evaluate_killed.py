"""``rlkd evaluate``, killed in the middle and run again, as real processes: what was done is not done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
PROBLEMS = 24


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A benchmark's own copy."""
    path = tmp_path / "easy.jsonl"
    lines = [
        {"id": f"e{i}", "question": f"{i} + 1?", "answer": str(i + 1), "traces": [], "cluster": i // 3}
        for i in range(PROBLEMS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def command(model: str, rows: Path, folder: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "flows.cli.main", "evaluate", model, "--on", f"easy_math={rows}"),
        *("--samples", "2", "-o", str(folder), *options),
    ]


def start(arguments: list[str], tmp_path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RLKD_CACHE": str(tmp_path / "cache")}
    return subprocess.Popen(arguments, cwd=tmp_path, env=environment)


def kill_when(process: subprocess.Popen[bytes], enough: Any) -> None:
    deadline = time.monotonic() + 900
    while not enough():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def test_a_student_goes_on_with_the_answers_that_are_missing(rows: Path, tmp_path: Path) -> None:
    model = {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 256}
    student = {"model": model, "max_prompt_tokens": 64, "max_completion_tokens": 64}
    config = parse_config({"name": "t", "data": {"type": "world"}, "student": student})
    made = fresh_student(config.student, ["1 + 1?"] * 20, seed=0)
    save_student(made.model, made.tokenizer, tmp_path / "student")
    folder = tmp_path / "evaluations"
    arguments = command(str(tmp_path / "student"), rows, folder, "--set", "evaluate.batch_size=2")

    def lines() -> list[bytes]:
        files = list(folder.glob("*/easy_math.jsonl"))
        return files[0].read_bytes().splitlines(keepends=True) if files else []

    process = start(arguments, tmp_path)
    kill_when(process, lambda: len(lines()) >= 30)  # the greedy answers are there, and some samples
    kept = [line for line in lines() if line.endswith(b"\n")]
    assert 24 < len(kept) < 3 * PROBLEMS
    assert start(arguments, tmp_path).wait(900) == 0
    assert lines()[: len(kept)] == kept
    keys = [json.loads(line)["key"] for line in lines()]
    assert len(keys) == len(set(keys)) == 3 * PROBLEMS


def test_an_endpoint_is_not_asked_again_for_what_it_has_answered(rows: Path, tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> Reply:
        if not body:
            return Reply(raw=b'{"data": [{"id": "big"}]}')
        question = body["messages"][-1]["content"]
        asked[f"{question}/{body['temperature']}/{body.get('seed')}"] += 1
        return Reply("\\boxed{3}", 5, 5)

    with SimulatedServer(answer, slots=4, base_s=0.2) as server:
        options = ["--set", "traces.teacher.endpoint.concurrency=4"]
        arguments = command(f"{server.url}#big", rows, tmp_path / "evaluations", *options)
        kill_when(start(arguments, tmp_path), lambda: len(server.seen) >= 40)
        assert start(arguments, tmp_path).wait(900) == 0
        before = sum(asked.values())
        assert len(server.seen) == before + 2  # each of the two asked for the list of models
        # only what was under way at the kill is asked again: at most the 4 connections
        assert 3 * PROBLEMS <= before <= 3 * PROBLEMS + 4
        assert start(arguments, tmp_path).wait(900) == 0
        assert len(server.seen) == before + 2
    (file,) = (tmp_path / "evaluations").glob("*/easy_math.jsonl")
    keys = [json.loads(line)["key"] for line in file.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 3 * PROBLEMS
