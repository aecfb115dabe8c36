from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.main import run_command
from rlkd.config.load import load_config, parse_config
from rlkd.errors import StageError, UserError
from rlkd.pipeline.run_folder import read_run
from schemas.artifact import StageEntry
from tasks.runs import RunRef, default_folder, is_held, open_run

CONFIG = parse_config({"name": "t", "data": {"type": "world"}})


def _done(name: str) -> StageEntry:
    return StageEntry(name=name, status="done", seconds=1.0)


def test_a_run_folder_says_what_happened(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_run(CONFIG, folder) as run:
        assert is_held(folder)
        assert read_run(folder).status == "running"
        run.record(_done("traces"))
        run.record(_done("data"))
        run.record(StageEntry(name="traces", status="reused"))
        run.update(status="done")
    assert not is_held(folder)
    manifest = read_run(folder)
    assert [(entry.name, entry.status) for entry in manifest.stages] == [
        ("data", "done"),
        ("traces", "reused"),
    ]
    assert manifest.status == "done"
    assert manifest.store == str(tmp_path / ".store")
    assert load_config(str(folder / "config.yaml")) == CONFIG
    assert RunRef(folder=str(folder)).open().config == CONFIG


def test_a_run_that_ends_without_a_word_has_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_run(CONFIG, tmp_path / "run"):
        raise RuntimeError
    assert read_run(tmp_path / "run").status == "failed"


def test_what_went_wrong_first_is_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    def run(first: Exception | None) -> None:
        with monkeypatch.context() as patch, open_run(CONFIG, tmp_path / "run"):
            patch.setattr("tasks.runs.write_json_atomic", full)
            if first is not None:
                raise first

    with pytest.raises(RuntimeError, match="first"):
        run(RuntimeError("first"))
    with pytest.raises(StageError, match="is full"):
        run(None)  # with nothing before it, it is told


def test_stages_that_are_owed_are_remembered_until_they_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_run(CONFIG, folder, "rl") as run:  # it never says that it is done
        assert run.manifest.pending_rebuild == ("rl", "evaluate", "report")
        run.record(_done("rl"))
        run.record(StageEntry(name="evaluate", status="failed"))
    with open_run(CONFIG, folder, "rl") as run:
        assert run.manifest.pending_rebuild == ("evaluate", "report")
        run.update(status="done")
    with open_run(CONFIG, folder, "rl") as run:
        assert run.manifest.pending_rebuild == (
            "rl",
            "evaluate",
            "report",
        )  # that one was done: this asks anew


def test_a_run_of_an_earlier_release_goes_on_with_what_it_still_has_to_make(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_run(CONFIG, folder, "rl") as run:
        run.record(_done("rl"))
    path = folder / "run.json"
    earlier = json.loads(path.read_text())
    earlier["owed"] = earlier.pop("pending_rebuild")  # as the field was called then
    path.write_text(json.dumps(earlier))
    with open_run(CONFIG, folder, "rl") as run:
        assert run.manifest.pending_rebuild == ("evaluate", "report")
    assert "owed" not in json.loads(path.read_text())


def test_a_stage_that_is_finished_and_lets_nothing_pass_is_not_owed_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_run(CONFIG, folder, "qualify") as run:
        assert run.manifest.pending_rebuild == ("qualify", "report")
        run.record(StageEntry(name="qualify", status="failed", sha256="0" * 64, error="misses a threshold"))
    with open_run(CONFIG, folder, "qualify") as run:
        assert run.manifest.pending_rebuild == ("report",)


def test_a_run_of_some_stages_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_run(CONFIG, folder) as run:
        run.record(_done("rl"))
    with open_run(CONFIG, folder, whole=False) as run:
        assert [entry.name for entry in run.manifest.stages] == ["rl"]
    other = parse_config({"name": "t", "seed": 1, "data": {"type": "world"}})
    with open_run(other, folder, whole=False) as run:
        assert run.manifest.stages == ()


def test_bad_folders_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another --output"), open_run(CONFIG, tmp_path / "file"):
        pass
    (tmp_path / "x" / "cells").mkdir(parents=True)
    (tmp_path / "x" / "experiment.yaml").write_text("")
    with (
        pytest.raises(UserError, match="x holds an experiment, and a run needs a"),
        open_run(CONFIG, tmp_path / "x"),
    ):
        pass
    with pytest.raises(UserError, match="is not a run folder"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"name": "t"}))
    with pytest.raises(UserError, match="cannot be read"):
        read_run(tmp_path)
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"run.json cannot be read \(Is a directory\); name a folder that `rlkd run` made"
    ):
        read_run(tmp_path / "folder")
    assert default_folder(CONFIG) == Path("runs/t")


@pytest.mark.parametrize(
    "content", [b'{"name": "t", "sta', b"\xff\xfe\x00", b'{"name": "t", "of_another": 1}']
)
def test_a_manifest_that_cannot_be_read_is_set_aside_and_the_run_goes_on(
    tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for n in (1, 2):
        (folder / "run.json").write_bytes(content)
        with open_run(CONFIG, folder) as run:
            run.update(status="done")
        assert read_run(folder).status == "done"
        assert (folder / f"run.unreadable-{n}.json").read_bytes() == content


def test_a_lock_of_another_user_tells_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rlkd status` on a colleague's run that works ended in a PermissionError."""
    folder = tmp_path / "run"

    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with open_run(CONFIG, folder) as run:
        with monkeypatch.context() as patch:
            patch.setattr("filelock.FileLock.acquire", forbidden)
            assert is_held(folder) is None
            assert run_command(["status", str(folder)]) == 0
            assert capsys.readouterr().out.startswith("t: running, ")
        assert is_held(folder) is True
        run.update(status="done")
    assert is_held(folder) is False
