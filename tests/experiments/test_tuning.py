"""Equal tuning: as many values tried for every method on validation, the best one compared; scores worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.configure import plan_experiment
from rlkd.errors import ConfigError, StageError
from rlkd.experiments.cell import Cell
from rlkd.experiments.follow import best_value, settled
from rlkd.experiments.page import render_experiment
from rlkd.experiments.results import read_experiment
from rlkd.io import write_json_atomic, write_rows
from schemas.artifact import RunManifest, StageEntry
from schemas.config.experiment import ExperimentConfig
from schemas.evaluation import EvalSplit, ProblemOutput

TUNE = {
    "values": {
        "rl.optimizer.learning_rate": [1e-4, 3e-4],
        "warm_start.optimizer.learning_rate": [5e-4, 1e-3],
    },
    "seeds": [100, 101],
}


def experiment(**changes: Any) -> ExperimentConfig:
    values = {
        "name": "x",
        "base": "demo",
        "methods": ["base", "sft", "sft+rlkd"],
        "seeds": [0, 1],
        "tune": TUNE,
        **changes,
    }
    return ExperimentConfig.model_validate(values)


def finish(cell: Cell, root: Path, right: int, split: EvalSplit = "validation") -> None:
    """A finished cell whose last student answers so many of ten problems."""
    folder = root / "store" / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = cell.config.evaluate.checkpoints[-1]
    write_rows(
        folder / "outputs.jsonl",
        [
            ProblemOutput(
                checkpoint=checkpoint, split=split, problem_id=f"p{i}", domain="math", difficulty=None, completion="",
                answer=None, correct=i < right, structure=0.5, format=1.0, tokens=3, finish_reason="stop",
            )
            for i in range(10)
        ],
    )  # fmt: skip
    entry = StageEntry(name="evaluate", status="done", uri=str(folder), sha256="0", seconds=5.0)
    manifest = RunManifest(
        name=cell.name,
        config=cell.config.model_dump(mode="json"),
        config_digest="",
        store=str(root / "store"),
        stages=(entry,),
        status="done",
    )
    (root / cell.name).mkdir(exist_ok=True)
    write_json_atomic(root / cell.name / "run.json", manifest)


def by_name(config: ExperimentConfig) -> dict[str, Cell]:
    return {cell.name: cell for cell in plan_experiment(config)}


def test_every_method_tries_as_many_values_of_its_own_setting() -> None:
    cells = by_name(experiment())
    trials = [cell for cell in cells.values() if cell.trial is not None]
    assert [cell.name for cell in trials] == [
        "tune-sft-0.0005-s100", "tune-sft-0.0005-s101", "tune-sft-0.001-s100", "tune-sft-0.001-s101",
        "tune-sft-rlkd-0.0001-s100", "tune-sft-rlkd-0.0001-s101", "tune-sft-rlkd-0.0003-s100", "tune-sft-rlkd-0.0003-s101",
    ]  # fmt: skip
    last = cells["tune-sft-rlkd-0.0003-s101"].config
    assert (last.rl.optimizer.learning_rate, last.warm_start.optimizer.learning_rate) == (3e-4, 5e-4)
    assert cells["tune-sft-0.001-s100"].config.warm_start.optimizer.learning_rate == 1e-3
    # What is compared sees the test problems; what is tried sees the validation problems alone, and registers no student.
    assert {cell.config.evaluate.splits for cell in trials} == {("validation",)}
    assert {cell.config.tracking.registered_model for cell in trials} == {""}
    assert cells["sft-s0"].config.evaluate.splits == ("test", "ood")
    assert cells["sft-s0"].needs == tuple(name for name in cells if name.startswith("tune-sft-0"))
    assert cells["base-s0"].tuned is None  # it trains nothing


def test_each_setting_of_the_grid_is_tuned_by_itself() -> None:
    cells = by_name(experiment(methods=["sft+rlkd"], grid={"data.world.n_train": [16, 160]}))
    assert [cell.axes for cell in cells.values() if cell.trial is not None][::4] == [
        {"data.world.n_train": "16"},
        {"data.world.n_train": "160"},
    ]
    assert len(cells) == 2 * (
        2 * 2 + 2
    )  # two settings, each two values under two seeds, and two seeds compared


def test_the_best_value_on_validation_is_compared(tmp_path: Path) -> None:
    cells = by_name(experiment(methods=["sft+rlkd"]))
    # 0.0001: (0.4 + 0.6) / 2 = 0.5; 0.0003: (0.7 + 0.4) / 2 = 0.55.
    for name, right in (("0.0001-s100", 4), ("0.0001-s101", 6), ("0.0003-s100", 7)):
        finish(cells[f"tune-sft-rlkd-{name}"], tmp_path, right)
    waits = r"its rl.optimizer.learning_rate is not chosen yet: tune-sft-rlkd-0.0003-s101, which tries a value, is not finished"
    with pytest.raises(StageError, match=waits):
        settled(cells["sft-rlkd-s0"], tmp_path)
    finish(cells["tune-sft-rlkd-0.0003-s101"], tmp_path, 4)
    assert settled(cells["sft-rlkd-s0"], tmp_path).config.rl.optimizer.learning_rate == 3e-4
    trial = cells["tune-sft-rlkd-0.0001-s100"]
    assert settled(trial, tmp_path) is trial


def test_a_trial_that_ran_with_other_settings_does_not_count(tmp_path: Path) -> None:
    for cell in plan_experiment(experiment(methods=["sft+rlkd"])):
        if cell.trial is not None:
            finish(cell, tmp_path, 5)
    changed = by_name(experiment(methods=["sft+rlkd"], settings={"rl": {"steps": 7}}))
    with pytest.raises(StageError, match="not chosen yet"):
        settled(changed["sft-rlkd-s0"], tmp_path)


def test_only_validation_figures_choose(tmp_path: Path) -> None:
    cells = by_name(experiment(methods=["sft+rlkd"]))
    for cell in cells.values():
        if cell.trial is not None:
            finish(cell, tmp_path, 5, split="test")
    with pytest.raises(StageError, match="not chosen yet"):
        settled(cells["sft-rlkd-s0"], tmp_path)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(1, 0.2), (2, 0.3)], 2),
        ([(1, 0.3), (2, 0.3)], 1),  # equal: the first
        # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in their last digit: equal all the same.
        ([(1, 0.3), (1, 0.2), (1, 0.1), (2, 0.1), (2, 0.2), (2, 0.3)], 1),
        ([(None, 0.1), ("a", 0.2), (None, 0.4)], None),  # 0.25 against 0.2
    ],
)
def test_ties_go_to_the_first_value(scores: Any, best: Any) -> None:
    assert best_value(scores) == best


def test_a_trial_follows_the_trial_at_the_same_place() -> None:
    cells = by_name(experiment(methods=["sft-more", "sft+rlkd", "rft", "rft-2"]))
    assert (
        cells["tune-sft-more-0.001-s100"].follows == "tune-sft-rlkd-0.0003-s100"
    )  # the second value of each
    assert cells["tune-rft-2-0.0005-s101"].follows == "tune-rft-0.0005-s101"
    assert cells["sft-more-s0"].follows == "sft-rlkd-s0"
    from tasks.experiment import _waves

    waves = [[cell.name for cell in wave] for wave in _waves(list(cells.values()))]
    where = {name: i for i, wave in enumerate(waves) for name in wave}
    assert where["tune-sft-rlkd-0.0003-s100"] == 0
    assert where["tune-sft-more-0.001-s100"] == where["sft-rlkd-s0"] == 1
    assert where["sft-more-s0"] == 2


def test_the_report_shows_what_was_tried(tmp_path: Path) -> None:
    config = experiment(methods=["base", "sft+rlkd"], seeds=[0])
    cells = plan_experiment(config)
    right = {"0.0001": 6, "0.0003": 3}
    for cell in cells:
        if cell.trial is not None:
            finish(cell, tmp_path, right[str(cell.trial.value)])
    finish(next(cell for cell in cells if cell.name == "base-s0"), tmp_path, 1, split="test")
    chosen = settled(next(cell for cell in cells if cell.name == "sft-rlkd-s0"), tmp_path)
    finish(chosen, tmp_path, 9, split="test")
    report = read_experiment(config, cells, tmp_path)
    assert [cell.cell for cell in report.cells] == ["base-s0", "sft-rlkd-s0"]  # trials are not ranked
    assert [(row.method, row.value, row.score, row.chosen) for row in report.tuning] == [
        ("base", None, None, False),
        ("sft+rlkd", 1e-4, 0.6, True),
        ("sft+rlkd", 3e-4, 0.3, False),
    ]
    assert report.tuning[1].at_edge  # the smaller of two
    assert report.tuning[1].per_seed == {"100": 0.6, "101": 0.6}
    page = render_experiment(report)
    assert "nothing to tune" in page
    assert "60.0%" in page
    assert "at the edge" in page


def test_a_failed_trial_is_shown(tmp_path: Path) -> None:
    config = experiment(methods=["sft+rlkd"], seeds=[0])
    report = read_experiment(
        config, plan_experiment(config), tmp_path, {"tune-sft-rlkd-0.0001-s100": "the loss is NaN"}
    )
    assert report.tuning[0].missing == ("tune-sft-rlkd-0.0001-s100", "tune-sft-rlkd-0.0001-s101")
    assert not any(row.chosen for row in report.tuning)
    assert "not chosen yet" in report.cells[0].error
    assert "the loss is NaN" in render_experiment(report)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [0, 100]}, "tune.seeds has seed 100, which is compared as well; tune on other seeds"),
        ({"tune": {"values": {"rl.kl": [0.0, 0.1], "rl.steps": [1, 2, 3]}, "seeds": [9]}}, "rl.kl 2, rl.steps 3"),
        ({"tune": {"values": {"rl.kl": [0.1]}, "seeds": [9]}}, "rl.kl has 1 values"),
        ({"tune": {"values": {"rl.kl": [0.1, 0.1]}, "seeds": [9]}}, "rl.kl has 0.1 twice"),
        ({"tune": {"values": {}, "seeds": [9]}}, "values"),
        ({"tune": {**TUNE, "seeds": []}}, "seeds"),
        ({"tune": {**TUNE, "metric": "test accuracy"}}, "validation accuracy"),
    ],
)  # fmt: skip
def test_what_tuning_may_not_say(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        experiment(**changes)


def test_a_value_that_is_wrong_or_set_elsewhere_is_a_fault_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cell tune-sft-rlkd-1-s100: .*rl.optimizer.learning_rate"):
        plan_experiment(
            experiment(
                methods=["sft+rlkd"], tune={"values": {"rl.optimizer.learning_rate": [-1, 1]}, "seeds": [100]}
            )
        )
    own = tmp_path / "own.yaml"
    own.write_text("rl: {optimizer: {learning_rate: 0.1}}\n")
    with pytest.raises(ConfigError, match=r"rl.optimizer.learning_rate is tuned, but method own sets it"):
        plan_experiment(experiment(methods=[str(own)]))
    with pytest.raises(ConfigError, match=r"rl.optimizer.learning_rate is tuned, but the grid sets it"):
        plan_experiment(experiment(methods=["sft+rlkd"], grid={"rl.optimizer.learning_rate": [0.1, 0.2]}))
    with pytest.raises(
        ConfigError, match=r"2 cells \(tune-sft-rlkd-1-s100 to tune-sft-rlkd-2-s100\): .*rl.nonsense"
    ):
        plan_experiment(
            experiment(methods=["sft+rlkd"], tune={"values": {"rl.nonsense": [1, 2]}, "seeds": [100]})
        )
