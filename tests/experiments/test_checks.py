"""What is wrong with the cells of an experiment together; each is told before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.configure import plan_experiment
from rlkd.errors import ConfigError
from schemas.config.experiment import ExperimentConfig

FAMILY = {"metric": "accuracy", "family": [["grpo-zero", "sft"]]}


def faults(**changes: Any) -> list[str]:
    values = {
        "name": "x", "base": "demo", "methods": ["sft", "grpo-zero"], "seeds": [0, 1], "compare": FAMILY, **changes
    }  # fmt: skip
    try:
        plan_experiment(ExperimentConfig.model_validate(values))
    except ConfigError as error:
        return [line.removeprefix("  - ") for line in str(error).splitlines()[1:]]
    return []


def test_an_experiment_without_faults_is_planned() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"settings": {"seed": 3}}, "settings sets seed"),
        ({"grid": {"seed": [5, 6]}}, "the grid sets seed"),
        ({"variant_of": "sft", "variants": {"a": {"seed": 7}}}, "method a sets seed"),
        ({"grid": {"who": {"one": {"name": "x"}, "two": {"rl": {"steps": 3}}}}}, "the grid sets name"),
        ({"tune": {"values": {"seed": [1, 2]}, "seeds": [9]}}, "tune.values sets seed"),
    ],
)
def test_seeds_and_names_are_set_in_one_place(changes: dict[str, Any], where: str) -> None:
    assert any(fault.startswith(where) for fault in faults(**changes))


def test_what_differs_in_nothing_is_not_compared() -> None:
    twin = {"variant_of": "sft", "variants": {"twin": {}}}
    assert faults(**twin, compare=None) == []  # a table of both is only a table
    assert faults(**twin, compare={**FAMILY, "family": [["twin", "sft"]]}) == [
        "methods twin and sft are the same: they differ in no setting; take one out, or change what should differ"
    ]
    # Outcome only has alpha 0 and SFT no reward: the axis changes neither.
    assert faults(
        grid={"rewards.alpha": [0, 0.5]},
        methods=["base", "grpo-zero"],
        compare={**FAMILY, "family": [["grpo-zero", "base"]]},
    ) == [
        "settings alpha 0 and alpha 0.5 are the same: they differ in no setting; take one out, or change what should differ"
    ]
    # The same in one setting only is no fault: at alpha 0 RLKD is outcome only.
    axis = {"rewards": {"alpha": 0, "guessed": 1}, "rl": {"objective": {"step_credit": 0}}}
    grid = {"alpha": {"0": axis, "0.5": {"rewards": {"alpha": 0.5}}}}
    assert (
        faults(
            grid=grid,
            methods=["rlkd-zero", "grpo-zero"],
            compare={**FAMILY, "family": [["rlkd-zero", "grpo-zero"]]},
        )
        == []
    )


def test_a_split_that_is_compared_is_evaluated_and_has_problems() -> None:
    assert faults(settings={"evaluate": {"splits": ["ood"]}}) == [
        f"compare.split is test, which evaluate.splits leaves out for method {method}; add it, or compare another split"
        for method in ("sft", "grpo-zero")
    ]
    assert faults(settings={"data": {"world": {"n_test": 0}}}) == [
        "there are no test problems to compare on; make some, or compare another split"
    ]
    grid = {"size": {"none": {"data": {"world": {"n_ood": 0}}}, "some": {"data": {"world": {"n_ood": 5}}}}}
    assert faults(grid=grid, compare={**FAMILY, "split": "ood"}) == [
        "there are no ood problems to compare on with size none; make some, or compare another split"
    ]


def test_a_method_is_judged_by_the_student_that_it_ends_with() -> None:
    change = {"variant_of": "grpo-zero", "variants": {"first": {"evaluate": {"checkpoints": ["base"]}}}}
    assert faults(**change) == [
        "method first ends with the student rlkd, which evaluate.checkpoints leaves out; add it there"
    ]


def test_a_method_goes_on_from_a_student_that_was_trained(tmp_path: Path) -> None:
    (tmp_path / "next.yaml").write_text("experiment: {student_of: base}\n")
    assert faults(methods=["base", str(tmp_path / "next.yaml")], compare=None) == [
        "method next goes on from the student of base, which trains none; name a method that does"
    ]


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (
            "flops_of: zzz",
            "experiment.flops_of names zzz, which is no method of this experiment; mend the name",
        ),
        ("flops_of: odd", "experiment.flops_of names odd, which is the method itself; mend the name"),
        ("flops_of: 3", "experiment.flops_of is 3; name a method, or several in a list"),
        ("student_of: null", "experiment.student_of is None; name a method, or several in a list"),
        ("flops_of: []", "experiment.flops_of is []; name a method, or several in a list"),
    ],
)
def test_what_a_method_takes_is_of_a_method(tmp_path: Path, section: str, fault: str) -> None:
    (tmp_path / "odd.yaml").write_text(f"experiment: {{{section}}}\n")
    assert faults(methods=["sft", str(tmp_path / "odd.yaml")], compare=None) == [f"method odd: {fault}"]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"foo.bar": [1, 2]}, "tune.values: foo.bar is no setting; there is no section foo"),
        (
            {"data.world.n_test": [10, 20]},
            "tune.values: data.world.n_test changes what is evaluated; tune what a method is trained with",
        ),
        (
            {"evaluate.temperature": [0.5, 1]},
            "tune.values: evaluate.temperature changes what is evaluated; tune what a method is trained with",
        ),
        (
            {"gsrm.steps": [1, 2]},
            "tune.values: gsrm.steps is no setting; there is no section gsrm",
        ),
    ],
)
def test_what_is_tuned_is_trained_with(values: dict[str, list[Any]], fault: str) -> None:
    assert fault in faults(tune={"values": values, "seeds": [9]})


def test_a_method_without_anything_to_tune_and_no_other() -> None:
    tune = {"values": {"rl.temperature": [0.5, 1]}, "seeds": [9]}
    assert faults(tune=tune) == []  # grpo-zero has RL
    assert faults(tune=tune, methods=["base", "sft"], compare=None) == [
        "tune.values: no method trains with rl.temperature; tune a section that one does, or take tune out"
    ]


def test_values_are_chosen_on_validation_problems() -> None:
    found = faults(
        settings={
            "data": {"world": {"n_validation": 0}},
            "rl": {"eval_every": None},
            "warm_start": {"enabled": False},
        },
        methods=["grpo-zero", "rlkd-zero"],
        tune={"values": {"rl.temperature": [0.5, 1]}, "seeds": [9]},
        compare=None,
    )
    assert any(fault.startswith("tune: there are no validation problems to choose by") for fault in found)


def test_labels_make_names_of_folders() -> None:
    long = "x" * 230
    assert faults(grid={"who": {long: {"rl": {"steps": 3}}}})[0].startswith("cell sft-xxxx")
    greek = {
        "who": {
            "\N{GREEK SMALL LETTER ALPHA}": {"rl": {"steps": 3}},
            "\N{GREEK SMALL LETTER BETA}": {"rl": {"steps": 4}},
        }
    }
    assert (
        "two cells would be called sft-s0 (sft, \N{GREEK SMALL LETTER ALPHA} and sft, \N{GREEK SMALL LETTER BETA}); "
        "rename a method or a value of the grid, in Latin letters or digits"
    ) in faults(grid=greek)


def test_a_seed_is_one_that_every_library_takes() -> None:
    with pytest.raises(ValueError, match="4294967295"):
        faults(seeds=[2**32])
    with pytest.raises(ValueError, match="100 is named twice"):
        faults(tune={"values": {"rl.temperature": [0.5, 1]}, "seeds": [100, 100]})


def test_a_fault_of_the_grid_names_the_axis_also_where_another_one_replaces_it() -> None:
    grid = {"regime": {"a": {"rl": 3}, "b": {}}, "rl.steps": [1, 0]}
    assert faults(grid=grid, seeds=[0], compare=None, methods=["grpo-zero"]) == [
        "cell grpo-zero-a-1-s0: grid.regime.a: rl must be a section of settings, not 3",
        "cell grpo-zero-a-0-s0: grid.regime.a: rl must be a section of settings, not 3; grid.rl.steps: rl.steps must be at least 1, not 0",
        "cell grpo-zero-b-0-s0: grid.rl.steps: rl.steps must be at least 1, not 0",
    ]
