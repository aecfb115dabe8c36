"""A GSRM through the command line, for real and tiny: killed, resumed, registered, reused, and used by its name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STAGES = ["gsrm_paths", "gsrm_annotations", "gsrm_train", "gsrm_evaluate"]
CONFIG = """
kind: gsrm
name: toy-gsrm
paths: {type: file, path: paths.jsonl, split: {validation: 0.1, test: 0.1}}
student:
  model: {type: fresh, vocabulary: 300, layers: 1, width: 32, heads: 2, context: 256}
  form: compact
  max_prompt_tokens: 64
  max_completion_tokens: 64
sft: {max_epochs: 12, batch_size: 8, eval_every: 10, patience: 9, optimizer: {learning_rate: 5.0e-3}}
evaluate: {resamples: 100}
register_as: {name: toy-gsrm, min_step_f1: 0}
tracking: {system_metrics: false}
"""
USE = """
structures:
  decomposer: {type: generative, model: "models:/toy-gsrm/latest"}
  cache: {enabled: false}
"""


class Cli:
    """The command line in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
        (folder / "toy.yaml").write_text(CONFIG)
        (folder / "use.yaml").write_text(USE)
        rows = [
            {
                "id": i,
                "problem": f"{i} and 1?",
                "path": f"{i}+1={i + 1}.",
                "steps": [{"sub_problem": "?", "answer": str(i + 1), "quote": f"{i}+1={i + 1}"}],
            }
            for i in range(60)
        ]
        (folder / "paths.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> Any:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def statuses(self) -> dict[str, str]:
        run = json.loads((self.folder / "runs" / "toy-gsrm" / "run.json").read_text())
        return {entry["name"]: entry["status"] for entry in run["stages"]}


def _wait_for(file: Path, lines: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        found = list(file.parent.parent.glob(f"*/{file.name}"))
        if found and len(found[0].read_text().splitlines()) >= lines:
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def test_killed_resumed_registered_reused_and_used_by_name(
    tmp_path: Path, environment: dict[str, str], services: dict[str, str]
) -> None:
    cli = Cli(tmp_path, {**environment, **services})
    process = cli.start("train-gsrm", "toy.yaml")
    store = tmp_path / "runs" / ".store"
    _wait_for(store / "gsrm_train" / "x" / "metrics.jsonl", 14, process)  # past the first checkpoint
    process.send_signal(signal.SIGKILL)
    process.communicate()

    again = cli("train-gsrm", "toy.yaml")
    assert again.returncode == 0, again.stderr
    assert cli.statuses() == {
        "gsrm_paths": "reused",
        "gsrm_annotations": "reused",
        "gsrm_train": "done",
        "gsrm_evaluate": "done",
    }
    assert "gsrm_train: continues from step" in again.stdout
    told = json.loads((tmp_path / "runs" / "toy-gsrm" / "gsrm.json").read_text())
    assert told["registered"] == "models:/toy-gsrm/1"
    assert 'model: "models:/toy-gsrm/1"' in again.stdout
    assert "step F1" in (tmp_path / "runs" / "toy-gsrm" / "gsrm.md").read_text()

    cached = cli("train-gsrm", "toy.yaml")
    assert cached.returncode == 0, cached.stderr
    assert cli.statuses() == dict.fromkeys(STAGES, "reused")
    assert json.loads((tmp_path / "runs" / "toy-gsrm" / "gsrm.json").read_text()) == told  # no second version

    stricter = cli(
        "train-gsrm", "toy.yaml", "--set", "register_as.min_step_f1=1", "--set", "register_as.name=never"
    )
    assert stricter.returncode == 0, stricter.stderr
    if told["figures"]["step_f1"] < 1:
        assert "not registered: its step F1 is" in stricter.stdout

    (tmp_path / "in.jsonl").write_text(json.dumps({"id": 1, "problem": "7 and 1?", "path": "7+1=8."}) + "\n")
    used = cli("decompose", "in.jsonl", "out.jsonl", "--config", "use.yaml")
    assert used.returncode in (0, 1), (
        used.stderr
    )  # a row that so small a model could not decompose is an error row
    [row] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert row["id"] == 1 and ("error" in row or row["steps"])
    unknown = USE.replace("latest", "9")
    (tmp_path / "use.yaml").write_text(unknown)
    refused = cli("decompose", "in.jsonl", "out.jsonl", "--config", "use.yaml")
    assert refused.returncode == 2
    assert "models:/toy-gsrm/9: MLflow at" in refused.stderr and "has no such model" in refused.stderr

    status = cli("status", "runs/toy-gsrm")
    assert status.returncode == 0 and "gsrm_evaluate" in status.stdout


def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path, environment: dict[str, str]) -> None:
    cli = Cli(tmp_path, environment)
    for arguments, words in (
        (["--set", "sft.epochs=3"], "sft.epochs"),
        (["--set", "student.chat=true"], "chat is for the form json"),
        (["--from", "rl"], "there is no stage 'rl'; the stages are gsrm_paths"),
    ):
        refused = cli("train-gsrm", "toy.yaml", *arguments)
        assert refused.returncode == 2
        assert words in refused.stderr
    assert not (tmp_path / "runs").exists()
