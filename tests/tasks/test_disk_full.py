"""A disk that fills in the middle of a stage, with the real stage functions: one clear error, nothing finished is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rlkd.config.load import parse_config
from rlkd.errors import StageError
from schemas.artifact import StageEntry
from tasks.running import run_stage
from tasks.runs import RunRef, open_run

CONFIG = parse_config(
    {
        "name": "small",
        "data": {
            "type": "world",
            "world": {
                "n_train": 12,
                "n_validation": 2,
                "n_test": 3,
                "n_ood": 0,
                "steps": {"min": 2, "max": 3},
            },
        },
        "structures": {"decomposer": {"type": "world"}},
        "warm_start": {"enabled": False},
        "rl": {"enabled": False},
        "tracking": {"enabled": False},
    }
)
CHAIN: tuple[str, ...] = ("data", "traces", "structures", "report")


class Disk:
    """A disk that is full from the first file of a stage on that has a certain name.

    Attributes:
        stage: The stage in whose folder it fills; empty for none.
        name: The file that no longer fits.
        full: Whether it is full by now.
    """

    def __init__(self) -> None:
        self.stage = self.name = ""
        self.full = False
        self._sync = os.fsync

    def fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if self.stage and f"/{self.stage}/" in str(path) and path.name.startswith(f".{self.name}."):
            self.full = True
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        self._sync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc, to tell which file is written")
    found = Disk()
    monkeypatch.setattr(os, "fsync", found.fsync)
    monkeypatch.delenv("RLKD_STORE", raising=False)
    return found


def chain(folder: Path) -> dict[str, StageEntry]:
    """Goes through the chain as the flow does; what each stage gave."""
    given: dict[str, StageEntry] = {}
    with open_run(CONFIG, folder):
        for name in CHAIN:
            given[name] = run_stage(name, RunRef(folder=str(folder)), given)
    return given


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("data", "train.jsonl"),
        ("data", "manifest.json"),
        ("traces", "accepted.jsonl"),
        ("structures", "structures.jsonl"),
        ("report", "content.json"),
    ],
)
def test_a_full_disk_ends_a_stage_and_a_rerun_goes_on(
    stage: str, file: str, disk: Disk, tmp_path: Path
) -> None:
    whole = chain(tmp_path / "whole" / "run")
    disk.stage, disk.name = stage, file
    folder = tmp_path / "filled" / "run"
    with pytest.raises(StageError) as told:
        chain(folder)
    assert disk.full
    assert "is full" in str(told.value) and "free some space and run the same command again" in str(
        told.value
    )
    disk.stage, disk.full = "", False
    again = chain(folder)
    before = CHAIN[: CHAIN.index(stage)]
    assert [name for name in CHAIN if again[name].status == "reused"] == list(before)
    # what a stage makes of the same inputs is the same
    assert {n: again[n].sha256 for n in CHAIN} == {n: whole[n].sha256 for n in CHAIN}
