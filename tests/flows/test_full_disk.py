"""A disk that is really full, with Prefect's and MLflow's databases on it too: what a person sees is one sentence."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("needs mount")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"may not mount a small disk: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes all the space that is left."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_disk_that_fills_in_the_middle_of_a_run(lonely_cli: Any, small_disk: Path) -> None:
    output = small_disk / "runs" / "tiny"
    process = lonely_cli.start("run", "tiny.yaml", "--output", str(output), FAKE_DELAY="0.4")
    end = time.monotonic() + 300
    while len(lonely_cli.work("traces")) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    filler = fill(small_disk)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    told, resume = err.splitlines()  # nothing else: no library's traceback
    assert told.startswith(f"rlkd: stage traces: the disk that holds {output.parent / '.store'} is full")
    assert "kept: data, and what traces has done and saved; free some space" in told
    assert resume == f"rlkd: resume with: rlkd run tiny.yaml --output {output}"
    assert [line for line in out.splitlines() if "traces" in line][-1].startswith("traces: failed after")
    filler.unlink()
    again = lonely_cli("run", "tiny.yaml", "--output", str(output))
    assert again.returncode == 0, again.stderr
    assert "data: reused" in again.stdout
