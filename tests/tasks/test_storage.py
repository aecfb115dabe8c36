from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlkd.errors import StageError, UserError
from rlkd.io import is_disk_full
from schemas.artifact import Made, StageManifest, StageResult
from tasks.disk import disk_faults
from tasks.identity import StageIdentity
from tasks.storage import Clock, Store, store_root

IDENTITY = StageIdentity("data", 1, {"seed": 0}, {}, "ab" * 32)


def _build(folder: Path, clock: Clock) -> Made:
    (folder / "rows.jsonl").write_text("{}\n")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "w").write_bytes(b"\0" * 100)
    (folder / "work" / "partial").write_text("x")
    return Made(result=StageResult(rows=1), peak_rss_mb=12.0)


def _never(folder: Path, clock: Clock) -> Made:
    raise AssertionError("built again")


def test_a_stage_is_built_once_and_then_reused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made, reused = store.make(IDENTITY, _build, run="first")
    assert not reused
    assert set(made.files) == {"rows.jsonl", "model/w"}
    assert made.run == "first"
    assert made.peak_rss_mb == 12.0
    assert not (store.folder(IDENTITY) / "work").exists()
    again, reused = store.make(IDENTITY, _never, run="second")
    assert reused
    assert again == made
    assert store.folder_of(again) == store.folder(IDENTITY)


def test_work_that_is_kept_moves_beside_the_results_and_is_no_part_of_them(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def build(folder: Path, clock: Clock) -> Made:
        (folder / "work" / "checkpoints" / "checkpoint-4").mkdir(parents=True)
        return _build(folder, clock)

    made, _ = store.make(IDENTITY, build, keep=("checkpoints", "absent"))
    folder = store.folder(IDENTITY)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "manifest.json",
        "model",
        "rows.jsonl",
    ]
    assert (folder / "checkpoints" / "checkpoint-4").is_dir()
    assert set(made.files) == {"rows.jsonl", "model/w"}
    _, reused = store.make(IDENTITY, _never)  # a run that keeps nothing does not take what another one keeps
    assert reused
    assert (folder / "checkpoints" / "checkpoint-4").is_dir()
    shutil.rmtree(folder / "checkpoints")
    assert store.make(IDENTITY, _never)[1]  # who removes it by hand harms nothing


def test_without_a_manifest_the_work_goes_on_where_it_stopped(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def dies(folder: Path, clock: Clock) -> Made:
        (folder / "work" / "row").write_text("1")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.make(IDENTITY, dies)
    assert store.find(IDENTITY) is None

    def goes_on(folder: Path, clock: Clock) -> Made:
        assert (folder / "work" / "row").read_text() == "1"
        assert clock.attempt == 2
        return _build(folder, clock)

    _, reused = store.make(IDENTITY, goes_on)
    assert not reused


def test_seconds_and_memory_count_over_attempts(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def dies(folder: Path, clock: Clock) -> Made:
        clock.started -= 100  # as if it had worked for 100 s
        clock.save(peak_rss_mb=500.0)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.make(IDENTITY, dies)
    made, _ = store.make(IDENTITY, _build)
    assert made.seconds >= 100
    assert made.peak_rss_mb == 500.0  # max(500 in the first attempt, 12 in the second)


@pytest.mark.parametrize("damage", ["changed", "missing", "manifest", "digest", "identity"])
def test_a_damaged_stage_is_noticed_and_made_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    before, _ = store.make(IDENTITY, _build)
    folder = store.folder(IDENTITY)
    path = folder / "manifest.json"
    if damage == "changed":
        (folder / "model" / "w").write_bytes(b"\0" * 99 + b"\1")  # the size is the same
    elif damage == "missing":
        (folder / "rows.jsonl").unlink()
    elif damage == "manifest":
        path.write_text(path.read_text()[:-20])
    else:
        value = json.loads(path.read_text())
        if damage == "digest":
            value["files"]["rows.jsonl"] = "0" * 64
        else:
            value["identity"] = "0" * 64
        path.write_text(json.dumps(value))
    said: list[str] = []
    after, reused = store.make(IDENTITY, _build, notice=said.append)
    assert not reused
    assert after.sha256 == before.sha256
    assert len(said) == 1
    assert str(folder) in said[0]
    assert said[0].startswith("data: ")
    assert store.find(IDENTITY) == after


def test_a_forced_stage_keeps_the_old_folder_until_the_new_one_is_complete(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before, _ = store.make(IDENTITY, _build)

    def dies(folder: Path, clock: Clock) -> Made:
        (folder / "work" / "half").write_text("1")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.make(IDENTITY, dies, force=True)
    assert store.find(IDENTITY) == before

    def other(folder: Path, clock: Clock) -> Made:
        assert (folder / "work" / "half").exists()
        (folder / "rows.jsonl").write_text('{"new": 1}\n')
        return Made(result=StageResult(rows=1), peak_rss_mb=1.0)

    after, reused = store.make(IDENTITY, other, force=True)
    assert not reused
    assert store.find(IDENTITY) == after
    assert set(after.files) == {"rows.jsonl"}
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == [
        store.folder(IDENTITY).name
    ]


def test_a_swap_that_a_crash_cut_off_is_completed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made, _ = store.make(IDENTITY, _build)
    folder = store.folder(IDENTITY)
    os.replace(folder, folder.with_name(folder.name + ".redo"))
    found, reused = store.make(IDENTITY, _never, force=True)
    assert (found, reused) == (made, True)
    assert folder.is_dir()


def _slow_build(root: str, notes: str) -> None:
    def build(folder: Path, clock: Clock) -> Made:
        with open(notes, "a") as file:
            file.write("built\n")
        end = time.monotonic() + 60
        while "waiting" not in Path(notes).read_text() and time.monotonic() < end:  # for the other process
            time.sleep(0.02)
        return _build(folder, clock)

    def notice(text: str) -> None:
        with open(notes, "a") as file:
            file.write(text + "\n")

    _, reused = Store(Path(root)).make(IDENTITY, build, notice=notice)
    with open(notes, "a") as file:
        file.write("reused\n" if reused else "made\n")


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    # Interpreters of their own: a fork of a test worker, which has threads, once ended without a word.
    call = "import runpy, sys; runpy.run_path(sys.argv[1])['_slow_build'](*sys.argv[2:])"
    command = [sys.executable, "-c", call, __file__, str(tmp_path / "store"), str(notes)]
    processes = [
        subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    lines = notes.read_text().splitlines()
    assert sorted(lines) == sorted(["built", "data: another run is making it; waiting", "made", "reused"])


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Quota exceeded")]
)
def test_a_full_disk_is_one_clear_error(tmp_path: Path, error: OSError) -> None:
    store = Store(tmp_path)
    other = StageIdentity("traces", 1, {}, {}, "cd" * 32)
    finished, _ = store.make(other, _build)

    def full(folder: Path, clock: Clock) -> Made:
        raise error

    with pytest.raises(StageError, match=r"stage data: the disk that holds .* is full"):
        store.make(IDENTITY, full)
    assert store.find(other) == finished


def test_a_disk_that_fills_while_sealing_leaves_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tasks.storage

    store = Store(tmp_path)

    def no_space(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tasks.storage, "write_text_atomic", no_space)
        with pytest.raises(StageError, match="is full"):
            store.make(IDENTITY, _build)
    assert store.find(IDENTITY) is None
    _, reused = store.make(IDENTITY, _build)
    assert not reused


def test_disk_full_is_recognised_in_the_words_of_libraries() -> None:
    assert is_disk_full(
        RuntimeError(
            "Error while serializing: IoError(Os { code: 28 }): No space left on device (os error 28)"
        )
    )
    assert is_disk_full(ValueError("database or disk is full"))
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))
    with pytest.raises(PermissionError), disk_faults("data", Path("/")):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_the_store_is_beside_the_runs_or_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLKD_STORE", raising=False)
    assert store_root(tmp_path / "runs" / "demo") == tmp_path / "runs" / ".store"
    monkeypatch.setenv("RLKD_STORE", str(tmp_path / "elsewhere"))
    assert store_root(tmp_path / "runs" / "demo") == tmp_path / "elsewhere"


def test_a_store_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="RLKD_STORE"):
        Store(tmp_path / "file" / "store")


def test_leftover_temporary_files_are_not_published(tmp_path: Path) -> None:
    def build(folder: Path, clock: Clock) -> Made:
        (folder / ".rows.jsonl.123.tmp").write_text("torn")
        return _build(folder, clock)

    made, _ = Store(tmp_path).make(IDENTITY, build)
    assert set(made.files) == {"rows.jsonl", "model/w"}


def test_the_manifest_names_everything_it_was_made_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    identity = StageIdentity(
        "traces", 3, {"seed": 5, "traces": {"problems": 2}}, {"data": "d" * 64}, "ef" * 32
    )
    store.make(identity, _build)
    manifest = StageManifest.model_validate_json((store.folder(identity) / "manifest.json").read_text())
    assert (manifest.stage, manifest.stage_version, manifest.identity) == ("traces", 3, "ef" * 32)
    assert manifest.config == identity.config
    assert manifest.inputs == {"data": "d" * 64}


def test_where_the_failure_cannot_be_written_down_either_the_failure_is_told() -> None:
    def run() -> None:
        try:
            raise StageError("stage rl: full; kept: data") from OSError(28, "No space left on device")
        finally:
            raise RuntimeError("the server says 500")

    with pytest.raises(StageError, match="stage rl: full; kept: data"), disk_faults(None, Path("/")):
        run()
