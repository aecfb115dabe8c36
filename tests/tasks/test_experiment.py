"""Cells are run one by one or side by side, and one that fails ends no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flows.configure import plan_experiment
from rlkd.errors import StageError
from rlkd.experiments.cell import Cell
from schemas.config.experiment import ExperimentConfig
from tasks.experiment import hold_experiment, is_finished, run_cells, write_cells


@pytest.fixture
def cells() -> list[Cell]:
    config = ExperimentConfig(name="x", base="demo", methods=["sft", "sft+rlkd"], seeds=[0, 1])
    return plan_experiment(config)


def test_a_failed_cell_ends_no_other(cells: list[Cell], tmp_path: Path) -> None:
    ran: list[str] = []

    def run(cell: Cell, config: Path, folder: Path) -> None:
        ran.append(cell.name)
        if cell.name == "sft-rlkd-s0":
            raise StageError("stage rl: the loss is NaN")

    told: list[str] = []
    after: list[str] = []
    errors = run_cells(cells, tmp_path, 1, run, told.append, lambda cell: after.append(cell.name))
    assert errors == {"sft-rlkd-s0": "stage rl: the loss is NaN"}
    assert ran == after == ["sft-s0", "sft-rlkd-s0", "sft-s1", "sft-rlkd-s1"]
    assert told[2] == "cell sft-rlkd-s0 failed: stage rl: the loss is NaN"


def test_a_cell_that_follows_a_failed_one_fails_by_itself(tmp_path: Path) -> None:
    config = ExperimentConfig(name="x", base="demo", methods=["sft-more", "sft+rlkd"], seeds=[0])
    ran: list[str] = []

    def run(cell: Cell, config: Path, folder: Path) -> None:
        ran.append(cell.name)
        raise StageError("stage rl: the loss is NaN")

    errors = run_cells(plan_experiment(config), tmp_path, 1, run, lambda _: None)
    assert ran == ["sft-rlkd-s0"]
    assert errors["sft-more-s0"] == "it follows cell sft-rlkd-s0, which is not finished"


def test_what_is_no_fault_of_a_cell_ends_the_experiment(cells: list[Cell], tmp_path: Path) -> None:
    def run(cell: Cell, config: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(cells, tmp_path, 1, run, lambda _: None)


def test_side_by_side_each_cell_is_a_process_with_a_log(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text(
        '#!/bin/sh\necho "$@"\ncase "$*" in *sft-rlkd-s1*) echo "rlkd: error: no such file"; exit 2;; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    folder = tmp_path / "x"
    write_cells(cells, folder)
    told: list[str] = []

    def run_here(cell: Cell, config: Path, place: Path) -> None:
        raise AssertionError("several cells at a time run in processes of their own")

    errors = run_cells(cells, folder, 2, run_here, told.append)
    assert list(errors) == ["sft-rlkd-s1"]
    assert errors["sft-rlkd-s1"].startswith("error: no such file (exit code 2; see ")
    config, run = folder / "cells" / "sft-s0.yaml", folder / "sft-s0"
    assert (folder / "cells" / "sft-s0.log").read_text().split()[-4:] == [
        "run",
        str(config),
        "--output",
        str(run),
    ]
    # Method by method, so that two cells at a time are two seeds and do not wait for one warm start.
    # By number, not by who spoke first: a thread that ends early may begin the third before the second has spoken.
    assert {"cell 1 of 4: sft-s0", "cell 2 of 4: sft-s1", "cell 3 of 4: sft-rlkd-s0"} <= set(told)


@pytest.mark.parametrize("end", ["kill -TERM $$", "kill -INT $$", "exit 130", "exit 143"])
def test_a_cell_that_was_told_to_end_is_no_failure(
    end: str, cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{end}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    folder = tmp_path / "x"
    write_cells(cells, folder)
    told: list[str] = []
    errors = run_cells(cells[:1], folder, 2, lambda *_: None, told.append)
    assert list(errors) == [cells[0].name]
    # It said "failed: it said nothing (exit code -15 ...)".
    assert told[1].startswith(f"cell {cells[0].name} stopped: told to end before it was done")


def test_a_cell_that_never_ran_is_not_finished(cells: list[Cell], tmp_path: Path) -> None:
    assert not is_finished(cells[0], tmp_path / cells[0].name)


def test_only_one_process_works_on_an_experiment(tmp_path: Path) -> None:
    config = ExperimentConfig(name="x", base="demo", methods=["sft"], seeds=[0])
    with (
        hold_experiment(config, tmp_path),
        pytest.raises(ValueError, match="another process works on the experiment"),
        hold_experiment(config, tmp_path),
    ):
        pass
    assert "name: x" in (tmp_path / "experiment.yaml").read_text()
