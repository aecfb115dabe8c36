"""What `rlkd clean` takes and what it leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flows.cli.main import run_command
from rlkd.config.load import parse_config
from rlkd.errors import UserError
from schemas.artifact import StageEntry
from tasks.cleaning import clean_after_run, leftovers
from tasks.runs import open_run

CONFIG = parse_config({"name": "t", "data": {"type": "world"}})


def _old(*paths: Path) -> None:
    """Touched 30 days ago."""
    when = time.time() - 30 * 86400
    for path in paths:
        for item in (path, *path.rglob("*")):
            os.utime(item, (when, when))


def _stage(store: Path, name: str, size: int = 0, finished: bool = True) -> Path:
    folder = store / name
    (folder / "work").mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(b"x" * size)
    if finished:
        (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RLKD_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    runs = tmp_path / "runs"
    store = runs / ".store"
    used = _stage(store, "data/aaaa")
    failed = _stage(store, "rl/bbbb", finished=False)
    again = _stage(store, "rl/bbbb.redo", finished=False)
    gone = _stage(store, "data/cccc", size=2 * 2**20)
    abandoned = _stage(store, "rl/dddd", size=2**20, finished=False)
    with open_run(CONFIG, runs / "t") as run:
        run.record(StageEntry(name="data", status="reused", uri=str(used), sha256="0"))
        run.record(StageEntry(name="rl", status="failed", uri=str(failed)))
        run.log("rl").parent.mkdir()
        run.log("rl").write_text("log\n")
        run.update(status="done")
    _old(used, failed, again, gone, abandoned, runs / "t")
    _stage(store, "rl/eeee", finished=False)  # a minute ago: a killed run may go on with it
    return runs


def test_what_runs_name_and_what_is_new_stays(runs: Path) -> None:
    found = leftovers(runs, 7)
    assert [(item.path.relative_to(runs).as_posix(), item.why) for item in found] == [
        (".store/data/cccc", "a finished stage that no run names"),
        (".store/rl/dddd", "an attempt that was given up"),
        ("t/logs/rl.log", "an old log or manifest"),
    ]
    assert found[0].mb == pytest.approx(2, abs=0.01)
    assert [item.path.name for item in leftovers(runs, 60)] == []


def test_nothing_goes_before_it_is_asked_for(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["clean", str(runs)]) == 0
    assert f"to remove it: rlkd clean {runs} --older-than 7 --yes" in capsys.readouterr().out
    assert (runs / ".store" / "data" / "cccc" / "rows.jsonl").exists()
    assert run_command(["clean", str(runs), "--yes"]) == 0
    left = {path.relative_to(runs / ".store").as_posix() for path in (runs / ".store").glob("*/*")}
    assert left == {"data/aaaa", "rl/bbbb", "rl/bbbb.redo", "rl/eeee"}
    assert run_command(["clean", str(runs)]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_where_it_is_unknown_what_is_in_use_nothing_goes(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(CONFIG, runs / "t"), pytest.raises(UserError, match="a run works in"):
        leftovers(runs, 7)

    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("filelock.FileLock.acquire", forbidden)
        with pytest.raises(
            UserError, match=r"\.lock may not be opened, so that nobody can tell whether a run works"
        ):
            leftovers(runs, 7)
    (runs / "t" / "run.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        leftovers(runs, 7)
    monkeypatch.setenv("RLKD_STORE", str(tmp_path))
    with pytest.raises(UserError, match="RLKD_STORE is set"):
        leftovers(runs, 7)
    with pytest.raises(UserError, match="there is no folder"):
        leftovers(tmp_path / "absent", 7)


def test_a_run_that_has_ended_cleans_by_age(runs: Path) -> None:
    said: list[str] = []
    clean_after_run(runs, 7, said.append)
    assert not (runs / ".store" / "data" / "cccc").exists()
    assert not (runs / ".store" / "rl" / "dddd").exists()
    assert (runs / ".store" / "data" / "aaaa" / "rows.jsonl").exists()
    assert (runs / ".store" / "rl" / "eeee").exists()
    assert len(said) == 1
    assert "removed 3 things (3.0 MiB) untouched for 7 days" in said[0]
    clean_after_run(runs, 7, said.append)
    assert len(said) == 1  # nothing left, nothing said


def test_cleaning_after_a_run_leaves_all_where_another_one_works(runs: Path) -> None:
    said: list[str] = []
    with open_run(CONFIG, runs / "t"):
        clean_after_run(runs, 7, said.append)
    assert (runs / ".store" / "data" / "cccc").exists()
    assert "a run works in" in said[0]
