"""Loading configurations: every fault at once, each with its place and its mend."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlkd.config.load import (
    config_digest,
    config_json_schema,
    load_config,
    load_experiment_config,
    load_gsrm_config,
    parse_config,
    presets,
    resolved_yaml,
)
from rlkd.errors import ConfigError
from schemas.config.pipeline import PipelineConfig

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "flows" / "presets"
described = functools.cache(presets)
MINIMAL = "name: x\ndata: {type: world}\n"


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def faults(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, PRESETS)
    head, *lines = str(caught.value).splitlines()
    assert head.startswith(f"{path}: {len(lines)} fault")
    return [line.removeprefix("  - ").replace(path, "c.yaml") for line in lines]


def test_a_sparse_file_states_only_differences(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL + "rl: {steps: 7}\n"))
    assert config.rl.steps == 7
    assert config.rl.group_size == PipelineConfig.model_fields["rl"].default.group_size


def test_overrides_are_yaml_and_win(tmp_path: Path) -> None:
    overrides = [
        "rl.steps=9",
        "rl.kl=1e-3",
        "evaluate.pass_at=[1, 2]",
        "student.lora={rank: 4}",
        "rl.clip_high=null",
        "report.title=",
    ]
    config = load_config(write(tmp_path, MINIMAL + "rl: {steps: 7}\n"), overrides)
    assert (config.rl.steps, config.rl.kl, config.evaluate.pass_at, config.rl.clip_high) == (
        9,
        0.001,
        (1, 2),
        None,
    )
    assert config.student.lora is not None
    assert config.student.lora.rank == 4
    assert config.report.title == ""


def test_an_override_of_a_section_replaces_it(tmp_path: Path) -> None:
    text = "name: x\ndata: {type: file, path: p, columns: {traces: [a]}}\ntraces: {teacher: {type: column}}\n"
    config = load_config(write(tmp_path, text), ["data={type: world}", "traces.teacher.type=world"])
    assert config.data.type == "world"


def test_every_fault_is_reported_at_once_with_line_and_mend(tmp_path: Path) -> None:
    text = """\
name: bad name
sed: 3
data:
  type: wurld
rl:
  stepz: 3
  learning_rate: 1
  steps: ten
  group_size: 1
  loss: grop
student:
  model: {typ: fresh}
  lora: 5
warm_start: 3
"""
    assert faults(tmp_path, text) == [
        "c.yaml, line 1: name must match ^[A-Za-z0-9][A-Za-z0-9._-]*$, not 'bad name'",
        "c.yaml, line 2: sed is no setting; did you mean seed?",
        "c.yaml, line 4: data.type must be one of world, file, hub, reasoning_gym, benchmark, python, mixture, not 'wurld'; did you mean 'world'?",
        "c.yaml, line 6: rl.stepz is no setting; did you mean rl.steps?",
        "c.yaml, line 7: rl.learning_rate is no setting; did you mean rl.optimizer.learning_rate?",
        "c.yaml, line 8: rl.steps must be a whole number, not 'ten'",
        "c.yaml, line 9: rl.group_size must be at least 2, not 1",
        "c.yaml, line 10: rl.loss must be 'grpo', 'dr_grpo', 'dapo' or 'bnpo', not 'grop'; did you mean 'grpo'?",
        "c.yaml, line 12: student.model.type is missing; set it to one of checkpoint, fresh",
        "c.yaml, line 13: student.lora must be a section of settings, not 5",
        "c.yaml, line 14: warm_start must be a section of settings, not 3",
    ]


def test_what_does_not_go_together_is_said_beside_what_is_wrong_by_itself(tmp_path: Path) -> None:
    text = """\
name: bad name
data: {type: file, pth: x, path: p}
traces: {teacher: {type: none}}
warm_start: {enabled: true}
rl: {steps: true, fooo: 1}
rewards: {alpha: 3}
student: {prompt: hi}
evaluate: {samples: 2, pass_at: [1, 4]}
"""
    assert faults(tmp_path, text) == [
        "c.yaml, line 1: name must match ^[A-Za-z0-9][A-Za-z0-9._-]*$, not 'bad name'",
        "c.yaml, line 2: data.pth is no setting; did you mean data.path?",
        "c.yaml, line 4: warm_start.enabled is true, but traces.teacher.type is 'none'; set it to false",
        "c.yaml, line 5: rl.steps must be a number, not true",
        "c.yaml, line 5: rl.fooo is no setting; rl has "
        + ", ".join(type(PipelineConfig.model_fields["rl"].default).model_fields),
        "c.yaml, line 6: rewards.alpha must be at most 1.0, not 3",
        "c.yaml, line 7: student.prompt has no {question}, so the student would not see the problem; put it in",
        "c.yaml, line 8: evaluate.pass_at asks for pass@4 of 2 samples; raise evaluate.samples or drop it",
    ]


def test_faults_inside_alternatives_name_the_keys_as_written(tmp_path: Path) -> None:
    text = """\
name: x
data:
  type: file
  pth: y
  files: {trian: a}
  answer_pattern: "(("
student:
  lora: {target_modules: 5}
"""
    assert faults(tmp_path, text) == [
        "c.yaml, line 2: data.path is missing; set it",
        "c.yaml, line 4: data.pth is no setting; did you mean data.path?",
        "c.yaml, line 5: data.files.trian must be 'train', 'validation', 'test' or 'ood', not 'trian'; did you mean 'train'?",
        "c.yaml, line 6: data.answer_pattern is wrong: '((' is no regular expression (missing ), unterminated subpattern at position 1)",
        "c.yaml, line 8: student.lora.target_modules must be text or a list, not 5",
    ]


def test_faults_in_overrides_name_the_override(tmp_path: Path) -> None:
    found = faults(
        tmp_path, MINIMAL, "rl.stepz=3", "rl.steps=ten", "nonsense", "rl.kl=[", "name.x=3", "a.b.c=1"
    )
    assert sorted(found) == [
        f"--set a.b.c=1: a is no setting; the file has {', '.join(PipelineConfig.model_fields)}",
        "--set name.x=3: name.x is no setting; name is a value, not a section",
        "--set nonsense: it is not of the form a.b.c=value",
        "--set rl.kl=[: rl.kl must be a number, not '['",
        "--set rl.steps=ten: rl.steps must be a whole number, not 'ten'",
        "--set rl.stepz=3: rl.stepz is no setting; did you mean rl.steps?",
    ]


def test_a_setting_of_another_type_says_whose_it_is(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, "name: x\ndata: {type: world, columns: {}}\n")
    assert "data.columns belongs to data.type file or hub, but data.type is 'world'" in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("data: {type: file, path: p}", "traces.teacher.type is 'world', but data.type is 'file'"),
        ("data: {type: file, path: p}\ntraces: {teacher: {type: column}}", "data.columns.traces is empty"),
        (
            "data: {type: world}\ntraces: {teacher: {type: column}}",
            "traces.teacher.type is 'column', but data.type is 'world'",
        ),
        ("data: {type: reasoning_gym, dataset: chain_sum}", "reasoning_gym data has no teacher traces"),
        (
            "data: {type: world}\ntraces: {teacher: {type: none}}\nrl: {enabled: false}",
            "warm_start.enabled is true",
        ),
        (
            "data: {type: world}\ntraces: {teacher: {type: none}}\nwarm_start: {enabled: false}",
            "rewards.alpha is above 0",
        ),
        ("data: {type: world}\nstudent: {prompt: hi}", "student.prompt has no {question}"),
        (
            "data: {type: world}\nstudent: {model: {type: fresh, width: 130}}",
            "student.model.heads 4 does not divide width 130",
        ),
        (
            "data: {type: world}\nstudent: {model: {type: fresh, context: 100}}",
            "student.model.context 100 is shorter than",
        ),
        (
            "data: {type: world}\nevaluate: {samples: 4, pass_at: [8]}",
            "evaluate.pass_at asks for pass@8 of 4 samples",
        ),
        ("data: {type: world}\nrl: {steps: true}", "rl.steps must be a number, not true"),
        ("data: {type: world}\nrl: {micro_batch: 7}", "micro_batch 7 must divide"),
        (
            "data: {type: file, path: p, columns: {traces: [a]}}\ntraces: {teacher: {type: column}}\nstructures: {decomposer: {type: world}}",
            "structures.decomposer.type is 'world'",
        ),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, text: str, fault: str) -> None:
    found = faults(tmp_path, f"name: x\n{text}\n")
    assert any(fault in line for line in found), found


def test_evaluation_only_on_reasoning_gym_is_valid(tmp_path: Path) -> None:
    text = """\
name: x
data: {type: reasoning_gym, dataset: chain_sum}
traces: {teacher: {type: none}}
warm_start: {enabled: false}
rl: {enabled: false}
"""
    assert load_config(write(tmp_path, text)).data.type == "reasoning_gym"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nrl: {steps: 1\n", "line 3: not valid YAML"),
        ("name: x\nname: y\n", "line 2: name is set twice"),
        ("rl: {steps: 1, steps: 2}\n", "line 1: rl.steps is set twice"),
        ("- a\n", "a configuration is a mapping of settings, not a list"),
        ("a: &x [*x]\n", "nested too deeply"),
        ("!!python/object:os.system {}\n", "not valid YAML"),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_an_empty_file_misses_what_has_no_default(tmp_path: Path) -> None:
    found = faults(tmp_path, "")
    assert [line.split(": ", 1)[1] for line in found] == [
        "name is missing; set it",
        "data is missing; set it",
    ]


def test_missing_files_and_presets(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file"):
        load_config(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match="did you mean 'gsm8k-smoke'"):
        load_config("gsm8k-smok", preset_folder=PRESETS)
    with pytest.raises(ConfigError, match="neither a preset nor a file; give the path"):
        load_config("gsm8k-smoke")
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is UTF-16 text; save it as UTF-8"):
        load_config(str(binary))


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_loads_describes_itself_and_survives_resolving(tmp_path: Path, preset: str) -> None:
    config = load_config(preset, preset_folder=PRESETS)
    assert config.name == preset
    assert described(PRESETS)[preset] == config.description != ""
    again = load_config(write(tmp_path, resolved_yaml(config)))
    assert again == config
    assert config_digest(again) == config_digest(config)


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("gsrm/*.yaml")))
def test_every_preset_for_a_gsrm_loads_and_survives_resolving(tmp_path: Path, preset: str) -> None:
    config = load_gsrm_config(preset, preset_folder=PRESETS / "gsrm")
    assert config.name == preset
    assert described(PRESETS / "gsrm")[preset] == config.description != ""
    assert load_gsrm_config(write(tmp_path, resolved_yaml(config))) == config


def test_a_file_of_another_kind_names_its_command() -> None:
    with pytest.raises(ConfigError, match="training of a GSRM; give it to `rlkd train-gsrm`"):
        load_config(str(PRESETS / "gsrm" / "gsrm-world.yaml"))
    with pytest.raises(ConfigError, match=r"configures a distillation .*; give it to `rlkd run`"):
        load_gsrm_config(str(PRESETS / "demo.yaml"))
    with pytest.raises(ConfigError, match="did you mean 'gsrm-world'"):
        load_gsrm_config("gsrm-wrld", preset_folder=PRESETS / "gsrm")


def test_the_digest_follows_meaning_not_writing(tmp_path: Path) -> None:
    default = config_digest(load_config(write(tmp_path, MINIMAL)))
    assert config_digest(load_config(write(tmp_path, "data:\n  type: world\nseed: 0\nname: x\n"))) == default
    assert config_digest(load_config(write(tmp_path, MINIMAL), ["seed=1"])) != default


def test_a_resolved_mapping_parses_to_the_same() -> None:
    config = load_config("gsm8k-smoke", preset_folder=PRESETS)
    assert parse_config(config.model_dump(mode="json")) == config
    with pytest.raises(ConfigError, match="parameters: 1 fault"):
        parse_config({**config.model_dump(mode="json"), "sed": 1}, "parameters")


def test_every_setting_is_documented_in_the_json_schema() -> None:
    schema = config_json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    sections = {"PipelineConfig": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, node in section.get("properties", {}).items()
        # Pydantic leaves out a description that repeats the one of the section it refers to.
        if not node.get("description")
        and not sections[node.get("$ref", "/").rpartition("/")[2]].get("description")
    ]
    assert silent == []


def test_loading_needs_nothing_heavy() -> None:
    code = f"""
import sys
from pathlib import Path
from rlkd.config.load import load_config
load_config("gsm8k", preset_folder=Path({str(PRESETS)!r}))
heavy = [m for m in ("torch", "numpy", "datasets", "prefect", "mlflow", "sympy", "pandas") if m in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_resolved_yaml_states_every_default() -> None:
    config = load_config("gsm8k", preset_folder=PRESETS)
    assert yaml.safe_load(resolved_yaml(config)) == config.model_dump(mode="json")


EXPERIMENT = """\
kind: experiment
name: x
base: demo
methods: [sft, grpo-zero]
seeds: [0, 1]
"""


def experiment_faults(tmp_path: Path, more: str, *overrides: str) -> list[str]:
    file = tmp_path / "x.yaml"
    file.write_text(more if more.startswith("kind: ") else EXPERIMENT + more)
    with pytest.raises(ConfigError) as error:
        load_experiment_config(str(file), overrides)
    return [
        line.removeprefix("  - ").replace(str(file), "x.yaml") for line in str(error.value).splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (
            "compare: {metric: accuracy, family: [[sft, x]]}",
            "x.yaml, line 6: compare.family names x, which is not among the methods (grpo-zero, sft)",
        ),
        (
            "variants: {a: {}}",
            "x.yaml, line 6: variants differ from variant_of, which is not set; name one of the methods (sft, grpo-zero)",
        ),
        (
            "variant_of: sft\nvariants:\n  sft: {}",
            "x.yaml, line 8: variants.sft has the name of a method; rename it",
        ),
        (
            "tune: {values: {rl.kl: [0, 1]}, seeds: [0]}",
            "x.yaml, line 6: tune.seeds has seed 0, which is compared as well; tune on other seeds",
        ),
        (
            "tune:\n  seeds: [5]\n  values:\n    rl.kl: [0]",
            "x.yaml, line 9: tune.values.rl.kl has 1 values; give it at least two to choose from",
        ),
        ("grid:\n  x: []", "x.yaml, line 7: grid.x has no values; give it some, or leave it out"),
        (
            "compare: {metric: accuracy, family: [[sft, grpo-zero, base]]}",
            "x.yaml, line 6: compare.family.0 must have at most 2 items, not ['sft', 'grpo-zero', 'base']",
        ),
        (
            "compare: {metric: accuracy, family: [[sft]]}",
            "x.yaml, line 6: compare.family.0 needs an item 2, but is ['sft']",
        ),
        (
            "compare: {metric: accuracy, family: []}",
            "x.yaml, line 6: compare.family is empty; give it at least one item",
        ),
        (
            "grid:\n  rewards:\n    alpha: [0, 1]",
            "x.yaml, line 8: grid.rewards.alpha must be a mapping, not [0, 1]; an axis of a setting has its whole name as its key, "
            "rewards.alpha: [...]",
        ),
        (
            "rl: {steps: 5}",
            "x.yaml, line 6: rl is no setting of an experiment; what all cells share stands below settings: settings.rl",
        ),
    ],
)
def test_a_fault_of_an_experiment_has_its_line_and_plain_words(tmp_path: Path, more: str, fault: str) -> None:
    assert experiment_faults(tmp_path, more) == [fault]


def test_one_seed_does_not_speak_for_others(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("[0, 1]", "[0]") + "compare: {metric: accuracy, family: [[sft, grpo-zero]]}"
    assert experiment_faults(tmp_path, text) == [
        "x.yaml, line 6: compare.over is seeds, which needs at least two seeds; add seeds, or set compare.over to problems"
    ]


def test_overrides_of_an_experiment(tmp_path: Path) -> None:
    assert experiment_faults(tmp_path, "grid: {}", "rl.steps=50") == [
        "--set rl.steps=50: rl is no setting of an experiment; what all cells share stands below settings: settings.rl"
    ]
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT + "grid: {regime: {sparse: {warm_start: {traces: 4}}}}")
    overrides = [
        "settings.rl.steps=50",
        "grid.rewards.alpha=[0, 1]",
        "grid.regime.sparse.warm_start.traces=8",
        "tune.values.rl.temperature=[0.5, 1]",
        "tune.seeds=[7]",
    ]
    found = load_experiment_config(str(file), overrides)
    assert found.settings == {"rl": {"steps": 50}}
    assert found.grid == {"regime": {"sparse": {"warm_start": {"traces": 8}}}, "rewards.alpha": [0, 1]}
    assert found.tune is not None
    assert found.tune.values == {"rl.temperature": [0.5, 1]}
