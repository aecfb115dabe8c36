"""Whose an experiment's folder is: what is refused there, and what goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkd.config.strict_yaml import parse_yaml
from rlkd.errors import UserError
from rlkd.experiments.folder import (
    EXPERIMENT_FILE,
    check_folder,
    check_no_experiment,
    left_out_sentence,
    try_folder,
)
from rlkd.io import write_json_atomic
from schemas.artifact import RunManifest
from schemas.config.experiment import ExperimentConfig
from tasks.experiment import hold_experiment


def experiment(**changes: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"name": "x", "base": "demo", "methods": ["sft", "grpo"], "seeds": [0, 1], **changes}
    )


def begun(folder: Path, **changes: Any) -> Path:
    with hold_experiment(experiment(**changes), folder):
        return folder


def refused(config: ExperimentConfig, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        check_folder(config, folder)
    return str(error.value).replace(str(folder.resolve().parent), "..")


def test_the_same_experiment_goes_on_in_its_folder(tmp_path: Path) -> None:
    folder = begun(tmp_path / "x")
    compare = {"metric": "accuracy", "family": [["sft", "base"]]}
    for changed in (experiment(), experiment(methods=["sft", "base"], seeds=[0, 1, 2], compare=compare)):
        check_folder(changed, folder)  # raises what it refuses
        with hold_experiment(changed, folder):
            pass
        assert parse_yaml((folder / EXPERIMENT_FILE).read_text(), "").value["seeds"] == changed.seeds
    check_folder(experiment(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_folder_of_another_experiment_is_refused(tmp_path: Path) -> None:
    folder = begun(tmp_path / "x", name="other")
    assert refused(experiment(), folder) == (
        "../x holds the experiment other, not x; choose another --output, or give this one that name"
    )
    other_base = begun(tmp_path / "y", base="arithmetic")
    assert refused(experiment(), other_base) == (
        "../y holds the experiment x with base arithmetic, not demo; choose another --output"
    )
    with pytest.raises(UserError, match="holds the experiment other"), hold_experiment(experiment(), folder):
        pass
    assert "name: other" in (folder / "experiment.yaml").read_text()


def test_one_base_may_be_written_in_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    folder = begun(tmp_path / "x", base="toy.yaml")
    check_folder(experiment(base=str(tmp_path / "toy.yaml")), folder)
    monkeypatch.chdir(folder)
    check_folder(experiment(base="../toy.yaml"), folder)
    assert "with base toy.yaml, not demo" in refused(experiment(), folder)


def test_the_folder_of_a_run_or_a_cell_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    assert refused(experiment(), run) == (
        "../run holds a run (run.json), and an experiment needs a folder of its own; choose another --output"
    )
    folder = begun(tmp_path / "x")
    assert refused(experiment(), folder / "sft-s0") == (
        "../sft-s0 lies in the folder of an experiment, among its cells (..); choose another --output"
    )
    with pytest.raises(
        UserError, match="holds an experiment, and a run needs a folder of its own; choose another"
    ):
        check_no_experiment(folder)
    check_no_experiment(folder / "sft-s0")


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text("name: x\nbase: demo\n")
    assert refused(experiment(), tmp_path).endswith(
        "experiment.yaml is there, but no experiment's folder cells, and would be replaced; choose another --output"
    )
    (tmp_path / "cells").write_text("")
    assert refused(experiment(), tmp_path).endswith(
        "cells is a file where the cells' configurations go; choose another --output"
    )
    (tmp_path / "cells").unlink()
    (tmp_path / "cells").mkdir()
    (tmp_path / "experiment.yaml").write_text("name: [x\n")
    assert "experiment.yaml cannot be read, so that nobody knows whose the folder is" in refused(
        experiment(), tmp_path
    )


def test_finished_cells_that_are_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for name, status in (("grpo-s0", "done"), ("grpo-s1", "failed"), ("sft-s0", "done")):
        (tmp_path / "cells" / f"{name}.yaml").write_text("")
        (tmp_path / name).mkdir()
        manifest = RunManifest(name=name, config={}, config_digest="", store="", status=status)
        write_json_atomic(tmp_path / name / "run.json", manifest)
    assert left_out_sentence(["sft-s0", "sft-s1"], tmp_path) == (
        f"finished, but no longer in this experiment, and not in its report: grpo-s0; their folders stay in {tmp_path}"
    )
    assert left_out_sentence(["sft-s0", "grpo-s0"], tmp_path) == ""


def test_a_folder_is_tried_without_leaving_one(tmp_path: Path) -> None:
    try_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "x")
    for name in ("file", "file/x", "link", "n" * 300):
        with pytest.raises(UserError, match=r"^cannot write to .*; choose another --output$"):
            try_folder(tmp_path / name)
    with pytest.raises(UserError, match="cannot write to /proc/x: No such file or directory"):
        try_folder(Path("/proc/x"))
