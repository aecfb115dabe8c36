"""Shards on Prefect task runners: threads, and a local Dask cluster of two processes of which one is killed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.stage import prepare_data
from rlkd.data.traces import collect_traces
from rlkd.errors import StageError, UserError
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import Job
from schemas.config.training import LaunchConfig, RayRunner
from tasks import shards
from tasks.shards import run_shards

pytestmark = pytest.mark.slow

OWN = """
import os, signal
from pathlib import Path
from rlkd.data.traces import collect_traces
from rlkd.errors import UserError


def note(ctx):
    with (ctx.folder / "calls.txt").open("a") as file:
        file.write(f"{ctx.shard.index} {os.getpid()}\\n")


def dies_once(ctx):
    note(ctx)
    if ctx.shard.index == 1 and not (ctx.folder / "died").exists():
        (ctx.folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return collect_traces(ctx)


def fails_once(ctx):
    note(ctx)
    if ctx.shard.index == 1 and not (ctx.folder / "died").exists():
        (ctx.folder / "died").touch()
        raise RuntimeError("a passing fault")
    return collect_traces(ctx)


def fails(ctx):
    note(ctx)
    if ctx.shard.index == 1:
        raise RuntimeError("always")


def wrong_key(ctx):
    note(ctx)
    raise UserError("the key is wrong; mend it")
"""


class Heard(NullSink):
    """Keeps the last progress."""

    def __init__(self) -> None:
        self.last = (0, 0)

    def progress(self, done: int, total: int, what: str = "") -> None:
        self.last = (done, total)


@pytest.fixture
def prefect(services: dict[str, str]) -> Iterator[None]:
    """A Prefect server for the tasks of this process."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: services["PREFECT_API_URL"]}):
        yield


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """World problems, what one run makes of them, and a way to make them in shards by a function of the module above."""
    (tmp_path / "own_shards.py").write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    world = {"n_train": 20, "n_validation": 4, "n_test": 4, "n_ood": 0}
    config = parse_config({"name": "t", "data": {"type": "world", "world": world}})
    data, whole, folder = tmp_path / "data", tmp_path / "whole", tmp_path / "sharded"
    for path in (data, whole, folder):
        path.mkdir()
    prepare_data(StageContext(config, {}, data, NullSink()))
    collect_traces(StageContext(config, {"data": data}, whole, NullSink()))

    def run(function: str, launch: LaunchConfig) -> tuple[list[str], Heard]:
        job = Job(
            stage="traces",
            function=f"own_shards:{function}",
            config=config.model_dump(mode="json"),
            inputs={"data": str(data)},
            folder=str(folder),
        )
        heard = Heard()
        run_shards(job, folder / "work", tmp_path / "log", launch, heard, own_process=False)
        collect_traces(StageContext(config, {"data": data}, folder, NullSink()))
        for name in ("accepted.jsonl", "rejected.jsonl", "summary.json"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
        return (folder / "calls.txt").read_text().splitlines(), heard

    run.folder = folder  # type: ignore[attr-defined]
    return run


def shards_called(calls: list[str]) -> list[int]:
    return sorted(int(call.split()[0]) for call in calls)


def test_threads_make_what_one_run_makes_and_a_failed_shard_is_made_again_alone(
    stage: Any, prefect: None
) -> None:
    calls, heard = stage("fails_once", LaunchConfig(shards=3))
    assert shards_called(calls) == [0, 1, 1, 2]
    assert heard.last == (28, 28)


def test_a_shard_that_fails_each_time_and_one_that_the_user_must_mend(stage: Any, prefect: None) -> None:
    with pytest.raises(StageError, match=r"shard 2 of 2 failed 3 times \(RuntimeError: always\).* run again"):
        stage("fails", LaunchConfig(shards=2))
    assert shards_called((stage.folder / "calls.txt").read_text().splitlines()) == [0, 1, 1, 1]
    (stage.folder / "calls.txt").unlink()
    with pytest.raises(UserError, match="the key is wrong; mend it"):
        stage("wrong_key", LaunchConfig(shards=2))
    assert shards_called((stage.folder / "calls.txt").read_text().splitlines()) == [0, 1]


def needs(runner: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(f"prefect_{runner}") is None
    return pytest.mark.skipif(missing, reason=f"needs the extra `{runner}` (prefect-{runner})")


@pytest.mark.parametrize(
    "runner", [pytest.param("dask", marks=needs("dask")), pytest.param("ray", marks=needs("ray"))]
)
def test_two_processes_make_what_one_run_makes_though_one_is_killed(
    runner: str, stage: Any, prefect: None
) -> None:
    launch = LaunchConfig.model_validate({"shards": 4, "runner": {"type": runner, "workers": 2}})
    calls, _ = stage("dies_once", launch)
    assert shards_called(calls).count(1) == 2
    processes = {call.split()[1] for call in calls}
    assert str(os.getpid()) not in processes and len(processes) >= 2


@needs("ray")
def test_ray_makes_a_failed_shard_again_alone(stage: Any, prefect: None) -> None:
    launch = LaunchConfig.model_validate({"shards": 3, "runner": {"type": "ray", "workers": 2}})
    calls, _ = stage("fails_once", launch)
    assert shards_called(calls) == [0, 1, 1, 2]


def test_a_runner_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with pytest.raises(
        UserError, match=r"launch\.runner is ray, but prefect_ray is not installed; pip install"
    ):
        shards._runner(RayRunner(), 2)
