"""Real stages on a toy configuration: killed without warning, a run ends with the weights of an uninterrupted one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = """
name: toy
data: {type: world, world: {n_train: 16, n_validation: 6, n_test: 6, n_ood: 2}}
student:
  model: {type: fresh, vocabulary: 300, layers: 1, width: 32, heads: 2, context: 640}
  max_prompt_tokens: 400
  max_completion_tokens: 200
warm_start: {max_epochs: 2, batch_size: 8, eval_every: 2, patience: 2}
rl: {steps: 10, prompts_per_step: 2, group_size: 2, save_every: 3}
evaluate: {samples: 2, pass_at: [1, 2], pass_problems: 2, resamples: 100}
tracking: {enabled: false}
"""


def _command(folder: Path, *arguments: str) -> list[str]:
    (folder / "toy.yaml").write_text(CONFIG)
    return [
        sys.executable,
        "-m",
        "flows.cli.main",
        *arguments,
        str(folder / "toy.yaml"),
        "--output",
        str(folder / "runs" / "toy"),
    ]


def _environment(environment: dict[str, str], services: dict[str, str]) -> dict[str, str]:
    return {**environment, **services, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def _stage(folder: Path, name: str) -> Path:
    [found] = [path for path in (folder / "runs" / ".store" / name).iterdir() if path.is_dir()]
    return found


def _steps(folder: Path) -> list[int]:
    """Optimiser steps that the RL process in hand has reported."""
    found = list((folder / "runs" / ".store" / "rl").glob("*/work/events.jsonl"))
    if not found:
        return []
    events = [json.loads(line) for line in found[0].read_text().splitlines() if line.endswith("}")]
    return [event["step"] for event in events if event["type"] == "metrics"]


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the training process through /proc")
def test_a_run_killed_in_rl_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, environment: dict[str, str], services: dict[str, str]
) -> None:
    env = _environment(environment, services)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    done = subprocess.run(
        _command(whole, "stage", "rl"), env=env, cwd=whole, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr

    shutil.copytree(whole / "runs" / ".store", killed / "runs" / ".store")
    shutil.rmtree(killed / "runs" / ".store" / "rl")  # the same earlier stages, finished already
    process = subprocess.Popen(
        _command(killed, "stage", "rl"), env=env, cwd=killed, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 600
    while len(_steps(killed)) < 5:  # the first checkpoint is after step 3
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    for pid in [*_children(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not (_stage(killed, "rl") / "manifest.json").exists()

    resumed = subprocess.run(
        _command(killed, "stage", "rl"), env=env, cwd=killed, capture_output=True, text=True, timeout=800
    )
    assert resumed.returncode == 0, resumed.stderr
    for name in ("data", "traces", "structures", "warm_start"):
        assert f"{name}: reused" in resumed.stdout
    log = (killed / "runs" / "toy" / "logs" / "rl.log").read_text()
    assert log.count("--- rl: ") == 2
    weights = [
        (_stage(folder, "rl") / "model" / "model.safetensors").read_bytes() for folder in (whole, killed)
    ]
    assert weights[0] == weights[1]
    rows = [json.loads(line) for line in (_stage(killed, "rl") / "metrics.jsonl").read_text().splitlines()]
    assert len({row["step"] for row in rows}) == len(rows)
