"""`rlkd run` on fake stages: killed, interrupted, twice at once, and what its processes validate."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.cli.run import _server_faults
from rlkd.errors import StageError

from ..conftest import DONE, STAGES, statuses, until

pytestmark = pytest.mark.slow


def test_a_server_that_goes_away_is_told_in_one_sentence() -> None:
    with (
        pytest.raises(
            StageError, match=r"Prefect's server does not answer any more \(refused\); was `rlkd ui runs`"
        ),
        _server_faults(Path("runs")),
    ):
        raise httpx.ConnectError("refused")
    with pytest.raises(ValueError, match="other"), _server_faults(Path("runs")):
        raise ValueError("other")


def test_each_process_of_a_run_validates_the_configuration_at_most_once(
    tracked_cli: Any, tmp_path: Path
) -> None:
    counted = tmp_path / "validations"
    done = tracked_cli("run", "tiny.yaml", COUNT_VALIDATIONS=str(counted))
    assert done.returncode == 0, done.stderr
    by_process = Counter(line.split()[0] for line in counted.read_text().splitlines())
    # the command line with its flow and tasks; the jobs of warm_start, rl and evaluate
    assert sorted(by_process.values()) == [1, 1, 1, 1]


@pytest.mark.parametrize("stage", ["traces", "rl"])
def test_a_run_killed_in_a_stage_is_finished_by_the_same_command(
    cli: Any, tmp_path: Path, stage: str
) -> None:
    process = cli.start("run", "tiny.yaml", FAKE_DELAY="0.4")
    until(lambda: len(cli.work(stage)) > 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shown = cli("status", "runs/tiny")
    assert "interrupted" in shown.stdout
    done = cli("run", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    units = [unit for unit in cli.work(stage) if unit != "start"]
    # The unit in hand when the kill came may be done again; no other is, and none is left out.
    assert sorted(set(units), key=int) == [str(i) for i in range(8)]
    assert len(units) <= 9
    before = STAGES[: STAGES.index(stage)]
    assert all(cli.work(name).count("start") == 1 for name in before)
    assert {name: statuses(tmp_path / "runs" / "tiny")[name] for name in before} == dict.fromkeys(
        before, "reused"
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_killed_between_stages_is_finished_by_the_same_command(
    cli: Any, tmp_path: Path, when: str
) -> None:
    """A stage has finished, and the run has not, or has just, taken note of it; the next has not begun."""
    killed = cli("run", "tiny.yaml", FAKE_KILL=f"{when}:warm_start")
    assert killed.returncode == -signal.SIGKILL
    assert cli.work("warm_start") == ["start", *map(str, range(8))]
    assert cli.work("qualify") == []
    assert ("warm_start" in statuses(tmp_path / "runs" / "tiny")) == (when == "after")
    done = cli("run", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    before = STAGES[: STAGES.index("qualify")]
    assert statuses(tmp_path / "runs" / "tiny") == {**DONE, **dict.fromkeys(before, "reused")}
    assert all(cli.work(name).count("start") == 1 for name in STAGES)
    assert cli.work("rl") == ["start", *map(str, range(8))]


def test_an_interrupt_stops_the_run_and_exits_130(cli: Any, tmp_path: Path) -> None:
    process = cli.start("run", "tiny.yaml", FAKE_DELAY="0.5")
    until(lambda: len(cli.work("rl")) > 2, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "interrupted; resume with: rlkd run tiny.yaml" in errors
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "runs" / "tiny" / "run.json").read_text())["status"] == "cancelled"
    count = len(cli.work("rl"))
    time.sleep(1)
    assert len(cli.work("rl")) == count  # its process is gone too


def test_sigterm_stops_the_run_and_exits_143(cli: Any, tmp_path: Path) -> None:
    process = cli.start("run", "tiny.yaml", FAKE_DELAY="0.5")
    until(lambda: len(cli.work("rl")) > 2, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143, errors
    assert "terminated; resume with: rlkd run tiny.yaml" in errors
    count = len(cli.work("rl"))
    time.sleep(1)
    assert len(cli.work("rl")) == count


def test_the_same_command_twice_at_once_waits_and_reuses(cli: Any, tmp_path: Path) -> None:
    runs = [cli.start("run", "tiny.yaml", FAKE_DELAY="0.2") for _ in range(2)]
    outputs = []
    for process in runs:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        outputs.append(out)
    assert sum("another run works in" in out for out in outputs) == 1
    for stage in STAGES:
        assert cli.work(stage).count("start") == 1, stage


def test_two_runs_at_once_neither_harm_nor_repeat_each_other(cli: Any, tmp_path: Path) -> None:
    runs = [
        cli.start("run", "tiny.yaml", "--output", f"runs/{name}", FAKE_DELAY="0.2") for name in ("a", "b")
    ]
    for process in runs:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for stage in STAGES:
        assert cli.work(stage).count("start") == 1, stage
    merged = [statuses(tmp_path / "runs" / name) for name in ("a", "b")]
    assert all({merged[0][stage], merged[1][stage]} == {"done", "reused"} for stage in STAGES)
