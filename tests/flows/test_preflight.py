from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("transformers")

from flows.preflight import Findings, examine, finished_stages, size
from rlkd.config import parse_config
from schemas.config.pipeline import PipelineConfig

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
    config = _config(data=data, traces={"teacher": {"type": "column"}}, structures={"decomposer": {"type": "rules"}})
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
    from rlkd.stages import stage_spec
    from schemas.artifact import StageResult
    from tasks.identity import identify
    from tasks.storage import Built, Clock, Store, store_root

    def build(folder: Path, clock: Clock) -> Built:
        (folder / "train.jsonl").write_text(json.dumps({}))
        return Built(StageResult(rows=1), 1.0)

    config, run = _config(), tmp_path / "run"
    assert finished_stages(config, str(run)) == []
    Store(store_root(run)).make(identify(stage_spec("data"), config, {}), build)
    assert finished_stages(config, str(run)) == ["data"]


def test_sizes_are_written_for_people() -> None:
    assert size(512) == "512 MiB"
    assert size(1536) == "1.5 GiB"  # 1536 / 1024
