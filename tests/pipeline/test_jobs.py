from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlkd.errors import UserError
from rlkd.pipeline.jobs import Job, describe, main, peak_gpu_mb, peak_rss_mb, read_job
from schemas.artifact import StageResult

pytestmark = pytest.mark.slow

MODULE = """
import os, pathlib, signal, sys, time
from rlkd.errors import DataError, TrainingError
from schemas.artifact import StageResult

def works(ctx):
    ctx.events.progress(1, 2, "rows")
    ctx.events.metrics(3, {"loss": 0.5})
    (ctx.folder / "rows").write_text(str(sorted(ctx.inputs)))
    return StageResult(rows=2, metrics={"a": 1.0})

def user(ctx):
    raise DataError("rows.jsonl, line 3: answer is missing; add it")

def nan(ctx):
    raise TrainingError("the loss is NaN")

def full(ctx):
    raise OSError(28, "No space left on device")

def crashes(ctx):
    return 1 / 0

def waits(ctx):
    (ctx.folder / "started").write_text(str(os.getpid()))
    try:
        time.sleep(60)
    finally:
        (ctx.folder / "checkpoint").write_text("saved")
"""


@pytest.fixture
def job_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "job_functions.py").write_text(MODULE)
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(root)]))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "work").mkdir()
    return tmp_path / "work" / "job.json"


def _write(path: Path, function: str, lock: str = "") -> Path:
    job = Job(
        stage="rl",
        function=f"job_functions:{function}",
        config={"name": "t", "data": {"type": "world"}},
        inputs={"data": str(path.parent)},
        folder=str(path.parent.parent),
        lock=lock,
    )
    path.write_text(describe(job))
    return path


def _run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rlkd.pipeline.jobs", str(path)], capture_output=True, text=True, timeout=300
    )


def test_a_job_leaves_its_result_and_events(job_file: Path) -> None:
    done = _run(_write(job_file, "works"))
    assert done.returncode == 0, done.stderr
    result = json.loads((job_file.parent / "result.json").read_text())
    assert StageResult.model_validate(result["result"]) == StageResult(rows=2, metrics={"a": 1.0})
    assert result["peak_rss_mb"] > 1
    assert result["peak_gpu_mb"] == 0
    events = [json.loads(line) for line in (job_file.parent / "events.jsonl").read_text().splitlines()]
    assert events == [
        {"type": "progress", "done": 1, "total": 2, "what": "rows"},
        {"type": "metrics", "step": 3, "values": {"loss": 0.5}},
    ]
    assert (job_file.parent.parent / "rows").read_text() == "['data']"


@pytest.mark.parametrize(
    ("function", "code", "kind", "name"),
    [
        ("user", 2, "user", "DataError"),
        ("nan", 1, "stage", "TrainingError"),
        ("crashes", 1, "crash", "ZeroDivisionError"),
    ],
)
def test_a_failing_job_says_what_kind_of_error_it_was(
    job_file: Path, function: str, code: int, kind: str, name: str
) -> None:
    done = _run(_write(job_file, function))
    assert done.returncode == code
    failure = json.loads((job_file.parent / "error.json").read_text())
    assert (failure["kind"], failure["type"]) == (kind, name)
    assert name in done.stderr
    assert not (job_file.parent / "result.json").exists()


def test_a_full_disk_has_an_exit_code_of_its_own_when_nothing_can_be_written(job_file: Path) -> None:
    assert _run(_write(job_file, "full")).returncode == 28
    (job_file.parent / "error.json").unlink()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, rlkd.pipeline.jobs\n"
            "def no_space(*args): raise OSError(28, 'No space left on device')\n"
            "rlkd.pipeline.jobs.write_json_atomic = no_space\n"
            f"sys.exit(rlkd.pipeline.jobs.main([{str(_write(job_file, 'works'))!r}]))",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 28
    assert "the error could not be written" in done.stderr


def test_only_the_first_of_several_processes_writes(job_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    done = _run(_write(job_file, "works"))
    assert done.returncode == 0
    assert not (job_file.parent / "result.json").exists()
    assert not (job_file.parent / "events.jsonl").exists()


def _until(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + 300
    while not (path.exists() and path.stat().st_size):  # not half written either
        assert time.monotonic() < end, f"{path} never came"
        assert process is None or process.poll() is None
        time.sleep(0.05)


def test_sigterm_lets_a_job_clean_up(job_file: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rlkd.pipeline.jobs", str(_write(job_file, "waits"))],
        stderr=subprocess.DEVNULL,
    )
    _until(job_file.parent.parent / "started", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    assert (job_file.parent.parent / "checkpoint").read_text() == "saved"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's PR_SET_PDEATHSIG")
def test_a_job_does_not_outlive_a_killed_parent(job_file: Path) -> None:
    _write(job_file, "waits")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys\n"
            "os.environ['RLKD_PARENT_PID'] = str(os.getpid())\n"
            f"subprocess.run([sys.executable, '-m', 'rlkd.pipeline.jobs', {str(job_file)!r}])",
        ],
        stderr=subprocess.DEVNULL,
    )
    folder = job_file.parent.parent
    _until(folder / "started", parent)
    parent.kill()
    parent.wait()
    _until(folder / "checkpoint")  # the kernel sent SIGTERM, and the job cleaned up
    assert (folder / "checkpoint").read_text() == "saved"


def test_two_jobs_never_write_one_folder(job_file: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    lock = tmp_path / "job.lock"
    path = _write(job_file, "works", str(lock))
    with FileLock(lock):
        process = subprocess.Popen(
            [sys.executable, "-m", "rlkd.pipeline.jobs", str(path)], stderr=subprocess.DEVNULL
        )
        _until(job_file.parent / "events.jsonl", process)
        assert (
            "waiting for the process of an earlier attempt" in (job_file.parent / "events.jsonl").read_text()
        )
        assert not (job_file.parent / "result.json").exists()
    assert process.wait(300) == 0


def test_bad_job_files_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no job file"):
        read_job(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text('{"stage": "rl"}')
    with pytest.raises(UserError, match=r"bad\.json: function"):
        read_job(tmp_path / "bad.json")


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_peak_memory_is_this_process_own(job_file: Path) -> None:
    held = bytearray(200 * 2**20)  # the child below must not inherit this figure
    held[::4096] = b"\1" * len(held[::4096])
    own = peak_rss_mb()
    done = _run(_write(job_file, "works"))
    assert done.returncode == 0
    assert own > 200
    assert json.loads((job_file.parent / "result.json").read_text())["peak_rss_mb"] < own


def test_gpu_memory_is_what_torch_reserved_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_initialized=lambda: True, max_memory_reserved=lambda: 3 * 2**30)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert peak_gpu_mb() == 3072.0  # 3 GiB
    cuda.is_initialized = lambda: False
    assert peak_gpu_mb() == 0
    monkeypatch.delitem(sys.modules, "torch")  # nothing imported it: it is not imported for this
    assert peak_gpu_mb() == 0
    assert "torch" not in sys.modules
