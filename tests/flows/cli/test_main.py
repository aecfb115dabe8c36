"""The command line on fake stages: a real Prefect and a real MLflow, no models."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import run_command

from ..conftest import DONE, STAGES, statuses


def test_a_run_its_rerun_and_what_a_changed_setting_reruns(
    lonely_cli: Any, services: dict[str, str], tmp_path: Path
) -> None:
    cli = lonely_cli
    first = cli("run", "tiny.yaml")
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "runs" / "tiny"
    assert statuses(folder) == DONE
    for name in STAGES:
        assert f"{name}: done in " in first.stdout
    assert {"report.html", "report.md", "report.json", "run.json", "config.yaml", "logs"} <= {
        p.name for p in folder.iterdir()
    }
    assert not (tmp_path / "home" / ".prefect").exists()
    assert {".store", ".prefect", ".mlflow"} <= {p.name for p in (tmp_path / "runs").iterdir()}

    cli.environment |= (
        services  # what is reused does not depend on whose Prefect it is, and starting one takes long
    )
    again = cli("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert statuses(folder) == dict.fromkeys(STAGES, "reused")
    assert cli.work("data") == ["start"]
    assert cli.work("rl") == ["start", *map(str, range(8))]
    report = json.loads((folder / "report.json").read_text())
    assert {row["name"]: row["status"] for row in report["stages"]} == dict.fromkeys(STAGES, "reused")

    changed = cli("run", "tiny.yaml", "--set", "rewards.alpha=0.25", "--output", "runs/other")
    assert changed.returncode == 0, changed.stderr
    reused = dict.fromkeys(["data", "traces", "structures", "warm_start", "qualify"], "reused")
    assert statuses(tmp_path / "runs" / "other") == {**DONE, **reused}
    shown = cli("status", "runs/other")
    assert shown.returncode == 0
    assert "tiny: done" in shown.stdout
    assert json.loads(cli("status", "runs/other", "--json").stdout)["status"] == "done"


def test_from_makes_a_stage_and_what_follows_again(cli: Any, tmp_path: Path) -> None:
    assert cli("run", "tiny.yaml").returncode == 0
    again = cli("run", "tiny.yaml", "--from", "evaluate")
    assert again.returncode == 0, again.stderr
    assert statuses(tmp_path / "runs" / "tiny") == {
        **dict.fromkeys(STAGES, "reused"),
        "evaluate": "done",
        "report": "done",
    }
    assert len(cli.work("evaluate")) == 2
    assert len(cli.work("data")) == 1
    # What an interrupted `--from` has made again is not made a third time by the same command.
    failed = cli("run", "tiny.yaml", "--from", "evaluate", FAKE_FAIL="report")
    assert failed.returncode == 1
    assert cli("run", "tiny.yaml", "--from", "evaluate").returncode == 0
    assert len(cli.work("evaluate")) == 3
    assert len(cli.work("report")) == 4


def test_a_failed_stage_says_which_why_and_how_to_resume(cli: Any, tmp_path: Path) -> None:
    failed = cli("run", "tiny.yaml", "--set", "rl.steps=9", FAKE_FAIL="rl", FAKE_FAULT="stage")
    assert failed.returncode == 1
    assert "stage rl: the loss is NaN at step 4" in failed.stderr
    assert "resume with: rlkd run tiny.yaml --set rl.steps=9" in failed.stderr
    assert "Traceback" not in failed.stderr
    folder = tmp_path / "runs" / "tiny"
    assert statuses(folder)["rl"] == "failed"
    assert "the loss is NaN" in cli("status", "runs/tiny").stdout
    assert (folder / "report.html").exists()

    resumed = cli("run", "tiny.yaml", "--set", "rl.steps=9")
    assert resumed.returncode == 0, resumed.stderr
    # 4 of 8 steps were saved when it failed; they are not done twice.
    assert cli.work("rl") == ["start", "0", "1", "2", "3", "start", "4", "5", "6", "7"]


@pytest.mark.parametrize("stage", ["data", "rl"])
def test_a_user_error_in_a_stage_is_one_sentence_and_exit_code_2(cli: Any, stage: str) -> None:
    failed = cli("run", "tiny.yaml", FAKE_FAIL=stage, FAKE_FAULT="user")
    assert failed.returncode == 2
    assert failed.stderr.strip() == "rlkd: error: rows.jsonl, line 3: answer is missing; add it"


def test_a_full_disk_is_told_and_nothing_finished_is_lost(cli: Any, tmp_path: Path) -> None:
    failed = cli("run", "tiny.yaml", FAKE_FAIL="rl", FAKE_FAULT="full")
    assert failed.returncode == 1
    told, resume = failed.stderr.splitlines()
    assert re.fullmatch(
        r"rlkd: stage rl: the disk that holds \S+ is full \(\d+ MiB free\); kept: data, traces, structures, warm_start, qualify, "
        "and what rl has done and saved; free some space and run the same command again, it goes on from there",
        told,
    )
    assert resume == "rlkd: resume with: rlkd run tiny.yaml"
    assert cli("run", "tiny.yaml").returncode == 0
    assert cli.work("warm_start") == ["start", *map(str, range(8))]


def test_a_reward_that_misses_a_threshold_is_refused_and_rl_does_not_start(
    tracked_cli: Any, tmp_path: Path
) -> None:
    cli = tracked_cli
    folder = tmp_path / "runs" / "tiny"
    strict = ("--set", "qualify.action=refuse")
    refused = cli("run", "tiny.yaml", "--set", "qualify.thresholds.auroc_hidden=0.9", *strict)
    assert refused.returncode == 1
    assert (
        "stage qualify: the structure reward misses 1 of 15 thresholds (14 could not be measured): AUROC with the last step hidden, "
        "lower end of its interval is 0.800, not at least 0.9 (qualify.thresholds.auroc_hidden)"
    ) in refused.stderr
    assert "resume with: rlkd run tiny.yaml --set qualify.thresholds.auroc_hidden=0.9 --set" in refused.stderr
    assert statuses(folder) == {**dict.fromkeys(STAGES[:4], "done"), "qualify": "failed"}
    assert cli.work("rl") == []
    from tasks.tracking import client

    parent = json.loads((folder / "run.json").read_text())["mlflow_run_id"]
    tracked = client(cli.environment["MLFLOW_TRACKING_URI"]).get_run(parent)
    assert tracked.data.metrics["verdict/auroc_hidden"] == 0.85
    report = json.loads((folder / "report.json").read_text())
    assert report["qualification"]["figures"]["hidden"]["structure"]["low"] == 0.8
    assert report["qualification"]["verdict"]["passed"] is False
    for name in ("report.md", "report.html"):
        assert "qualify.thresholds.auroc_hidden" in (folder / name).read_text()

    # Neither the threshold nor the action is part of what was measured: nothing is measured twice.
    passed = cli("run", "tiny.yaml", "--set", "qualify.thresholds.auroc_hidden=0.75", *strict)
    assert passed.returncode == 0, passed.stderr
    assert statuses(folder) == {**DONE, **dict.fromkeys(STAGES[:5], "reused")}
    assert cli.work("qualify") == ["start"]
    warned = cli("run", "tiny.yaml", "--set", "qualify.thresholds.auroc_hidden=0.9")  # weak, not broken
    assert warned.returncode == 0, warned.stderr
    assert "going on, as qualify.action is auto" in warned.stdout
    assert statuses(folder) == {**dict.fromkeys(STAGES, "reused"), "report": "done"}

    # RL alone asks the same gate.
    assert (
        cli("stage", "rl", "tiny.yaml", "--set", "qualify.thresholds.auroc_hidden=0.9", *strict).returncode
        == 1
    )
    assert cli("stage", "rl", "tiny.yaml", "--set", "qualify.enabled=false").returncode == 0


def test_qualify_makes_only_what_it_needs_and_prints_its_tables(cli: Any, tmp_path: Path) -> None:
    shown = cli("qualify", "tiny.yaml", "--set", "rl.enabled=false")  # a run would not qualify anything
    assert shown.returncode == 0, shown.stderr
    assert statuses(tmp_path / "runs" / "tiny") == dict.fromkeys(["data", "traces", "qualify"], "done")
    assert "structure\t0.850 [0.800, 0.900]\t0.850 [0.800, 0.900]" in shown.stdout
    assert "qualify.thresholds.auroc_hidden" in shown.stdout
    refused = cli("qualify", "tiny.yaml", "--set", "qualify.thresholds.auroc_hidden=0.81")
    assert refused.returncode == 1
    assert "0.850 [0.800, 0.900]" in refused.stdout
    assert "misses 1 of 15 thresholds" in refused.stderr
    warned = cli(
        "qualify",
        "tiny.yaml",
        "--set",
        "qualify.thresholds.auroc_hidden=0.81",
        "--set",
        "qualify.action=warn",
    )
    assert warned.returncode == 0
    assert cli("qualify", "tiny.yaml", "--set", "qualify.limit=3").returncode == 2


def test_one_stage_makes_only_what_it_needs(cli: Any, tmp_path: Path) -> None:
    done = cli("stage", "structures", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path / "runs" / "tiny") == dict.fromkeys(["data", "traces", "structures"], "done")
    again = cli("stage", "traces", "tiny.yaml", "--again")
    assert again.returncode == 0, again.stderr
    assert statuses(tmp_path / "runs" / "tiny") == {"data": "reused", "traces": "done", "structures": "done"}
    assert cli.work("traces").count("start") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "absent.yaml"], "there is no such file"),
        (["run", "nonsense"], "neither a preset nor a file"),
        (["run", "tiny.yaml", "--set", "rl.stepz=3"], "did you mean rl.steps?"),
        (["run", "tiny.yaml", "--set", "rl.steps=many", "--set", "seed=-1"], "2 faults"),
        (["run", "tiny.yaml", "--from", "training"], "there is no stage 'training'"),
        (["run", "tiny.yaml", "--output", "tiny.yaml"], "choose another --output"),
        (["run"], "Missing argument"),
        (["run", "tiny.yaml", "--bogus"], "No such option"),
        (["fly"], "No such command"),
        (["stage", "training", "tiny.yaml"], "the stages are data, traces"),
        (["status", "nowhere"], "is not a run folder"),
        (["generate", "nowhere", "1+1?"], "is not a run folder"),
        (["ui", "nowhere"], "there is no folder nowhere"),
        (["check", "tiny.yaml", "--set", "rl.steps=0"], "rl.steps"),
    ],
)
def test_user_errors_are_one_message_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "tiny.yaml").write_text("name: tiny\ndata: {type: world}\n")
    monkeypatch.chdir(tmp_path)
    assert run_command(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("rlkd: error: ")
    assert "Traceback" not in told


def test_a_user_error_of_the_command_itself(lonely_cli: Any) -> None:
    failed = lonely_cli("run", "tiny.yaml", "--set", "rl.stepz=3")
    assert failed.returncode == 2
    assert "did you mean rl.steps?" in failed.stderr
    assert failed.stderr.startswith("rlkd: error: ")


def test_presets_and_schema(lonely_cli: Any) -> None:
    listed = lonely_cli("presets")
    assert listed.returncode == 0
    heads = [part.splitlines()[0] for part in listed.stdout.split("\n\n")]
    assert heads == [
        "preset\twhat it does",
        "for train-gsrm\twhat it does",
        "for experiment\twhat it does",
        "method\twhat it is",
    ]
    shown = lonely_cli("schema")
    assert shown.returncode == 0
    assert "rl" in json.loads(shown.stdout)["properties"]


def test_help_is_light() -> None:
    code = (
        "import sys\n"
        "from flows.cli.main import run_command\n"
        "assert run_command(['--help']) == 0\n"
        "heavy = {'torch', 'transformers', 'prefect', 'mlflow', 'pandas', 'matplotlib', 'pydantic', 'yaml', 'rich', 'sympy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    for command in (
        "run",
        "stage",
        "qualify",
        "status",
        "check",
        "generate",
        "presets",
        "schema",
        "ui",
        "decompose",
        "score",
    ):
        assert f"  {command} " in done.stdout


def test_a_missing_extra_is_named(lonely_cli: Any, tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "prefect.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'prefect'\", name='prefect')\n"
    )
    path = f"{tmp_path / 'shadow'}{os.pathsep}{lonely_cli.environment['PYTHONPATH']}"
    failed = lonely_cli("run", "tiny.yaml", PYTHONPATH=path)
    assert failed.returncode == 2
    assert (
        failed.stderr
        == "rlkd: error: prefect is not installed; install it with: pip install 'rlkd[pipeline]'\n"
    )


def test_no_command_shows_the_help(lonely_cli: Any) -> None:
    shown = lonely_cli()
    assert shown.returncode == 0
    assert "Commands:" in shown.stdout


def test_a_run_without_tracking_imports_no_mlflow(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text(
        "raise SystemExit('imported')\n"
    )  # the tests' own folder comes first on the path
    path = f"{tmp_path}{os.pathsep}{cli.environment['PYTHONPATH']}"
    done = cli("run", "tiny.yaml", "--set", "rl.enabled=false", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "runs" / ".mlflow").exists()
    assert statuses(tmp_path / "runs" / "tiny")["rl"] == "skipped"
    assert "rl: skipped" in done.stdout


def test_status_says_why_a_stage_failed_and_where_its_log_is(cli: Any, tmp_path: Path) -> None:
    assert cli("run", "tiny.yaml", FAKE_FAIL="rl", FAKE_FAULT="stage").returncode == 1
    shown = cli("status", "runs/tiny").stdout
    assert "\nrl failed: the loss is NaN at step 4; the last good checkpoint is kept\n" in shown
    assert f"\nlog: {tmp_path / 'runs' / 'tiny' / 'logs' / 'rl.log'}\n" in shown
