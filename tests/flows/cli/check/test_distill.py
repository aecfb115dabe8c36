from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flows.cli.check.distill import examine
from flows.cli.check.findings import Findings
from flows.cli.check.gsrm import examine_gsrm
from flows.cli.check.machine import check_endpoints, check_launch, check_models, check_training
from flows.cli.check.shared import size
from flows.cli.inspect import show_schema
from flows.configure import configure_any
from rlkd.config.load import parse_config
from rlkd.errors import ConfigError, UserError
from rlkd.estimates import Costs, Work, estimate
from rlkd.student.examine import Sizes
from rlkd.student.probe import Probe
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig
from tasks.finished import finished_stages

FRESH = {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 640}


def _config(**changes: Any) -> PipelineConfig:
    base: dict[str, Any] = {
        "name": "check",
        "data": {"type": "world", "world": {"n_train": 6, "n_validation": 2, "n_test": 4, "n_ood": 2}},
        "student": {"model": FRESH, "max_prompt_tokens": 400, "max_completion_tokens": 200},
    }
    return parse_config({**base, **changes})


def _found(findings: Findings) -> dict[str, tuple[str, str]]:
    return {what: (verdict, details) for what, verdict, details in findings.rows}


def test_a_good_configuration_is_described(tmp_path: Path) -> None:
    findings = examine(_config(), str(tmp_path / "run"))
    found = _found(findings)
    assert findings.wrong == []
    assert found["data"][1] == "14 rows from world: 6 train, 2 validation, 4 test, 2 ood"  # 6 + 2 + 4 + 2
    assert "context 640" in found["student"][1]
    assert found["prompts"][0] == "ok"
    assert (
        found["qualification"][1]
        == "4 paths of the built-in world for each of 80 problems; a missed threshold: auto"
    )
    assert set(found) == {
        "configuration",
        "data",
        "tracking",
        "orchestration",
        "student",
        "prompts",
        "qualification",
        "output",
        "memory",
        "time",
    }
    assert not (tmp_path / "run").exists()


def test_what_the_reward_is_qualified_on_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        json.dumps({"problem": "1+1?", "teacher": "1 + 1 = 2", "solution": "It is 2", "right": True}) + "\n"
    )
    pairs = {"type": "file", "path": str(path)}
    assert _found(examine(_config(qualify={"pairs": pairs}), str(tmp_path / "run")))["qualification"] == (
        "ok",
        "1 labelled solutions in pairs.jsonl, 1 of them right; a missed threshold: auto",
    )
    student = _found(examine(_config(qualify={"pairs": {"type": "student"}}), str(tmp_path / "run")))
    assert student["qualification"][1].startswith("4 samples of the student on each of 64 problems")
    path.write_text('{"problem": "1+1?"}\n')
    broken = examine(_config(qualify={"pairs": pairs}), str(tmp_path / "run"))
    assert _found(broken)["qualification"][0] == "wrong"
    assert "line 1: right must be true or false" in broken.wrong[0]
    assert "qualification" not in _found(examine(_config(qualify={"enabled": False}), str(tmp_path / "run")))


def test_every_fault_is_found_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 9, 2**20))
    (tmp_path / "weights").mkdir()
    config = _config(
        data={
            "type": "file",
            "path": str(tmp_path / "absent.jsonl"),
            "columns": {"traces": ["answer"]},
        },
        traces={"teacher": {"type": "column"}},
        structures={"decomposer": {"type": "rules"}},
        student={"model": {"type": "checkpoint", "path": str(tmp_path / "weights")}},
    )
    wrong = examine(config, str(tmp_path / "run")).wrong
    assert len(wrong) == 3
    assert "absent.jsonl" in wrong[0]
    assert "checkpoint is incomplete" in wrong[1]
    assert "1 MiB free" in wrong[2]


def test_data_without_a_row_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("")
    data = {"type": "file", "path": str(tmp_path / "none.jsonl"), "columns": {"traces": ["t"]}}
    config = _config(
        data=data, traces={"teacher": {"type": "column"}}, structures={"decomposer": {"type": "rules"}}
    )
    verdict, details = _found(examine(config, str(tmp_path / "run")))["data"]
    assert verdict == "wrong"
    assert "none.jsonl: there is not one row to read" in details


def test_long_prompts_are_noted(tmp_path: Path) -> None:
    config = _config(student={"model": FRESH, "max_prompt_tokens": 20, "max_completion_tokens": 200})
    verdict, details = _found(examine(config, str(tmp_path / "run")))["prompts"]
    assert verdict == "note"
    assert "14 of 14 are too long" in details


def test_a_student_on_the_hub_that_cannot_be_had_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    config = _config(student={"model": {"type": "checkpoint", "path": "nobody/no-such-model"}})
    [wrong] = examine(config, str(tmp_path / "run")).wrong
    assert wrong.startswith("student.model.path: the tokenizer of nobody/no-such-model cannot be loaded")


def test_an_output_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    [wrong] = examine(_config(), str(tmp_path / "file")).wrong
    assert "choose another --output" in wrong


def test_finished_stages_are_named(tmp_path: Path) -> None:
    from rlkd.pipeline.stages import stage_spec
    from schemas.artifact import Made, StageResult
    from tasks.identity import identify
    from tasks.storage import Clock, Store, store_root

    def build(folder: Path, clock: Clock) -> Made:
        (folder / "train.jsonl").write_text(json.dumps({}))
        return Made(result=StageResult(rows=1), peak_rss_mb=1.0)

    config, run = _config(), tmp_path / "run"
    assert finished_stages(config, str(run)) == []
    Store(store_root(run)).make(identify(stage_spec("data"), config, {}), build)
    assert finished_stages(config, str(run)) == ["data"]


def test_sizes_are_written_for_people() -> None:
    assert size(512) == "512 MiB"
    assert size(1536) == "1.5 GiB"  # 1536 / 1024


SERVER = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": "RLKD_TEST_KEY"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"structures": {"alignment": {"type": "prefix", "normalize": False}}},
            "structures.alignment.normalize is off",
        ),
        ({"rl": {"generation": "vllm"}}, "rl.generation is vllm, which is not installed"),
        ({"launch": {"processes": 3}}, "128 completions cannot be shared by launch.processes = 3"),
        (
            {"rl": {"micro_batch": 128}, "launch": {"processes": 2}},
            "rl.micro_batch = 128 must divide the 64 completions",
        ),
        (
            {"launch": {"accelerate_config": "/nope.yaml"}},
            "launch.accelerate_config: there is no file /nope.yaml",
        ),
        (
            {"structures": {"decomposer": {"type": "generative", "model": "/nope"}}},
            "structures.decomposer.model: there is no model folder at /nope",
        ),
        (
            {
                "structures": {
                    "decomposer": {"type": "generative", "endpoint": {"type": "local", "path": "./nope"}}
                }
            },
            "structures.decomposer.endpoint.path: there is no model folder at nope",
        ),
        (
            {"structures": {"decomposer": {"type": "generative", "model": "nobody/none"}}},
            "structures.decomposer.model: nobody/none is no folder and not in this machine's cache",
        ),
        (
            {"structures": {"decomposer": {"type": "generative", "model": "models:/rlkd-gsrm/3"}}},
            "structures.decomposer.model: there is no registered model models:/rlkd-gsrm/3",
        ),
        ({"structures": {"judge": {"type": "embedding", "model": "/nope"}}}, "structures.judge"),
        (
            {"structures": {"judge": {"type": "llm", "endpoint": SERVER}}},
            "structures.judge.endpoint: the key for http://127.0.0.1:9/v1 is missing: set the environment variable RLKD_TEST_KEY",
        ),
        (
            {"structures": {"judge": {"type": "cascade", "then": {"type": "llm", "endpoint": SERVER}}}},
            "structures.judge.then.endpoint: the key",
        ),
    ],
)
def test_what_could_not_run_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], fault: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("RLKD_TEST_KEY", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    found = Findings()
    config = _config(**changes)
    check_models(config, tmp_path / "runs", found)
    check_endpoints(config, found)  # asks nobody without a key
    check_training(config, found)
    check_launch(config, found)
    [wrong] = found.wrong
    assert fault in wrong
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("gpus", "launch", "note"),
    [
        (0, {"processes": 8, "parallel": {"type": "fsdp"}}, "no GPU here, which fsdp needs"),
        (0, {"parallel": {"type": "deepspeed"}}, "no GPU here, which deepspeed needs"),
        (2, {"processes": 8}, "8 GPUs, of which 2 are here"),
        (0, {"processes": 8}, "no GPU here, and fewer cores than 8 processes"),
        (0, {"processes": 4}, None),
        (8, {"processes": 8, "parallel": {"type": "fsdp"}}, None),
    ],
)
def test_gpus_that_are_not_here_are_noted_offline_and_wrong_otherwise(
    monkeypatch: pytest.MonkeyPatch, gpus: int, launch: dict[str, Any], note: str | None
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    offline, online = Findings(), Findings()
    check_launch(_config(launch=launch), offline, offline=True)
    check_launch(_config(launch=launch), online)
    assert offline.rows == ([("launch", "note", f"not looked at: {note}")] if note else [])
    assert bool(online.wrong) == (note is not None)


def test_models_and_keys_that_are_there_are_not_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLKD_TEST_KEY", "k")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    structures = {
        "decomposer": {"type": "generative", "model": str(tmp_path)},
        "judge": {"type": "llm", "endpoint": SERVER},
        "alignment": {"type": "prefix", "normalize": False},
    }
    found = Findings()
    config = _config(structures=structures, rl={"enabled": False})
    check_models(config, tmp_path, found)
    check_training(config, found)  # without RL nothing needs a bound
    assert found.wrong == []
    (tmp_path / "tokenizer.json").unlink()
    check_models(config, tmp_path, found)
    assert "lacks tokenizer.json" in found.wrong[0]


def test_the_estimate_is_of_what_a_run_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"question": f"What is {i} + {i}?", "answer": f"{i} + {i} = {2 * i}. The answer is {2 * i}."}
        for i in range(300)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {
        "type": "file", "path": str(path), "columns": {"question": "question", "answer": "answer", "traces": ["answer"]},
        "answer_pattern": r"is (\d+)\.$", "sizes": {"train": 20, "validation": 5, "test": 8},
    }  # fmt: skip
    asked: list[Work] = []
    real = estimate

    def watched(config: PipelineConfig, student: Sizes, work: Work) -> Costs:
        asked.append(work)
        return real(config, student, work)

    monkeypatch.setattr("rlkd.estimates.estimate", watched)
    config = _config(data=data, traces={"teacher": {"type": "column"}}, structures={})
    found = _found(examine(config, str(tmp_path / "run")))
    assert (asked[0].train, asked[0].held_out) == (20, 8)
    assert found["data"] == (
        "ok", "300 rows from file: 300 train; a run takes 20 train, 5 validation, 8 test once duplicates and overlap are out",
    )  # fmt: skip
    too_many = _config(
        data=data | {"sizes": {"validation": 300}}, traces={"teacher": {"type": "column"}}, structures={}
    )
    assert "leaves none to train on" in examine(too_many, str(tmp_path / "run")).wrong[0]


def _gsrm(tmp_path: Path, **changes: Any) -> GsrmConfig:
    rows = [{"id": i, "problem": f"p{i}", "path": f"{i} + 1 = {i + 1}"} for i in range(20)]
    (tmp_path / "paths.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = {"kind": "gsrm", "name": "g", "paths": {"type": "file", "path": str(tmp_path / "paths.jsonl")}}
    return GsrmConfig.model_validate(base | changes)


def test_the_training_of_a_gsrm_is_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = examine_gsrm(_gsrm(tmp_path), str(tmp_path / "run"))
    found = _found(findings)
    assert findings.wrong == []
    assert found["paths"][1] == f"20 paths from {tmp_path / 'paths.jsonl'}"
    assert "context 512" in found["student"][1]
    assert not (tmp_path / "run").exists()
    monkeypatch.delenv("RLKD_TEST_KEY", raising=False)
    broken = _gsrm(
        tmp_path,
        paths={"type": "run", "path": str(tmp_path / "none")},
        annotations={"annotator": {"type": "generative", "endpoint": SERVER}},
        student={"model": {"type": "checkpoint", "path": "/nope"}},
        launch={"accelerate_config": "/nope.yaml"},
    )
    wrong = examine_gsrm(broken, str(tmp_path / "run")).wrong
    assert len(wrong) == 4
    assert "none" in wrong[0]
    assert "no checkpoint folder at /nope" in wrong[1]
    assert "annotations.annotator.endpoint: the key" in wrong[2]
    assert "launch.accelerate_config" in wrong[3]


def test_a_configuration_is_checked_as_the_kind_that_it_is(tmp_path: Path) -> None:
    assert isinstance(configure_any("gsrm-world"), GsrmConfig)
    assert isinstance(configure_any("demo"), PipelineConfig)
    path = tmp_path / "mine.yaml"
    path.write_text("kind: gsrm\nname: g\npaths: {type: world}\n")
    assert isinstance(configure_any(str(path), ["seed=3"]), GsrmConfig)
    with pytest.raises(ConfigError, match="paths must be a section"):
        configure_any(str(path), ["paths=", "kind=gsrm"])
    with pytest.raises(ConfigError, match="neither a preset nor a file"):
        configure_any("gsrm-wurld")


def test_the_schema_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    show_schema("gsrm")
    assert "annotations" in json.loads(capsys.readouterr().out)["properties"]
    show_schema("distill")
    assert "warm_start" in json.loads(capsys.readouterr().out)["properties"]
    with pytest.raises(UserError, match="distill, gsrm and experiment"):
        show_schema("grsm")


def test_what_was_measured_is_carried_over_in_proportion() -> None:
    config = _config(
        warm_start={"batch_size": 4, "max_epochs": 2.0, "traces": 10},
        traces={"per_problem": 2},
        rl={"steps": 3, "prompts_per_step": 2, "group_size": 4, "micro_batch": 4},
    )
    probe = Probe(
        base_mb=1000, token_mb=2.0, least_mb=1200, token_s=0.01, step_s=0.1, row_s=0.02, device="here"
    )
    student = Sizes(parameters=10**8, layers=10, width=512, vocabulary=1000, context=640)
    costs = estimate(config, student, Work(20, 4, 50.0, 100.0, probe))
    # Warm start: 10 traces of 50 + 100 tokens, twice: 3000 tokens, 0.01 s each, a tenth for what packing leaves; 12 s to start.
    assert costs.seconds["warm_start"] == pytest.approx(12 + 33)
    # A step: 100 / 0.6 = 167 sampling steps of 8 rows at 0.1 + 8 * 0.02 s; 8 * 100 + 2 * 50 tokens learned; 8 / 2000 s of scoring.
    assert costs.seconds["rl"] == pytest.approx(12 + 3 * (100 / 0.6 * 0.26 + 9 + 0.004))
    # The largest pass: 4 completions of 200 tokens, and one prompt of 50 that they share; the warm start's has 4 * 150 * 1.2 = 720.
    assert costs.memory_mb == pytest.approx(1000 + 2 * 850)
    assert costs.assumes == (
        "measured on a small step, 1000 MB and 2.00 MB for each of 850 tokens, at least 1200 MB; "
        "4 completions of 200 tokens in one pass of RL"
    )
    assert costs.memory_text.startswith("about 2.6 GiB for the largest process (here)")  # 2700 / 1024 = 2.64


def test_an_estimate_from_sizes_says_so() -> None:
    student = Sizes(parameters=10**6, layers=2, width=64, vocabulary=1000, context=640)
    costs = estimate(_config(), student, Work(6, 6, 50.0))
    assert costs.assumes.startswith("from the model's sizes alone, nothing was measured; ")
    said = estimate(_config(), student, Work(6, 6, 50.0, unmeasured="it took too long")).assumes
    assert said.startswith("from the model's sizes alone, nothing was measured: it took too long; ")


def test_a_student_that_is_not_packed_costs_more() -> None:
    config = _config(
        warm_start={"batch_size": 4, "max_epochs": 2.0, "traces": 10},
        rl={"steps": 3, "prompts_per_step": 2, "group_size": 4, "micro_batch": 4},
    )
    probe = Probe(
        base_mb=1000, token_mb=2.0, least_mb=1200, token_s=0.01, step_s=0.1, row_s=0.02, device="here"
    )
    student = Sizes(10**8, layers=10, width=512, vocabulary=1000, context=640, unpacked="its layers")
    costs = estimate(config, student, Work(20, 4, 50.0, 100.0, probe))
    # 10 traces of 150 tokens, twice, half as much again for padding; 8 rows of 150 tokens a step instead of 8 * 100 + 2 * 50.
    assert costs.seconds["warm_start"] == pytest.approx(12 + 3000 * 0.01 * 1.5)
    assert costs.seconds["rl"] == pytest.approx(12 + 3 * (100 / 0.6 * 0.26 + 12 + 0.004))
    assert costs.memory_mb == pytest.approx(1000 + 2 * 4 * 250)  # 4 rows of 50 + 200


def test_traces_over_the_limit_are_counted_and_another_limit_is_proposed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    long = " ".join(f"{i} + 1 = {i + 1}." for i in range(40))
    rows = [
        {
            "question": f"What is {i} + {i}?",
            "answer": str(2 * i),
            "solution": long if i % 4 == 0 else "It doubles.",
        }
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {
        "type": "file", "path": str(path), "columns": {"question": "question", "answer": "answer", "traces": ["solution"]},
        "sizes": {"train": 30, "validation": 5, "test": 5},
    }  # fmt: skip
    config = _config(data=data, traces={"teacher": {"type": "column"}}, structures={})
    verdict, text = _found(examine(config, str(tmp_path / "run")))["traces"]
    assert verdict == "note"
    assert "10 of 40 are too long and left out of training; student.max_completion_tokens=" in text
    assert "would keep 40" in text
