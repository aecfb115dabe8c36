"""A toy world for training tests: sums in plain text, their traces and structures, and a tiny student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlkd.io import sha256_text, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from schemas.structure import ReasoningStep, Structure
from schemas.trace import TeacherTrace

STUDENT: dict[str, Any] = {
    "model": {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 32, "heads": 2, "context": 96},
    "max_prompt_tokens": 24,
    "max_completion_tokens": 40,
}


def make_problem(a: int, b: int, split: str) -> Problem:
    return Problem.model_validate(
        {
            "id": f"{split}-{a}-{b}",
            "question": f"What is {a} + {b}?",
            "answer": str(a + b),
            "domain": "math",
            "split": split,
        }
    )


def make_trace(problem: Problem) -> TeacherTrace:
    a, b = problem.id.split("-")[1:]
    path = f"{a} + {b} = {problem.answer}\nThe answer is {problem.answer}."
    return TeacherTrace(
        id=f"{problem.id}/0",
        problem_id=problem.id,
        teacher="toy",
        path=path,
        answer=problem.answer,
        accepted=True,
    )


def make_structure(trace: TeacherTrace) -> Structure:
    line = trace.path.splitlines()[0]
    left, answer = line.split(" = ")
    step = ReasoningStep(
        index=0,
        sub_problem=left,
        answer=answer,
        quantities=tuple(left.split(" + ")),
        operation="+",
        start=0,
        end=len(line),
    )
    return Structure(
        steps=(step,),
        decomposer="rules@1",
        path_sha256=sha256_text(trace.path),
        trace_id=trace.id,
        problem_id=trace.problem_id,
    )


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the data, traces and structures stages: 12 training and 4 validation sums."""
    root = tmp_path_factory.mktemp("inputs")
    folders = {name: root / name for name in ("data", "traces", "structures")}
    for folder in folders.values():
        folder.mkdir()
    problems = {
        "train": [make_problem(a, b, "train") for a in range(1, 5) for b in range(1, 4)],
        "validation": [make_problem(a, 5, "validation") for a in range(1, 5)],
    }
    traces = [make_trace(problem) for rows in problems.values() for problem in rows]
    for split, rows in problems.items():
        write_rows(folders["data"] / f"{split}.jsonl", rows)
    write_rows(folders["traces"] / "accepted.jsonl", traces)
    write_rows(folders["structures"] / "structures.jsonl", [make_structure(trace) for trace in traces])
    return folders


def make_config(**sections: Any) -> PipelineConfig:
    """A configuration with the toy student; sections are merged over the defaults."""
    student = {**STUDENT, **sections.pop("student", {})}
    base: dict[str, Any] = {"name": "toy", "seed": 1, "data": {"type": "world"}, "student": student}
    return PipelineConfig.model_validate({**base, **sections})


def make_context(folder: Path, config: PipelineConfig, inputs: Mapping[str, Path]) -> StageContext:
    folder.mkdir(parents=True, exist_ok=True)
    return StageContext(config=config, inputs=inputs, folder=folder, events=NullSink())


def with_inputs(ctx: StageContext, **more: Path) -> StageContext:
    return replace(ctx, inputs={**ctx.inputs, **more})
