from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rlkd.errors import DataError, StageError, TrainingError, UserError
from rlkd.pipeline.jobs import Job
from rlkd.pipeline.stages import stage_spec
from schemas.config.training import LaunchConfig
from tasks.jobs import run_job
from tasks.launching import command, gpu_of

pytestmark = pytest.mark.slow

LAUNCH = LaunchConfig(grace_s=5.0)


class Heard:
    """Collects what a job says."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def progress(self, done: int, total: int, what: str = "") -> None:
        self.said.append((done, total, what))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.said.append((step, dict(values)))

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def job(fakes: Path, tmp_path: Path) -> Job:
    folder = tmp_path / "stage"
    (folder / "work").mkdir(parents=True)
    config = {"name": "t", "data": {"type": "world"}}
    return Job(stage="rl", function=stage_spec("rl").function, config=config, folder=str(folder))


def _go(job: Job, heard: Heard | None = None) -> object:
    folder = Path(job.folder)
    return run_job(job, folder / "work", folder.parent / "logs" / "rl.log", LAUNCH, heard or Heard())


def test_a_job_is_followed_and_its_result_read(job: Job, tmp_path: Path) -> None:
    heard = Heard()
    done = _go(job, heard)
    assert done.result.metrics == {"loss": 0.1}
    assert (1, 8, "steps") in heard.said
    assert (0, {"loss": 1.0, "pass@4": 0.5}) in heard.said
    assert heard.said[-1] == "trained"
    assert (tmp_path / "logs" / "rl.log").read_text().startswith("--- rl: ")


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        ("user", DataError, "line 3: answer is missing"),
        ("stage", TrainingError, "stage rl: the loss is NaN"),
        ("crash", StageError, "stage rl: ZeroDivisionError: something nobody foresaw"),
        ("exit", StageError, "ended without a result"),
        ("killed", StageError, "killed by signal SIGKILL; perhaps the machine ran out of memory"),
        ("full", OSError, "No space left"),
    ],
)
def test_every_kind_of_end_is_told_apart(
    job: Job, monkeypatch: pytest.MonkeyPatch, fault: str, kind: type, text: str
) -> None:
    monkeypatch.setenv("FAKE_FAIL", "rl")
    monkeypatch.setenv("FAKE_FAULT", fault)
    with pytest.raises(kind, match=text):
        _go(job)


def test_results_of_an_earlier_attempt_are_not_read(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    _go(job)
    monkeypatch.setenv("FAKE_FAIL", "rl")
    monkeypatch.setenv("FAKE_FAULT", "exit")
    (Path(job.folder) / "work" / "checkpoints" / "state.json").unlink()
    with pytest.raises(StageError, match="without a result"):
        _go(job)


def test_an_interrupt_stops_the_whole_group(job: Job, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DELAY", "30")

    def interrupt() -> None:
        while not fakes.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        _go(job)
    pid = int(fakes.read_text().split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stubborn.py").write_text(
        "import os, signal, time\n"
        "def stage(ctx):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    (ctx.folder / 'pid').write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    stubborn = job.model_copy(update={"function": "stubborn:stage"})
    folder = Path(job.folder)

    def interrupt() -> None:
        while not (folder / "pid").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_job(stubborn, folder / "work", tmp_path / "log", LaunchConfig(grace_s=0.5), Heard())
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


def test_one_process_is_plain_python_and_several_have_a_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.json"
    assert command(path, LaunchConfig()) == [sys.executable, "-P", "-m", "rlkd.pipeline.jobs", str(path)]
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 4)
    several = command(path, LaunchConfig(processes=4))
    assert several[:5] == [sys.executable, "-P", "-m", "rlkd.pipeline.jobs", "--exec"]
    assert "accelerate.commands.launch" in several
    assert several[several.index("--num_processes") + 1] == "4"
    assert several[-3:] == ["--module", "rlkd.pipeline.jobs", str(path)]
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert "torch.distributed.run" in command(path, LaunchConfig(processes=4))
    (tmp_path / "fsdp.yaml").write_text("")
    configured = command(path, LaunchConfig(accelerate_config=str(tmp_path / "fsdp.yaml")))
    assert configured[configured.index("--config_file") + 1] == str(tmp_path / "fsdp.yaml")
    with pytest.raises(UserError, match=r"launch\.accelerate_config"):
        command(path, LaunchConfig(accelerate_config=str(tmp_path / "absent.yaml")))


def pairs(arguments: list[str]) -> dict[str, str]:
    """The options of a command with their values."""
    return {a: b for a, b in itertools.pairwise(arguments) if a.startswith("--")}


def test_settings_become_options_of_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.launch import launch_command_parser

    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 8)
    path = Path("job.json")

    def made(**launch: Any) -> list[str]:
        built = command(path, LaunchConfig.model_validate(launch))
        if "accelerate.commands.launch" in built:  # the launcher knows all of them
            given = built[built.index("accelerate.commands.launch") + 1 :]
            assert launch_command_parser().parse_args(given).training_script == "rlkd.pipeline.jobs"
        return built

    spread = pairs(made(processes=8, parallel={"type": "fsdp", "offload": True}))
    assert "--use_fsdp" in spread and spread["--fsdp_version"] == "2"
    assert (spread["--fsdp_offload_params"], spread["--fsdp_reshard_after_forward"]) == ("true", "true")
    machines = {"count": 2, "rank": 1, "address": "10.0.0.1"}
    far = pairs(made(processes=8, machines=machines))
    assert (far["--num_processes"], far["--num_machines"], far["--machine_rank"]) == ("16", "2", "1")  # 8 x 2
    assert (far["--main_process_ip"], far["--main_process_port"]) == ("10.0.0.1", "29500")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="deepspeed, which is not installed; pip install deepspeed"):
        made(processes=2, parallel={"type": "deepspeed"})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    zero = pairs(made(processes=2, parallel={"type": "deepspeed", "stage": 3, "offload": True}))
    assert (zero["--zero_stage"], zero["--offload_param_device"]) == ("3", "cpu")
    with pytest.raises(UserError, match=r"launch\.processes is 9, but this machine has 8 GPUs; set it to 8"):
        made(processes=9)
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(UserError, match=r"launch\.parallel is fsdp, .* this machine has none"):
        made(processes=2, parallel={"type": "fsdp"})
    nodes = pairs(made(processes=2, machines=machines))
    assert (nodes["--nnodes"], nodes["--node_rank"], nodes["--nproc_per_node"]) == ("2", "1", "2")
    with pytest.raises(ValidationError, match="rank 2 is not below count = 2"):
        made(machines=machines | {"rank": 2})
    with pytest.raises(ValidationError, match="name the address of machine 0"):
        made(machines={"count": 2})


@pytest.mark.parametrize(
    ("gpus", "launch", "file", "fault"),
    [
        (
            0,
            {"processes": 16},
            "",
            r"launch\.processes is 16, but this machine has 2 cores, and no GPU is used",
        ),
        (0, {"processes": 3}, "num_processes: 2", r"launch\.processes is 3, but this machine has 2 cores"),
        (0, {}, "num_processes: 3", r"num_processes of \S+ \(on each machine\) is 3, but .* 2 cores"),
        (1, {}, "num_processes: 2\ndistributed_type: FSDP", r"is 2, but this machine has 1 GPU; set it to 1"),
        (1, {}, "num_processes: 3\nuse_cpu: true", r"is 3, but this machine has 2 cores"),
        # 5 processes on 2 machines: 3 on one of them.
        (0, {}, "num_processes: 5\nnum_machines: 2", r"is 3, but this machine has 2 cores"),
        (0, {}, "num_processes: 8\ndistributed_type: MULTI_XPU", ""),  # nobody counts those here
        (0, {}, "num_processes: 2\nmixed_precision: 'no'", ""),
        (4, {}, "num_processes: 8\nnum_machines: 2", ""),
        (0, {}, "num_processes: many", r"launch\.accelerate_config: \S+ cannot be read as a configuration"),
        (0, {}, "- 1", "cannot be read as a configuration"),
        (0, {}, "a: [", "cannot be read as a configuration"),
    ],
)
def test_more_processes_than_devices_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    launch: dict[str, Any],
    file: str,
    fault: str,
) -> None:
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    if file:
        (tmp_path / "own.yaml").write_text(file)
        launch = launch | {"accelerate_config": str(tmp_path / "own.yaml")}
    settings = LaunchConfig.model_validate(launch)
    if not fault:
        assert "--config_file" in command(Path("job.json"), settings)
        return
    with pytest.raises(UserError, match=fault):
        command(Path("job.json"), settings)


def test_shards_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert gpu_of(3) == {}
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu_of(i)["CUDA_VISIBLE_DEVICES"] for i in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [gpu_of(i)["CUDA_VISIBLE_DEVICES"] for i in range(3)] == ["5", "7", "5"]


def test_several_processes_run_one_stage_and_one_of_them_speaks(job: Job, fakes: Path) -> None:
    pytest.importorskip("torch")
    heard = Heard()
    folder = Path(job.folder)
    done = run_job(job, folder / "work", folder.parent / "log", LaunchConfig(processes=2), heard)
    assert done.result.rows == 8
    assert len({line.split()[1] for line in fakes.read_text().splitlines()}) == 2
    assert heard.said.count("trained") == 1


def test_a_job_keeps_its_memory_unless_the_environment_says_otherwise(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "telling.py").write_text(
        "import os\n"
        "from schemas.artifact import StageResult\n"
        "def stage(ctx):\n"
        "    names = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_')\n"
        "    (ctx.folder / 'told').write_text(' '.join(os.environ[name] for name in names))\n"
        "    return StageResult()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "5")
    _go(job.model_copy(update={"function": "telling:stage"}))
    assert (Path(job.folder) / "told").read_text() == "1073741824 5"  # 2 ** 30, and what the user set


def _own_files(folder: Path) -> None:
    """Files that a user may have where they type ``rlkd run``; each of them fails when something imports it."""
    for name in ("schemas.py", "random.py", "json.py", "tasks/__init__.py", "rlkd/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"raise SystemExit('the user\\'s own {name} was imported')\n")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_users_own_modules_stand_in_for_none_of_ours(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    if processes > 1:
        pytest.importorskip("torch")  # its launcher starts the processes, each with `python -m` again
    _own_files(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    folder = Path(job.folder)
    done = run_job(job, folder / "work", tmp_path / "log", LaunchConfig(processes=processes), Heard())
    assert done.result.rows == 8


def test_the_command_and_the_verifier_process_start_among_a_users_own_modules(tmp_path: Path) -> None:
    _own_files(tmp_path)
    # What the `rlkd` script does: a script's own folder comes first on its path, never the current one.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rlkd").write_text("from flows.cli.main import main\nmain()\n")
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    for arguments in (
        ["bin/rlkd", "presets"],
        ["-P", "-c", "from rlkd.answers.equal import answers_equal\nprint(answers_equal('2^10', '1024'))"],
    ):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"
