"""Cells of an experiment, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.configure import configure_experiment, method_folder, plan_experiment, preset_folder
from rlkd.config.layers import overlay
from rlkd.errors import ConfigError
from rlkd.experiments.plan import plan_cells
from rlkd.student.checkpoints import demo_base_folder
from rlkd.worlds.splits import make_splits
from schemas.config.data import WorldData
from schemas.config.experiment import ExperimentConfig
from tasks.experiment import planned_stages

METHODS = sorted(e.name.removesuffix(".yaml") for e in method_folder().iterdir() if e.name.endswith(".yaml"))


def experiment(**changes: Any) -> ExperimentConfig:
    values = {"name": "x", "base": "demo", "methods": ["sft+grpo", "sft+rlkd"], "seeds": [0, 1], **changes}
    return ExperimentConfig.model_validate(values)


def test_cells_are_settings_by_seeds_by_methods() -> None:
    cells = plan_experiment(experiment(grid={"rl.steps": [5, 10]}))
    assert [cell.name for cell in cells] == [
        f"{method}-{steps}-s{seed}"
        for steps in (5, 10)
        for seed in (0, 1)
        for method in ("sft-grpo", "sft-rlkd")
    ]
    first = cells[0]
    assert (first.config.rl.steps, first.config.rewards.alpha, first.config.seed) == (5, 0, 0)
    assert first.config.name == first.name
    assert first.setting == "steps 5"


def test_every_method_is_valid_over_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="environment variable RLKD_TEACHER is not set"):
        plan_experiment(experiment(methods=["opd", "sft+grpo"], seeds=[0]))
    monkeypatch.setenv("RLKD_TEACHER", "builtin:demo-base")
    cells = plan_experiment(experiment(methods=METHODS, seeds=[3]))
    assert len(cells) == len(METHODS) >= 12
    configs = {cell.method: cell.config for cell in cells}
    assert configs["shuffled-teacher"].rl.shuffle_teachers
    assert configs["prefix"].structures.alignment.type == "prefix"
    assert "similarity" in {name for name, _, _ in configs["similarity"].rewards.terms()}
    assert not configs["base"].rl.enabled
    assert not configs["base"].warm_start.enabled
    assert configs["structure-only"].rewards.alpha == 1
    assert configs["opd"].rl.objective.distil is not None


def test_named_settings_are_an_axis() -> None:
    grid = {"regime": {"sparse": {"warm_start": {"traces": 4}}, "dense": {}}}
    cells = plan_experiment(experiment(methods=["sft+rlkd"], seeds=[0], grid=grid))
    assert [(cell.name, cell.config.warm_start.traces) for cell in cells] == [
        ("sft-rlkd-sparse-s0", 4),
        ("sft-rlkd-dense-s0", None),
    ]


def test_methods_of_a_seed_share_what_comes_before_they_differ() -> None:
    cells = plan_experiment(experiment(methods=["sft", "sft+grpo", "sft+rlkd"], seeds=[0, 1]))
    shared: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        for stage, key in planned_stages(cell).items():
            shared.setdefault(stage, {}).setdefault(key, []).append(cell.name)
    for stage in ("data", "traces", "structures", "warm_start"):
        assert sorted(map(sorted, shared[stage].values())) == [
            [f"{m}-s{seed}" for m in ("sft-grpo", "sft-rlkd", "sft")] for seed in (0, 1)
        ]
    assert len(shared["rl"]) == 4  # two methods with RL, two seeds
    assert "rl" not in planned_stages(cells[0])


def test_all_wrong_cells_are_named_before_anything_starts() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_experiment(
            experiment(
                methods=["sft+rlkd", "sft+rlkdd"],
                grid={"rl.steps": [0, 5, -1]},
                settings={"rl": {"micro_batch": None}},
            )
        )
    lines = str(caught.value).splitlines()
    assert "3 faults" in lines[0]
    assert sum("no method 'sft+rlkdd'" in line for line in lines) == 1
    # What is wrong with the cells of both seeds is said once.
    assert (
        sum("2 cells (sft-rlkd-0-s0 to sft-rlkd-0-s1): " in line and "rl.steps" in line for line in lines)
        == 1
    )
    assert sum("2 cells (sft-rlkd-1-s0 to sft-rlkd-1-s1): " in line for line in lines) == 1


def test_methods_that_are_evaluated_otherwise_are_not_compared(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("evaluate: {max_problems: 7, checkpoints: [rlkd]}\n")
    planned = experiment(
        methods=["sft+rlkd", str(other)], compare={"metric": "accuracy", "family": [["sft+rlkd", "other"]]}
    )
    with pytest.raises(
        ConfigError, match=r"sft\+rlkd and other cannot be compared: they differ in evaluate.max_problems"
    ):
        plan_cells(planned, method_folder(), preset_folder())


def test_methods_on_other_shares_of_the_training_problems_are_compared(tmp_path: Path) -> None:
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text("data: {world: {n_train: 5}}\n")
    compare = {"metric": "accuracy", "family": [["sft+rlkd", "fewer"]]}
    cells = plan_cells(
        experiment(methods=["sft+rlkd", str(fewer)], compare=compare), method_folder(), preset_folder()
    )
    worlds = {}
    for cell in cells:
        assert isinstance(cell.config.data, WorldData)
        worlds[cell.method] = make_splits(cell.config.data.world, seed=0)
    assert (len(worlds["fewer"]["train"]), len(worlds["sft+rlkd"]["train"])) == (5, 48)
    for split in ("validation", "test", "ood"):
        assert worlds["fewer"][split] == worlds["sft+rlkd"][split]
    assert worlds["fewer"]["train"] == worlds["sft+rlkd"]["train"][:5]
    fewer.write_text("data: {world: {n_test: 5}}\n")
    with pytest.raises(ConfigError, match=r"differ in data.world.n_test"):
        plan_cells(
            experiment(methods=["sft+rlkd", str(fewer)], compare=compare), method_folder(), preset_folder()
        )


def test_structure_of_another_alignment_is_not_compared() -> None:
    compare = {"metric": "structure", "family": [["sft+rlkd", "prefix"]]}
    with pytest.raises(ConfigError, match=r"differ in structures.alignment"):
        plan_experiment(experiment(methods=["sft+rlkd", "prefix"], compare=compare))
    plan_experiment(experiment(methods=["sft+rlkd", "prefix"], compare={**compare, "metric": "accuracy"}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"seeds": [0], "compare": {"metric": "accuracy", "family": [["sft+rlkd", "sft+grpo"]]}},
            "at least two seeds",
        ),
        ({"compare": {"family": [["sft+rlkd", "sft+grpo"]]}}, "metric"),
        ({"compare": {"metric": "accuracy", "family": [["sft+rlkd", "sft"]]}}, "not among the methods"),
        ({"compare": {"metric": "accuracy", "family": []}}, "family"),
        ({"compare": {"metric": "accuracy", "family": [["sft+rlkd", "sft+rlkd"]]}}, "with itself"),
        ({"seeds": [1, 1]}, "named twice"),
        ({"grid": {"rl.steps": []}}, "has no values"),
    ],
)
def test_what_an_experiment_may_not_say(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        experiment(**changes)


def test_a_section_of_another_type_replaces_the_one_below() -> None:
    below = {"judge": {"type": "rules", "symbolic": True}, "rl": {"steps": 1, "kl": 0}}
    above = {"judge": {"type": "embedding", "model": "m"}, "rl": {"steps": 2}}
    assert overlay(below, above) == {
        "judge": {"type": "embedding", "model": "m"},
        "rl": {"steps": 2, "kl": 0},
    }
    assert below["rl"] == {"steps": 1, "kl": 0}


def test_a_student_that_is_not_there_is_a_fault_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLKD_BASES", raising=False)
    with pytest.raises(ConfigError, match="the environment variable RLKD_BASES is not set") as caught:
        plan_experiment(configure_experiment("sizes"))
    # Two of the three sizes: two methods, three seeds, and a trial of each of three values.
    first, second = str(caught.value).splitlines()
    assert first == "experiment sizes: 1 fault"
    assert second.startswith(
        f"  - {2 * 2 * (3 + 3)} cells (tune-grpo-zero-0.3-M-0.0001-s100 to credit-zero-5-M-s2): "
    )
    monkeypatch.setenv("RLKD_BASES", str(tmp_path))
    with pytest.raises(ConfigError, match=r"there is no checkpoint folder at .*/0.3M"):
        plan_experiment(configure_experiment("sizes"))
    (tmp_path / "0.3M").mkdir()
    with pytest.raises(ConfigError, match=r"0.3M: the checkpoint is incomplete, it lacks config.json"):
        plan_experiment(configure_experiment("sizes"))


def test_the_shipped_experiments_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLKD_TEACHER", "builtin:demo-base")
    for size in ("0.3M", "5M"):
        (tmp_path / size).symlink_to(demo_base_folder())
    monkeypatch.setenv("RLKD_BASES", str(tmp_path))
    names = [e.name.removesuffix(".yaml") for e in (preset_folder() / "experiments").iterdir()]
    assert "evidence-quick" in names
    assert {
        "headline",
        "sparse",
        "regimes",
        "controls",
        "controls-sparse",
        "objectives",
        "ablations",
        "noise",
        "costs",
        "scale",
        "teacher-traces",
    } <= set(names)
    assert {"distillation", "sizes"} <= set(names)
    for name in names:
        config = configure_experiment(name)
        assert config.name == name
        assert plan_experiment(config)


def test_a_variant_has_a_name_of_its_own() -> None:
    wrong = {"similarity": {"rewards": {"alpha": 0}}, "mine": {"rewards": {"alpha": 0.2}}}
    with pytest.raises(
        ConfigError,
        match=r"1 fault\n  - variant similarity has the name of a method .* \(similarity-sft\+rlkd\)",
    ):
        plan_experiment(
            experiment(methods=["sft+rlkd"], variant_of="sft+rlkd", variants=wrong, compare=None, seeds=[0])
        )


def test_a_family_needs_resamples_for_its_level() -> None:
    # 3 settings x 1 pair: 2 x 3 / 0.05 = 120; the least p of 200 resamples is 2 / 201, times 3 = 0.0299.
    compare = {"metric": "accuracy", "family": [["sft+rlkd", "sft+grpo"]], "resamples": 200}
    grid = {"rl.temperature": [0.5, 0.7, 1.0]}
    assert plan_experiment(experiment(methods=["sft+grpo", "sft+rlkd"], grid=grid, compare=compare))
    with pytest.raises(
        ConfigError,
        match=r"200 resamples and 3 comparisons no corrected p-value is below 0\.03, .* more than 601",
    ):
        # 2 x 3 / 0.01 = 600
        plan_experiment(
            experiment(methods=["sft+grpo", "sft+rlkd"], grid=grid, compare={**compare, "level": 0.01})
        )


def test_files_of_another_kind_are_sent_to_their_command() -> None:
    from flows.configure import configure

    with pytest.raises(ConfigError, match="rlkd run demo"):
        configure_experiment("demo")
    with pytest.raises(ConfigError, match="rlkd experiment evidence-quick"):
        configure("evidence-quick")


def test_cells_follow_the_first_method_that_is_there() -> None:
    cells = {c.name: c for c in plan_experiment(experiment(methods=["sft-more", "sft+grpo", "rft-2", "rft"]))}
    assert (cells["sft-more-s1"].follows, cells["sft-more-s1"].takes) == ("sft-grpo-s1", "flops_of")
    assert (cells["rft-2-s0"].follows, cells["rft-2-s0"].takes) == ("rft-s0", "student_of")
    alone = plan_experiment(experiment(methods=["sft-more"], seeds=[0]))
    assert (alone[0].follows, alone[0].config.warm_start.max_epochs) == ("", 320)
    with pytest.raises(ConfigError, match="method rft-2 goes on from the student of rft, which is not among"):
        plan_experiment(experiment(methods=["rft-2"], seeds=[0]))


def test_methods_that_wait_for_each_other_are_a_fault(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one"), ("itself", "itself")):
        (tmp_path / f"{name}.yaml").write_text(f"experiment: {{student_of: {other}}}\n")
    files = [str(tmp_path / f"{name}.yaml") for name in ("one", "two")]
    with pytest.raises(
        ConfigError, match="1 fault\n  - methods one and two each take something of the other"
    ):
        plan_experiment(experiment(methods=files, seeds=[0], compare=None))
    with pytest.raises(
        ConfigError, match=r"method itself: experiment.student_of names itself, which is the method itself"
    ):
        plan_experiment(experiment(methods=[str(tmp_path / "itself.yaml")], seeds=[0], compare=None))


def test_what_follows_comes_in_a_later_wave() -> None:
    from tasks.experiment import _waves

    cells = plan_experiment(experiment(methods=["sft-more", "sft+rlkd"], seeds=[0, 1]))
    assert [[cell.name for cell in wave] for wave in _waves(cells)] == [
        ["sft-rlkd-s0", "sft-rlkd-s1"],
        ["sft-more-s0", "sft-more-s1"],
    ]


def test_an_unknown_key_of_a_method_s_section_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("experiment: {copy_of: sft}\n")
    with pytest.raises(ConfigError, match="its section `experiment` names one of flops_of, student_of"):
        plan_experiment(experiment(methods=[str(tmp_path / "odd.yaml")], seeds=[0], compare=None))


def test_variants_differ_from_their_method_in_what_they_set() -> None:
    config = experiment(
        variant_of="sft+rlkd", variants={"alpha-1": {"rewards": {"alpha": 1}}}, seeds=[0],
        compare={"metric": "accuracy", "family": [["sft+rlkd", "alpha-1"]], "over": "problems"},
    )  # fmt: skip
    cells = {cell.method: cell.config for cell in plan_experiment(config)}
    assert list(cells) == ["sft+grpo", "sft+rlkd", "alpha-1"]
    assert (cells["sft+rlkd"].rewards.alpha, cells["alpha-1"].rewards.alpha) == (0.5, 1)
    assert cells["alpha-1"].warm_start == cells["sft+rlkd"].warm_start
    with pytest.raises(ValueError, match="variants differ from variant_of, which is not set; name one of"):
        experiment(variants={"x": {}})
    with pytest.raises(ValueError, match=r"variants\.sft\+grpo has the name of a method; rename it"):
        experiment(variant_of="sft+rlkd", variants={"sft+grpo": {}})
