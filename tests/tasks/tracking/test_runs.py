"""Against a real MLflow on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rlkd.config.load import config_digest
from schemas.artifact import StageManifest, StageResult
from schemas.config.pipeline import PipelineConfig
from tasks import tracking

pytestmark = pytest.mark.slow

Begin = Callable[..., str]


def test_the_parent_run_holds_the_resolved_configuration(
    uri: str, begin: Begin, config: PipelineConfig, tmp_path: Path
) -> None:
    run = tracking.client(uri).get_run(begin(tmp_path))
    assert run.info.run_name == f"{tmp_path.name} (tracked)"
    assert run.data.tags["mlflow.note.content"] == f"Run folder: `{tmp_path}`"
    assert run.data.params["rl.steps"] == str(config.rl.steps)
    assert run.data.params["student.model.type"] == config.student.model.type
    assert run.data.tags["rlkd.config_digest"] == config_digest(config)
    named = {name: run.data.tags[f"rlkd.{name}"] for name in ("config", "seed", "alpha", "folder")}
    alpha = str(config.rewards.alpha)
    assert named == {"config": "tracked", "seed": "0", "alpha": alpha, "folder": str(tmp_path)}
    assert {"rlkd.version", "mlflow.user", "mlflow.source.name"} <= set(run.data.tags)
    assert [item.path for item in tracking.client(uri).list_artifacts(run.info.run_id)] == ["config.yaml"]
    assert run.info.artifact_uri.startswith("file://")


def test_a_retry_goes_on_in_the_same_parent_run(uri: str, begin: Begin, tmp_path: Path) -> None:
    first = begin(tmp_path, "flow-1")
    tracking.end_run(uri, first, "FAILED")
    assert begin(tmp_path, "flow-1") == first
    assert tracking.client(uri).get_run(first).info.status == "RUNNING"
    assert begin(tmp_path, "flow-2") != first


def test_each_attempt_of_a_stage_is_a_child_of_its_own(uri: str, begin: Begin, tmp_path: Path) -> None:
    parent = begin(tmp_path)
    with (
        pytest.raises(ValueError, match="broken"),
        tracking.stage_run(uri, parent, "rl", 1, {"rl": {"steps": 3}}, print),
    ):
        raise ValueError("broken")
    with pytest.raises(KeyboardInterrupt), tracking.stage_run(uri, parent, "rl", 2, {}, print):
        raise KeyboardInterrupt
    with tracking.stage_run(uri, parent, "rl", 3, {}, print) as child:
        assert child is not None
        child.metrics(0, {"loss": 2.0, "pass@4": 0.25})
        child.metrics(1, {"loss": 1.0})
        made = child.run_id
    client = tracking.client(uri)
    found = client.search_runs(
        [client.get_run(parent).info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    assert {run.data.tags["rlkd.attempt"]: run.info.status for run in found} == {
        "1": "FAILED",
        "2": "KILLED",
        "3": "FINISHED",
    }
    history = client.get_metric_history(made, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 2.0), (1, 1.0)]
    assert client.get_metric_history(made, "pass_at_4")[0].value == 0.25
    first, second = (next(run for run in found if run.data.tags["rlkd.attempt"] == number) for number in "12")
    assert (first.info.run_name, second.info.run_name) == (
        f"rl of {tmp_path.name}",
        f"rl of {tmp_path.name} (2)",
    )
    assert (
        second.data.tags["mlflow.note.content"]
        == f"Stage `rl` of the run {tmp_path.name} (tracked), attempt 2."
    )
    assert first.data.params == {"rl.steps": "3"}


def test_without_a_parent_nothing_is_tracked(uri: str) -> None:
    with tracking.stage_run("", "", "rl", 1, {}, print) as child:
        assert child is None


def test_datasets_are_inputs_of_the_run(uri: str, begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n")
    (tmp_path / "test.jsonl").write_text("{}\n")
    (tmp_path / "ood.jsonl").write_text("")
    manifest = StageManifest(
        stage="data", identity="i", stage_version=1, sha256="s",
        files={"train.jsonl": "a" * 64, "test.jsonl": "b" * 64, "ood.jsonl": "c" * 64},
        inputs={}, config={}, result=StageResult(), seconds=0, peak_rss_mb=0, created_at="",
    )  # fmt: skip
    parent = begin(tmp_path)
    tracking.log_datasets(uri, parent, tmp_path, manifest, "world")
    inputs = tracking.client(uri).get_run(parent).inputs.dataset_inputs
    found = {item.dataset.name: (item.dataset.digest, item.tags[0].value) for item in inputs}
    assert found == {"world/train": ("a" * 32, "training"), "world/test": ("b" * 32, "evaluation")}


def test_no_secret_reaches_a_parameter() -> None:
    flat = tracking.flatten(
        {
            "judge": {
                "api_key": "sk-1",
                "url": "https://me:pw@host/v1",
                "max_tokens": 7,
                "api_key_env": "OPENAI_API_KEY",
            },
            "a": [1, 2],
        }
    )
    assert flat == {
        "judge.url": "https://***@host/v1",
        "judge.max_tokens": "7",
        "judge.api_key_env": "OPENAI_API_KEY",
        "a": "[1, 2]",
    }


def test_metric_names_fit_mlflow() -> None:
    assert tracking.metric_name("pass@4") == "pass_at_4"
    assert tracking.metric_name("reward[0]") == "reward_0_"


def test_system_metrics_reach_the_run(
    uri: str, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1")
    parent = begin(tmp_path)
    end = time.monotonic() + 300
    with tracking.system_metrics(uri, parent, True):
        while not any(n.startswith("system/") for n in tracking.client(uri).get_run(parent).data.metrics):
            assert time.monotonic() < end
            time.sleep(0.3)


def test_a_stage_that_a_full_disk_ends_says_so_itself_and_mlflow_says_nothing(
    uri: str, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, said = begin(tmp_path), list[str]()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    def stage() -> None:
        with (
            monkeypatch.context() as patch,
            tracking.stage_run(uri, parent, "rl", 1, {}, said.append) as child,
        ):
            assert child is not None
            patch.setattr(child.box, "put", full)
            full()

    with pytest.raises(OSError, match="No space left"):
        stage()
    assert said == []
