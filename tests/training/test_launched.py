"""Training as a launched job: two processes (gloo) learn what one learns at the same global batch, killed or not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import StageError
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import Job
from rlkd.training.warm_start import warm_start
from schemas.config.training import LaunchConfig
from tasks.jobs import run_job

from .conftest import make_config, make_context

pytestmark = pytest.mark.slow

OWN = """
import os, signal
from dataclasses import replace
from pathlib import Path
from rlkd.pipeline.events import NullSink
from rlkd.training.warm_start import warm_start


class Killer(NullSink):
    def metrics(self, step, values):
        if step >= 3 and os.environ["RANK"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)


def killed_once(ctx):
    died = ctx.folder / "died"
    if died.exists():
        return warm_start(ctx)
    assert os.environ["WORLD_SIZE"] == "2"
    if os.environ["RANK"] == "0":
        ctx = replace(ctx, events=Killer())
        died.with_name("died.next").touch()
    return warm_start(ctx)
"""


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_killed_processes_end_with_what_one_learns_at_the_same_global_batch(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    (tmp_path / "own_job.py").write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # 12 traces in batches of 6 (once 6, once 2 x 3): 2 steps a pass, 4 in all, a checkpoint every 2
    settings = {"max_epochs": 2, "eval_every": 2, "keep": "last"}
    whole, shared = tmp_path / "one", tmp_path / "two"
    warm_start(make_context(whole, make_config(warm_start={**settings, "batch_size": 6}), inputs))

    shared.mkdir()
    config = make_config(warm_start={**settings, "batch_size": 3})
    job = Job(
        stage="warm_start",
        function="own_job:killed_once",
        config=config.model_dump(mode="json"),
        inputs={name: str(path) for name, path in inputs.items()},
        folder=str(shared),
    )
    (shared / "work").mkdir()
    launch = LaunchConfig(processes=2)
    with pytest.raises(
        StageError, match="stage warm_start"
    ):  # the one that is left says that its peer is gone
        run_job(job, shared / "work", tmp_path / "log", launch, NullSink())
    (shared / "died.next").rename(shared / "died")
    assert [row["step"] for row in rows(shared)][-1] == 3
    run_job(job, shared / "work", tmp_path / "log", launch, NullSink())

    alone, together = rows(whole), rows(shared)
    assert [(row["step"], sorted(row)) for row in alone] == [(row["step"], sorted(row)) for row in together]
    for one, two in zip(alone, together, strict=True):
        for name in {"loss", "grad_norm", "validation_loss"} & one.keys():
            assert two[name] == pytest.approx(one[name], rel=1e-3), (one["step"], name)
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (whole, shared))
    assert ours.keys() == theirs.keys()
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-4
