"""The whole chain with teacher, decomposer and judge behind servers on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.derived import is_enabled
from rlkd.config.load import parse_config
from rlkd.data.traces import collect_traces
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import STAGES
from rlkd.rewards.ledger import read_ledger
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.student.checkpoints import demo_base_folder
from rlkd.worlds import make_splits, world_of
from schemas.config.world import WorldSettings
from schemas.problem import Problem
from schemas.trace import TeacherTrace

pytestmark = pytest.mark.slow

WORLD = {"n_train": 12, "n_validation": 4, "n_test": 6, "n_ood": 0, "steps": {"min": 2, "max": 3}}


class Models:
    """What the three models answer: the world's solver, the rules' steps, and yes for texts that are the same."""

    def __init__(self) -> None:
        splits = make_splits(WorldSettings.model_validate(WORLD), 0)
        self.paths = {p.question: world_of(p).solve(p) for rows in splits.values() for p in rows}
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            kind, first = body["model"], self.asked[body["model"]] == 0
            self.asked[kind] += 1
        if first:  # each of the three is busy once
            return Reply("busy", status=429, headers={"Retry-After": "0"})
        user = body["messages"][-1]["content"]
        if kind == "teacher":
            return Reply(self.paths[user], 40, 60)
        data = json.loads(user.splitlines()[1])
        if kind == "judge":
            word = "yes" if data["A"] == data["B"] else "no"
            return Reply(word, 90, 1, logprobs=((word, -0.01), ("maybe", -5.0)))
        path = data["solution"]
        steps = [
            {"sub_problem": step.sub_problem, "answer": step.answer, "quote": path[step.start : step.end]}
            for step in decompose_text(path).steps
        ]
        return Reply(json.dumps({"steps": steps}), 200, 80)


def chain_config(url: str, folder: Path) -> Any:
    def place(model: str) -> dict[str, Any]:
        return {"type": "openai", "base_url": url, "model": model, "max_wait_s": 0.02}

    teacher = {"type": "endpoint", "endpoint": place("teacher"), "prompt": "{question}"}
    optimizer = {"learning_rate": 1e-5}
    return parse_config(
        {
            "name": "t",
            "data": {"type": "world", "world": WORLD},
            "traces": {"teacher": teacher | {"answers": str(folder / "answers")}},
            "structures": {
                "decomposer": {"type": "generative", "endpoint": place("decomposer")},
                "judge": {"type": "llm", "endpoint": place("judge")},
                "cache": {"folder": str(folder / "cache")},
            },
            "warm_start": {"max_epochs": 1, "batch_size": 8, "eval_every": 2, "optimizer": optimizer},
            "qualify": {
                "action": "warn",
                "resamples": 200,
                "pairs": {"type": "student", "problems": 4, "per_problem": 2},
            },
            "rl": {"steps": 2, "prompts_per_step": 2, "group_size": 4, "optimizer": optimizer},
            "evaluate": {"samples": 0, "resamples": 200, "pass_at": [1]},
        }
    )


def test_the_whole_chain_runs_with_every_model_behind_an_endpoint(tmp_path: Path) -> None:
    models = Models()
    folders: dict[str, Path] = {}
    with SimulatedServer(models) as server:
        config = chain_config(server.url, tmp_path)
        assert all(is_enabled(config, spec.name) for spec in STAGES)
        for spec in STAGES:
            folder = tmp_path / spec.name
            folder.mkdir()
            inputs = {name: folders[name] for name in spec.inputs}
            made = spec.load()(StageContext(config, inputs, folder, NullSink()))
            # as the store would seal it: the report reads what stages say of themselves
            (folder / "result.json").write_text(made.model_dump_json())
            folders[spec.name] = folder
    traces = json.loads((folders["traces"] / "summary.json").read_text())
    # 12 + 4 + 6 problems, and one answer that came at the second attempt
    assert (traces["accepted"], traces["costs"][0]["requests"], models.asked["teacher"]) == (22, 22, 23)
    structures = json.loads((folders["structures"] / "summary.json").read_text())
    assert (structures["structures"], structures["missing"], structures["without_steps"]) == (22, 0, 0)
    assert models.asked["judge"] > 20
    rows = read_ledger(folders["rl"] / "ledger")
    assert len(rows) == 16  # 2 steps of 2 groups of 4
    scores = [row.structure for row in rows]
    assert all(score is not None for score in scores)
    assert any(score is not None and score > 0.3 for score in scores)
    report = json.loads((folders["evaluate"] / "eval_report.json").read_text())
    assert report["structure_fault"] == ""
    assert (folders["report"] / "content.json").is_file()


@contextmanager
def served(model: Path, log: Path) -> Iterator[str]:
    """``transformers serve`` with a model, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=output,
            stderr=output,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            deadline = time.monotonic() + 600  # generously: other work may fill the machine
            while True:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="transformers serve needs the extra `serve` (openai)"
)
def test_a_model_behind_transformers_serve_teaches(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = tmp_path / "model"
    tokenizer = AutoTokenizer.from_pretrained(demo_base_folder())
    tokenizer.chat_template = "{{ messages[-1]['content'] + '\n' }}"  # the form that the shipped base knows
    tokenizer.save_pretrained(model)
    AutoModelForCausalLM.from_pretrained(demo_base_folder()).save_pretrained(model)
    problems: list[Problem] = make_splits(WorldSettings.model_validate(WORLD), 0)["train"][:5]
    data, folder = tmp_path / "data", tmp_path / "traces"
    data.mkdir()
    folder.mkdir()
    for split in ("train", "validation", "test", "ood"):
        write_rows(data / f"{split}.jsonl", problems if split == "train" else [])
    with served(model, tmp_path / "serve.log") as url:
        teacher = {
            "type": "endpoint",
            "endpoint": {"base_url": url, "model": str(model), "concurrency": 4},
            "prompt": "{question}",
            "temperature": 0,
            "max_tokens": 120,
            "answers": str(tmp_path / "answers"),
        }
        config = parse_config({"name": "t", "data": {"type": "world"}, "traces": {"teacher": teacher}})
        collect_traces(StageContext(config, {"data": data}, folder, NullSink()))
    answers = {problem.id: problem.answer for problem in problems}
    accepted = read_rows(folder / "accepted.jsonl", TeacherTrace)
    assert accepted  # greedily the shipped base gets one of these five right
    assert all(trace.answer == answers[trace.problem_id] for trace in accepted)
    costs = json.loads((folder / "summary.json").read_text())["costs"][0]
    assert costs["requests"] == 5 and costs["prompt_tokens"] > 0 and costs["completion_tokens"] > 0
