"""Promises of every schema: frozen, closed, versioned, and the same after JSON."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import schemas
from schemas.artifact import RunManifest, StageManifest, StageResult
from schemas.base import SCHEMA_VERSION, Schema
from schemas.config.data import FileData, HubData, SplitSizes
from schemas.config.pipeline import PipelineConfig
from schemas.config.traces import TracesConfig
from schemas.problem import Problem
from schemas.structure import ReasoningStep, Structure
from schemas.trace import TeacherTrace

ROOT = Path(__file__).resolve().parents[2]
MODULES = [module.name for module in pkgutil.walk_packages(schemas.__path__, "schemas.")]


def every_schema() -> list[type[Schema]]:
    for name in MODULES:
        importlib.import_module(name)
    found, todo = [], [Schema]
    while todo:
        for child in todo.pop().__subclasses__():
            if child.__module__.startswith("schemas."):
                found.append(child)
                todo.append(child)
    return found


@pytest.mark.parametrize("schema", every_schema(), ids=lambda schema: schema.__name__)
def test_every_schema_is_frozen_closed_and_documented(schema: type[Schema]) -> None:
    assert schema.model_config["frozen"] is True
    assert schema.model_config["extra"] == "forbid"
    assert schema.__doc__
    if schema.__module__.startswith("schemas.config."):
        assert [name for name, field in schema.model_fields.items() if not field.description] == []


def test_schemas_import_only_the_standard_library_and_pydantic() -> None:
    code = f"""
import sys, importlib
before = set(sys.modules)
for name in {MODULES!r}:
    importlib.import_module(name)
heavy = [m for m in ("rlkd", "yaml", "numpy", "torch", "prefect", "mlflow", "datasets", "sympy") if m in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(
    TEXT,
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=3),
    st.dictionaries(TEXT, JSON, max_size=3),
    st.none() | st.integers(0, 99),
)
def test_a_problem_survives_json(
    id_: str,
    question: str,
    answer: str,
    traces: list[str],
    metadata: dict[str, object],
    difficulty: int | None,
) -> None:
    problem = Problem(
        id=id_,
        question=question,
        answer=answer,
        traces=tuple(traces),
        metadata=metadata,
        difficulty=difficulty,
    )
    line = problem.model_dump_json()
    assert "\n" not in line
    assert Problem.model_validate_json(line) == problem


@pytest.mark.parametrize("field", ["id", "question", "answer"])
def test_a_problem_without_its_texts_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Problem(**{"id": "a", "question": "b", "answer": "c", field: ""})


def test_values_cannot_be_changed_or_extended() -> None:
    trace = TeacherTrace(id="a/0", problem_id="a", teacher="world", path="p")
    with pytest.raises(ValidationError, match="frozen"):
        trace.accepted = True  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        TeacherTrace(id="a/0", problem_id="a", teacher="world", path="p", score=1)  # type: ignore[call-arg]


def test_a_structure_refuses_steps_out_of_order_and_later_dependencies() -> None:
    first, second = ReasoningStep(index=0), ReasoningStep(index=1, depends_on=(0,))
    assert Structure(steps=(first, second)).steps[1].depends_on == (0,)
    with pytest.raises(ValidationError, match="step 0 has index 1"):
        Structure(steps=(second, first))
    with pytest.raises(ValidationError, match="only earlier steps may be named"):
        Structure(steps=(ReasoningStep(index=0, depends_on=(0,)),))


def test_manifests_carry_the_schema_version() -> None:
    run = RunManifest(name="r", config={}, config_digest="0", store="store")
    manifest = StageManifest(
        stage="data",
        identity="i",
        stage_version=1,
        sha256="s",
        files={},
        inputs={},
        config={},
        result=StageResult(),
        seconds=1.0,
        peak_rss_mb=1.0,
        created_at="",
    )
    assert run.schema_version == manifest.schema_version == SCHEMA_VERSION


def test_data_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="files names no train file"):
        FileData(type="file", path="p", files={"test": "t.jsonl"})
    with pytest.raises(ValidationError, match="splits names no train split"):
        HubData(type="hub", dataset="d", splits={"test": "test"})
    with pytest.raises(ValidationError, match="has no group; put parentheses"):
        FileData(type="file", path="p", answer_pattern="####")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        SplitSizes(train=0)


def test_the_configuration_has_a_section_for_every_stage() -> None:
    assert {"data", "traces", "structures", "warm_start", "rl", "evaluate", "report"} <= set(
        PipelineConfig.model_fields
    )
    assert TracesConfig().teacher.type == "world"
