"""`rlkd experiment` on fake stages, and once on real ones: two methods, two seeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlkd.io import sha256_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOY = """
name: toy
data: {type: world, world: {n_train: 16, n_validation: 6, n_test: 6, n_ood: 2}}
student:
  model: {type: fresh, vocabulary: 300, layers: 1, width: 32, heads: 2, context: 640}
  max_prompt_tokens: 400
  max_completion_tokens: 200
warm_start: {max_epochs: 2, batch_size: 8, eval_every: 2, patience: 2}
qualify: {enabled: false}
rl: {steps: 2, prompts_per_step: 2, group_size: 2, eval_every: 1, eval_problems: 4}
evaluate: {samples: 0, pass_at: [], resamples: 100}
tracking: {experiment: mini, system_metrics: false}
"""
EXPERIMENT = """
kind: experiment
name: mini
base: toy.yaml
methods: [sft+grpo, sft+rlkd]
seeds: [0, 1]
compare: {metric: accuracy, family: [[sft+rlkd, sft+grpo]], resamples: 300}
"""


def test_a_failed_cell_loses_nothing_else(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT.replace("toy.yaml", "tiny.yaml"))
    (tmp_path / "fail").write_text("rl")
    failed = cli("experiment", "experiment.yaml", FAKE_FAIL=f"@{tmp_path / 'fail'}")
    assert failed.returncode == 1, failed.stderr
    assert "4 of 4 cells failed" in failed.stderr
    found = json.loads((tmp_path / "runs" / "mini" / "experiment.json").read_text())
    assert {cell["status"] for cell in found["cells"]} == {"failed"}
    assert found["comparisons"][0]["verdict"] == "missing"
    assert found["ranking"][0]["value"] is None
    made = cli.work("warm_start")
    (tmp_path / "fail").write_text("")
    cli("experiment", "experiment.yaml", FAKE_FAIL=f"@{tmp_path / 'fail'}")
    assert cli.work("warm_start") == made  # what the first attempt finished is reused


def test_wrong_cells_start_nothing(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(
        EXPERIMENT.replace("toy.yaml", "tiny.yaml") + "grid: {rl.steps: [1, 0]}\n"
    )
    done = cli("experiment", "experiment.yaml")
    assert done.returncode == 2
    # two methods, two seeds, of the one wrong value
    assert done.stderr == (
        "rlkd: error: experiment mini: 1 fault\n"
        "  - 4 cells (sft-grpo-0-s0 to sft-rlkd-0-s1): grid.rl.steps: rl.steps must be at least 1, not 0\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.timeout(2400)  # ten processes that import torch: minutes where other work fills the machine
def test_an_experiment_from_end_to_end(
    tmp_path: Path, environment: dict[str, str], services: dict[str, str]
) -> None:
    pytest.importorskip("trl")
    (tmp_path / "toy.yaml").write_text(TOY)
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    settings = {**environment, **services}
    done = _experiment("experiment.yaml", folder=tmp_path, settings=settings)
    folder = tmp_path / "runs" / "mini"
    assert "In accuracy on test" in done.stdout
    found = json.loads((folder / "experiment.json").read_text())
    assert [cell["status"] for cell in found["cells"]] == ["done"] * 4
    # Evaluation is shared as well where two methods end with the same weights, as those of so short a training may.
    weights = {sha256_file(path) for path in (folder / ".store" / "rl").glob("*/model/model.safetensors")}
    for stage, count in (("data", 2), ("warm_start", 2), ("rl", 4), ("evaluate", len(weights))):
        made = [path for path in (folder / ".store" / stage).iterdir() if path.is_dir()]
        assert len(made) == count, stage  # a seed's methods share what comes before RL
    for cell in found["cells"]:
        budget = cell["budget"]
        assert [point["step"] for point in cell["curve"]] == [0, 1, 2]
        assert cell["curve"][-1]["sampled"] == budget["sampled"] > 0
        assert budget["trained"] > budget["sampled"]  # prompts and SFT are trained on, too
        assert budget["flops"] > 6 * budget["parameters"] * budget["trained"]  # sampling comes on top
    [comparison] = found["comparisons"]
    assert sorted(comparison["per_seed"]) == ["0", "1"]
    assert comparison["verdict"] in ("better", "worse", "equivalent", "no difference shown")
    page = (folder / "experiment.html").read_text()
    assert comparison["sentence"].replace("&", "&amp;") in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert os.path.exists(folder / "sft-rlkd-s1" / "report.html")
    _check_mlflow(services["MLFLOW_TRACKING_URI"])
    again = _experiment("experiment.yaml", folder=tmp_path, settings=settings)
    assert "cell 4 of 4: sft-rlkd-s1 is finished" in again.stdout + again.stderr


def _check_mlflow(uri: str) -> None:
    """One parent run, with a child for each cell that names its method."""
    from mlflow import MlflowClient

    mlflow = MlflowClient(uri)
    place = mlflow.get_experiment_by_name("mini")
    assert place is not None
    [parent] = mlflow.search_runs([place.experiment_id], "tags.`rlkd.kind` = 'experiment'")
    assert parent.info.status == "FINISHED"
    assert {"sft_grpo/accuracy", "sft_rlkd/accuracy"} <= set(parent.data.metrics)
    below = mlflow.search_runs([place.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted((run.data.params["method"], run.data.params["seed"]) for run in below) == [
        (method, seed) for method in ("sft+grpo", "sft+rlkd") for seed in ("0", "1")
    ]
    assert {run.data.params["role"] for run in below} == {"compared"}
    # What they reached stands under equal names, so that MLflow's own view compares them.
    reached = [{name for name in run.data.metrics if name.endswith("_final")} for run in below]
    assert {"test_accuracy_final", "ood_accuracy_final", "test_structure_final"} <= reached[0]
    assert all(names == reached[0] for names in reached)


@pytest.mark.timeout(2400)
def test_the_quick_evidence_runs_as_it_ships_but_smaller(
    tmp_path: Path, environment: dict[str, str], services: dict[str, str]
) -> None:
    pytest.importorskip("trl")
    smaller = {
        "data.world": "{n_train: 8, n_validation: 4, n_test: 6, n_ood: 2}",
        "warm_start.max_epochs": "1",
        "rl": "{steps: 1, prompts_per_step: 1, group_size: 2, micro_batch: 2, eval_every: 1, eval_problems: 2, save_every: 1}",
    }
    words = [part for name, value in smaller.items() for part in ("--set", f"settings.{name}={value}")]
    words += ["--set", "seeds=[0]", "--set", "compare.over=problems"]
    _experiment("evidence-quick", *words, folder=tmp_path, settings={**environment, **services})
    found = json.loads((tmp_path / "runs" / "evidence-quick" / "experiment.json").read_text())
    # Three methods, one seed; the comparisons that the preset names beforehand, of 6 pairs of answers.
    assert [cell["status"] for cell in found["cells"]] == ["done"] * 3
    pairs = [(row["a"], row["b"], row["difference"]["n"]) for row in found["comparisons"]]
    assert pairs == [("credit-zero", "grpo-zero", 6), ("credit-zero", "sft", 6)]
    assert (tmp_path / "runs" / "evidence-quick" / "experiment.html").stat().st_size > 10_000


def _experiment(*words: str, folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`rlkd experiment` with these words, which must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "experiment", *words],
        cwd=folder,
        env={**settings, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
