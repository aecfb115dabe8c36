"""What a stage reads of earlier stages, and the digests of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rlkd.config.load import parse_config
from rlkd.data.stage import prepare_data
from rlkd.data.traces import collect_traces
from rlkd.io import read_rows, sha256_file, sha256_json
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import Reads, StageSpec, resolve, stage_spec
from schemas.artifact import StageManifest, StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.trace import TeacherTrace
from tasks.identity import identify
from tasks.inputs import _fits, input_digests

CONFIG = parse_config(
    {
        "name": "t",
        "data": {"type": "world", "world": {"n_train": 6, "n_validation": 2, "n_test": 2, "n_ood": 2}},
    }
)


def seal(folder: Path, stage: str, **changes: object) -> Path:
    """Makes a folder a finished stage: a manifest over its files as they are."""
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    manifest = StageManifest(
        stage=stage, identity="i" * 64, stage_version=1, sha256=sha256_json(files), files=files, inputs={}, config={},
        result=StageResult(), seconds=1.0, peak_rss_mb=1.0, created_at="2026-11-28",
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_copy(update=changes).model_dump_json())
    return folder


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def rows(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def spec_of(*reads: Reads) -> StageSpec:
    return StageSpec("toy", "train", "", "m:f", reads=reads)


def content(spec: StageSpec, folders: dict[str, Path]) -> dict[str, str]:
    return {name: digest.content for name, digest in input_digests(spec, folders).items()}


def test_only_rows_of_the_splits_that_are_read_count(tmp_path: Path) -> None:
    spec = spec_of(Reads("data", ("train.jsonl",)), Reads("traces", ("accepted.jsonl",), ("train",)))

    def folders(test: list[str], path: str = "1 + 1 = 2") -> dict[str, Path]:
        data = write(
            tmp_path / "data", train_jsonl=rows({"id": "a"}), test_jsonl=rows(*({"id": i} for i in test))
        )
        traces = [{"problem_id": "a", "path": path}, *({"problem_id": i, "path": "x"} for i in test)]
        made = write(tmp_path / "traces", accepted_jsonl=rows(*traces))
        return {"data": seal(data, "data"), "traces": seal(made, "traces")}

    before = content(spec, folders(["t"]))
    whole = input_digests(spec, folders(["t"]))["traces"].folder
    assert content(spec, folders(["t", "u"])) == before
    assert input_digests(spec, folders(["t", "u"]))["traces"].folder != whole
    assert content(spec, folders(["t"], path="1 + 1 = 3"))["traces"] != before["traces"]
    assert content(spec, folders(["t"], path="1 + 1 = 3"))["data"] == before["data"]


def test_times_and_what_is_not_read_do_not_count(tmp_path: Path) -> None:
    spec = spec_of(
        Reads("rl", ("metrics.jsonl",), keys=("step", "loss")),
        Reads("rl", ("cost.json",), without=("seconds",)),
    )

    def folders(loss: float, seconds: float, errors: int = 0) -> dict[str, Path]:
        made = write(
            tmp_path / "rl",
            metrics_jsonl=rows({"step": 1, "loss": loss, "step_time": seconds}),
            cost_json=json.dumps({"seconds": seconds, "errors": errors}),
            other_txt=str(seconds),
        )
        return {"rl": seal(made, "rl", seconds=seconds)}

    before = content(spec, folders(0.5, 1.0))
    assert content(spec, folders(0.5, 2.0)) == before
    assert content(spec, folders(0.25, 1.0)) != before
    assert content(spec, folders(0.5, 1.0, errors=1)) != before


def test_facts_count_where_they_are_read(tmp_path: Path) -> None:
    made = write(tmp_path / "rl")
    facts = [StageResult(summary={"steps": steps}) for steps in (10, 20)]
    with_facts, without = spec_of(Reads("rl", (), facts=True)), spec_of(Reads("rl", ()))
    found = [
        (content(with_facts, f), content(without, f))
        for f in ({"rl": seal(made, "rl", result=r)} for r in facts)
    ]
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("model/a/b.json", "model/**", True),
        ("models/a", "model/**", False),
        ("traces.json", "traces.json", True),
        ("model/traces.json", "traces.json", False),
        ("ledger/part-1.parquet", "ledger/*.parquet", True),
        ("anything/at/all", "**", True),
    ],
)
def test_patterns(name: str, pattern: str, fits: bool) -> None:
    assert _fits(name, pattern) is fits


def test_real_stages_read_no_more_than_the_table_says(tmp_path: Path) -> None:
    """Each makes the same of folders that hold nothing but what its entry names."""
    made: dict[str, Path] = {}
    for name in ("data", "traces", "structures"):
        spec, results = stage_spec(name), []
        for where in ("whole", "read"):
            folder = tmp_path / where / name
            folder.mkdir(parents=True)
            inputs = {item: made[item] for item in spec.inputs}
            if where == "read":
                inputs = {
                    item: _pruned(spec, item, made[item], tmp_path / "pruned" / name) for item in inputs
                }
            spec.load()(StageContext(CONFIG, inputs, folder, NullSink()))
            shutil.rmtree(folder / "work", ignore_errors=True)
            results.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert results[0] == results[1] and results[0], name
        made[name] = tmp_path / "whole" / name


def _pruned(spec: StageSpec, name: str, folder: Path, target: Path) -> Path:
    """A copy of a folder with only the files that a stage reads."""
    (target / name).mkdir(parents=True)
    for path in folder.iterdir():
        if any(
            _fits(path.name, pattern) for read in spec.reads if read.stage == name for pattern in read.files
        ):
            shutil.copy(path, target / name / path.name)
    return target / name


TRAINED = ("warm_start", "qualify", "rl")


def prepared(folder: Path, config: PipelineConfig) -> dict[str, Path]:
    """The stages before training, for real, and an empty structure for each trace."""
    found: dict[str, Path] = {}
    for name, stage in (("data", prepare_data), ("traces", collect_traces)):
        (folder / name).mkdir(parents=True)
        stage(StageContext(config, dict(found), folder / name, NullSink()))
        found[name] = seal(folder / name, name)
    traces = read_rows(found["traces"] / "accepted.jsonl", TeacherTrace)
    lines = rows(*({"problem_id": trace.problem_id, "trace_id": trace.id} for trace in traces))
    found["structures"] = seal(write(folder / "structures", structures_jsonl=lines), "structures")
    found["warm_start"] = seal(write(folder / "warm_start", traces_json="{}"), "warm_start")
    return found


@pytest.mark.parametrize("sizes", [{"train": 6}, {}])
def test_evaluating_on_other_problems_does_not_retrain(tmp_path: Path, sizes: dict[str, int]) -> None:
    """More test problems, other ones, and further benchmarks: what training reads stays the same."""
    for name, count in (("train", 9), ("valid", 2), ("test", 5)):
        problems = [
            {
                "id": f"{name}{i}",
                "question": f"{name} {i} + 1?",
                "answer": str(i + 1),
                "traces": [f"{i} + 1 = {i + 1}\nThe answer is {i + 1}."],
            }
            for i in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text(rows(*problems))
    keys = []
    for run, (test, benchmarks) in enumerate([(2, []), (4, []), (4, ["gsm8k"])]):
        config = parse_config(
            {
                "name": "t",
                "data": {"type": "benchmark", "name": "easy_math", "path": str(tmp_path), "sizes": {**sizes, "test": test}},
                "traces": {"teacher": {"type": "column"}},
                "evaluate": {"benchmarks": benchmarks},
            }
        )  # fmt: skip
        if run == 1:  # the test file itself may change
            held = tmp_path / "test.jsonl"
            held.write_text(
                held.read_text() + rows({"id": "new", "question": "7 + 8?", "answer": "15", "traces": []})
            )
        folders = prepared(tmp_path / str(run), config)
        specs = {name: resolve(stage_spec(name), config) for name in (*TRAINED, "evaluate")}
        keys.append(
            {name: identify(spec, config, content(spec, folders)).key for name, spec in specs.items()}
        )
    for name in TRAINED:
        assert keys[0][name] == keys[1][name] == keys[2][name], name
    assert len({found["evaluate"] for found in keys}) == 3


def test_more_test_problems_out_of_the_training_file_leave_the_first_training_problems(
    tmp_path: Path,
) -> None:
    """A source without a test split: validation is taken from the front of train, test from the back."""
    file = tmp_path / "rows.jsonl"
    file.write_text(rows(*({"question": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(30))))
    kept = []
    for test in (5, 9):
        sizes = {"train": 12, "validation": 4, "test": test}
        config = parse_config(
            {
                "name": "t",
                "data": {"type": "file", "path": str(file), "sizes": sizes},
                "traces": {"teacher": {"type": "none"}},
                "warm_start": {"enabled": False},
                "rl": {"enabled": False},
            }
        )
        folder = tmp_path / str(test)
        folder.mkdir()
        prepare_data(StageContext(config, {}, folder, NullSink()))
        kept.append([(folder / f"{split}.jsonl").read_text() for split in ("train", "validation")])
        assert len((folder / "test.jsonl").read_text().splitlines()) == test
    assert kept[0] == kept[1]
