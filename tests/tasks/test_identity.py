from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from rlkd.config.derived import is_enabled
from rlkd.config.load import parse_config
from rlkd.pipeline.stages import STAGES, downstream, resolve, stage_spec, upstream
from schemas.config.pipeline import PipelineConfig
from tasks.identity import digest_path, identify, local_path

OUTCOME_ONLY = {"warm_start": {"enabled": False}, "rl": {"enabled": False}}
WORLD = {"name": "t", "data": {"type": "world"}}


def _config(**changes: object) -> PipelineConfig:
    return parse_config({**WORLD, **changes})


def _keys(config: PipelineConfig) -> dict[str, str]:
    """Identities of all stages; the content of each is taken to be its identity."""
    keys: dict[str, str] = {}
    for spec in (resolve(spec, config) for spec in STAGES):
        keys[spec.name] = identify(spec, config, {name: keys[name] for name in spec.inputs}).key
    return keys


def _changed(before: PipelineConfig, after: PipelineConfig) -> set[str]:
    first, second = _keys(before), _keys(after)
    return {name for name in first if first[name] != second[name]}


ALL = {spec.name for spec in STAGES}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rl": {"steps": 7}}, {"rl", "evaluate", "report"}),
        ({"rewards": {"alpha": 0.25}}, {"rl", "evaluate", "report"}),
        ({"warm_start": {"traces": 3}}, {"warm_start", "rl", "evaluate", "report"}),
        ({"evaluate": {"samples": 9}}, {"evaluate", "report"}),
        ({"evaluate": {"benchmarks": ["reasoning_gym/gsm_symbolic"]}}, {"evaluate", "report"}),
        ({"report": {"samples": 1}}, {"report"}),
        ({"traces": {"problems": 5}}, ALL - {"data"}),
        ({"structures": {"alignment": {"type": "prefix"}}}, {"qualify", "rl", "evaluate", "report"}),
        ({"qualify": {"limit": 50}}, {"qualify", "report"}),
        ({"qualify": {"thresholds": {"scrambled": 0.5}}}, {"report"}),
        ({"qualify": {"action": "warn"}}, {"report"}),
        ({"seed": 1}, ALL),
        ({"tracking": {"enabled": False}}, set()),
        ({"launch": {"processes": 2}}, set()),
        ({"name": "other"}, {"report"}),
    ],
)
def test_a_setting_changes_exactly_the_stages_that_depend_on_it(
    changes: dict[str, object], expected: set[str]
) -> None:
    assert _changed(_config(), _config(**changes)) == expected


def test_a_dotted_section_covers_only_its_part() -> None:
    other = _config(structures={"decomposer": {"type": "rules", "max_steps": 99}})
    assert _changed(_config(structures={"decomposer": {"type": "rules"}}), other) == {
        "structures",
        "qualify",
        "rl",
        "evaluate",
        "report",
    }


def test_what_a_qualification_reads_depends_on_where_its_pairs_come_from() -> None:
    spec = stage_spec("qualify")
    student = _config(qualify={"pairs": {"type": "student"}})
    rows = _config(qualify={"pairs": {"type": "file", "path": "pairs.jsonl"}})
    assert resolve(spec, _config()).inputs == ("data", "traces")
    assert resolve(spec, student).inputs == ("data", "traces", "warm_start")
    assert resolve(spec, rows).inputs == ()
    assert [resolve(spec, config).job for config in (_config(), student, rows)] == [False, True, False]
    local = {"type": "llm", "endpoint": {"type": "local", "path": "somewhere"}}
    assert resolve(spec, _config(structures={"judge": local})).job
    # A warm start of another kind is another student to sample, and no other world.
    assert "qualify" in _changed(
        student, student.model_copy(update={"warm_start": _config(warm_start={"traces": 3}).warm_start})
    )
    assert upstream("qualify", rows) == ("qualify",)
    assert upstream("qualify", _config()) == ("data", "traces", "qualify")
    assert upstream("rl", rows) == ("data", "traces", "structures", "warm_start", "qualify", "rl")
    assert "qualify" not in upstream("rl", _config(qualify={"enabled": False}))
    # RL reads nothing of the qualification: made again, it does not make RL again.
    assert downstream("qualify", _config()) == ("qualify", "report")
    assert "qualify" not in downstream("warm_start", _config())
    assert "qualify" in downstream("warm_start", student)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"rl": {"enabled": False}}, False),
        ({"rewards": {"alpha": 0.0}}, False),
        ({"rewards": {"alpha": 0.0, "alpha_schedule": {"end": 0.5, "over": 10}}}, True),
        ({"rl": {"enabled": False}, "qualify": {"enabled": True}}, True),
        ({"qualify": {"enabled": False}}, False),
        (
            {
                "student": {"model": {"type": "fresh"}},
                "warm_start": {"enabled": False},
                "qualify": {"pairs": {"type": "student"}},
            },
            False,
        ),
    ],
)
def test_a_reward_is_qualified_where_rl_trains_on_it_and_there_is_something_to_label(
    changes: dict[str, object], expected: bool
) -> None:
    assert is_enabled(_config(**changes), "qualify") is expected


def test_stage_version_and_inputs_count() -> None:
    from dataclasses import replace

    config, spec = _config(), stage_spec("traces")
    base = identify(spec, config, {"data": "a"})
    assert identify(spec, config, {"data": "b"}).key != base.key
    assert identify(replace(spec, version=spec.version + 1), config, {"data": "a"}).key != base.key
    assert identify(spec, config, {"data": "a"}) == base


def test_the_same_default_written_out_is_the_same_identity() -> None:
    assert _changed(_config(), _config(rl={"steps": _config().rl.steps})) == set()


def test_an_edited_data_file_is_another_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    (tmp_path / "other.jsonl").write_text("not used\n")
    monkeypatch.setenv("HERE", str(tmp_path))
    config = _config(
        data={
            "type": "file",
            "path": "$HERE",
            "files": {"train": "train.jsonl"},
            "columns": {"traces": ["answer"]},
        },
        traces={"teacher": {"type": "column"}},
        structures={"decomposer": {"type": "rules"}},
    )
    before = identify(stage_spec("data"), config, {}).key
    (tmp_path / "other.jsonl").write_text("still not used\n")
    assert identify(stage_spec("data"), config, {}).key == before
    (tmp_path / "train.jsonl").write_text('{"question": "1+1?", "answer": "3"}\n')
    assert identify(stage_spec("data"), config, {}).key != before


def test_an_edited_student_checkpoint_is_another_identity(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    config = _config(student={"model": {"type": "checkpoint", "path": str(tmp_path)}})
    before = identify(stage_spec("warm_start"), config, {}).key
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_text("ignored")
    assert identify(stage_spec("warm_start"), config, {}).key == before
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert identify(stage_spec("warm_start"), config, {}).key != before


def test_hub_ids_have_no_local_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_path("Qwen/Qwen2.5-1.5B") is None
    config = _config(student={"model": {"type": "checkpoint", "path": "Qwen/Qwen2.5-1.5B"}})
    assert identify(stage_spec("warm_start"), config, {}).config["external"] == {}


def test_folder_digests_see_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest_path(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_path(tmp_path) != first
    (tmp_path / "b").rename(tmp_path / "a")
    assert digest_path(tmp_path) == first


def _with_judge(endpoint: dict[str, object] | None = None, **structures: object) -> PipelineConfig:
    server = {"type": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m", **(endpoint or {})}
    return _config(
        structures={
            "decomposer": {"type": "generative", "endpoint": server},
            "judge": {"type": "cascade", "then": {"type": "llm", "endpoint": server}},
            **structures,
        }
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"concurrency": 2},
        {"timeout_s": 9},
        {"attempts": 1},
        {"max_wait_s": 0},
        {"max_retry_after_s": 9},
        {"api_key_env": "OTHER_KEY"},
    ],
)
def test_how_an_endpoint_is_reached_is_no_part_of_a_result(setting: dict[str, object]) -> None:
    assert _changed(_with_judge(), _with_judge(setting)) == set()


def test_a_cache_and_the_pace_of_checkpoints_are_no_part_of_a_result() -> None:
    assert _changed(_with_judge(), _with_judge(cache={"enabled": False, "folder": "x"})) == set()
    assert _changed(_config(), _config(rl={"save_every": 3})) == set()


@pytest.mark.parametrize(
    "setting", [{"model": "n"}, {"extra_body": {"top_k": 1}}, {"base_url": "http://b/v1"}]
)
def test_another_model_behind_an_endpoint_is_another_result(setting: dict[str, object]) -> None:
    after = {"structures", "qualify", "rl", "evaluate", "report"}
    assert _changed(_with_judge(), _with_judge(setting)) == after


@pytest.mark.parametrize(
    ("library", "data"),
    [
        ("datasets", {"type": "hub", "dataset": "owner/name"}),
        ("reasoning-gym", {"type": "reasoning_gym", "dataset": "chain_sum"}),
        (None, {"type": "world"}),
    ],
)
def test_the_library_that_makes_the_problems_counts(
    library: str | None, data: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_config(
        {"name": "t", "data": data, "traces": {"teacher": {"type": "none"}}, **OUTCOME_ONLY}
    )
    before = _keys(config)
    monkeypatch.setattr("tasks.identity.metadata.version", lambda name: f"{name} 99")
    changed = {name for name, key in _keys(config).items() if key != before[name]}
    assert changed == (ALL if library else set())
    found = identify(stage_spec("data"), config, {}).config["external"]
    assert found == ({library: f"{library} 99"} if library else {})


def test_a_library_that_is_missing_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    config = parse_config(
        {
            "name": "t",
            "data": {"type": "hub", "dataset": "a/b"},
            "traces": {"teacher": {"type": "none"}},
            **OUTCOME_ONLY,
        }
    )
    monkeypatch.setattr("tasks.identity.metadata.version", missing)
    assert identify(stage_spec("data"), config, {}).config["external"] == {"datasets": ""}


def test_the_rows_of_a_benchmark_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "gsm8k"
    rows.mkdir()
    for split in ("train", "test"):
        (rows / f"{split}.jsonl").write_text(split)
    monkeypatch.setenv("RLKD_DATA", str(tmp_path))
    config = _config(data={"type": "benchmark", "name": "gsm8k"}, traces={"teacher": {"type": "column"}})
    before = _keys(config)["data"]
    assert _keys(config)["data"] == before
    (rows / "test.jsonl").write_text("other")
    assert _keys(config)["data"] != before


def test_only_the_rows_that_are_evaluated_of_a_further_benchmark_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLKD_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    for split in ("train", "test"):
        (tmp_path / "gsm8k" / f"{split}.jsonl").write_text(split)
    config = _config(evaluate={"benchmarks": ["gsm8k"]})
    before = _keys(config)
    (tmp_path / "gsm8k" / "train.jsonl").write_text("other")
    assert _keys(config) == before
    (tmp_path / "gsm8k" / "test.jsonl").write_text("other")
    after = _keys(config)
    assert {name for name in before if before[name] != after[name]} == {"evaluate", "report"}
    # what was trained on is left out of them, so it counts; without them it does not
    reads = resolve(stage_spec("evaluate"), config).reads
    assert any("train.jsonl" in read.files for read in reads)
    assert resolve(stage_spec("evaluate"), _config()) == stage_spec("evaluate")
