"""A stage that is added to the table, and nowhere else, is a stage everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import fake_stages
import pytest
from pydantic import TypeAdapter, ValidationError

import rlkd.pipeline.stages
from rlkd.config.load import config_digest, parse_config
from rlkd.errors import UserError
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.names import GsrmStageName, StageName, named_stage
from rlkd.pipeline.run_folder import read_run
from rlkd.pipeline.stages import Family, Reads, StageSpec, downstream, family, stage_spec, upstream
from schemas.artifact import StageEntry, StageResult
from tasks import tracking
from tasks.publishing import AFTER, publish_report
from tasks.runs import RunRef, open_run

CONFIG = parse_config({"name": "t", "data": {"type": "world"}})
TOY = StageSpec(
    "toy",
    "prepare",
    "Counts the traces.",
    "test_chain_toy:count",
    reads=(Reads("traces", ("accepted.jsonl",)),),
)


def count(ctx: StageContext) -> StageResult:
    """The function of the added stage."""
    rows = len((ctx.inputs["traces"] / "accepted.jsonl").read_text().splitlines())
    (ctx.folder / "summary.json").write_text(json.dumps({"counted": rows}))
    return StageResult(rows=rows, metrics={"counted": float(rows)})


@pytest.fixture
def toy(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> StageSpec:
    import sys

    monkeypatch.setitem(sys.modules, "test_chain_toy", sys.modules[__name__])
    first = rlkd.pipeline.stages.STAGES
    table = (*first[:3], TOY, *first[3:])
    monkeypatch.setattr(rlkd.pipeline.stages, "STAGES", table)
    return TOY


def test_a_stage_in_the_table_and_a_function_are_a_stage_everywhere(toy: StageSpec, tmp_path: Path) -> None:
    from tasks.stages import stage_task

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with open_run(CONFIG, tmp_path / "run") as run:
        parent = tracking.begin_run(uri, CONFIG, config_digest(CONFIG), "", run.folder / "config.yaml")
        ref = RunRef(folder=str(run.folder), mlflow_run_id=parent, tracking_uri=uri)
        made: dict[str, StageEntry] = {}
        for spec in family("prepare"):
            task = stage_task(spec.name, spec.description)
            assert (task.name, task.description) == (spec.name, spec.description)
            inputs = {name: made[name] for name in spec.inputs}
            made[spec.name] = task.fn(ref, inputs)  # what Prefect calls
        ref.open().update(status="done")
        publish_report(ref, ref.open(), whole=True)
    entry = made["toy"]
    rows = fake_stages.UNITS + CONFIG.data.world.n_test  # type: ignore[union-attr]
    assert json.loads((Path(entry.uri) / "summary.json").read_text()) == {"counted": rows}
    assert Path(entry.uri).parent == tmp_path / ".store" / "toy"
    assert [item.name for item in read_run(tmp_path / "run").stages] == [
        "data",
        "traces",
        "structures",
        "toy",
    ]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [row["name"] for row in report["stages"]][-1] == "toy"
    assert "toy" in (tmp_path / "run" / "report.md").read_text()
    client = tracking.client(uri)
    where = client.get_run(parent).info.experiment_id
    child = client.search_runs([where], "tags.`rlkd.stage` = 'toy'")[0]
    assert child.info.run_name == "toy of run"
    assert child.data.metrics["counted"] == rows
    assert [item.path for item in client.list_artifacts(child.info.run_id)] == ["summary.json"]
    assert "usage/seconds_toy" in client.get_run(parent).data.metrics


def test_an_added_stage_is_a_choice_and_has_its_place_in_the_chain(toy: StageSpec) -> None:
    names = TypeAdapter(StageName)
    assert names.validate_python("toy") == "toy"
    assert "toy" in names.json_schema()["enum"]
    assert named_stage("toy", rlkd.pipeline.stages.STAGES) == "toy"
    assert upstream("toy", CONFIG) == ("data", "traces", "toy")
    assert downstream("traces", CONFIG)[:3] == ("traces", "structures", "toy")


def test_a_name_that_is_no_stage_is_told_with_those_that_are() -> None:
    wanted = r"there is no stage 'distil'; the stages are data, traces, .*, report$"
    with pytest.raises(UserError, match=wanted):
        named_stage("distil", rlkd.pipeline.stages.STAGES)
    with pytest.raises(ValidationError, match="there is no stage 'rl'; the stages are gsrm_paths"):
        TypeAdapter(GsrmStageName).validate_python("rl")
    with pytest.raises(KeyError):
        stage_spec("distil")


def test_every_stage_of_the_table_belongs_to_a_part_and_reads_only_earlier_ones() -> None:
    for chain in (rlkd.pipeline.stages.STAGES, rlkd.pipeline.stages.GSRM_STAGES):
        before: set[str] = set()
        for spec in chain:
            assert spec.family in get_args(Family)
            assert before.issuperset(spec.inputs) and before.issuperset(spec.after), spec.name
            assert callable(spec.load()), spec.name
            before.add(spec.name)
    known = {spec.name for spec in (*rlkd.pipeline.stages.STAGES, *rlkd.pipeline.stages.GSRM_STAGES)}
    assert AFTER.keys() <= known
