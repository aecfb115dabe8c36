"""What the tests of the data and traces stages share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.stage import prepare_data
from rlkd.io import read_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from schemas.artifact import StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem

from ..training.conftest import inputs

__all__ = ["inputs"]

SUBJECTS = [
    "anna",
    "bert",
    "cleo",
    "dora",
    "emil",
    "fred",
    "gina",
    "hugo",
    "ivan",
    "jane",
    "karl",
    "lena",
    "mara",
    "nils",
    "olga",
    "paul",
    "rosa",
    "sven",
    "tina",
    "ulla",
]


class Messages(NullSink):
    """Keeps what a stage says."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.done: list[tuple[int, int]] = []

    def message(self, text: str) -> None:
        self.texts.append(text)

    def progress(self, done: int, total: int, what: str = "") -> None:
        self.done.append((done, total))


def question(i: int) -> str:
    """A question that shares no 13 words and few shingles with another."""
    a, b = SUBJECTS[i % 20], SUBJECTS[(i * 7 + i // 20) % 20]
    return f"{a} finds {i} {b}{i} shells then loses {i + 1} more{i} near{i} the dock{i}"


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"question": question(i), "answer": f"work\n#### {i}"} for i in range(start, start + count)]


def write_jsonl(path: Path, items: Sequence[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in items), encoding="utf-8"
    )
    return path


def file_config(path: Path, **data: Any) -> PipelineConfig:
    columns = {"question": "question", "answer": "answer", "traces": ["answer"]}
    base = {
        "type": "file",
        "path": str(path),
        "columns": columns,
        "answer_pattern": r"####\s*(.+)",
        "sizes": {"validation": 2},
    }
    values = {
        "name": "t",
        "data": {**base, **data},
        "traces": {"teacher": {"type": "column"}},
    }
    return parse_config(values)


class DataRun:
    """One run of the data stage and what it wrote."""

    def __init__(self, folder: Path, config: PipelineConfig) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.events = folder, Messages()
        self.result: StageResult = prepare_data(StageContext(config, {}, folder, self.events))
        self.summary = json.loads((folder / "summary.json").read_text())
        self.dropped = [json.loads(line) for line in (folder / "dropped.jsonl").read_text().splitlines()]

    def split(self, name: str) -> list[Problem]:
        return read_rows(self.folder / f"{name}.jsonl", Problem)

    def ids(self, name: str) -> list[str]:
        return [problem.id for problem in self.split(name)]


@pytest.fixture
def run_data(tmp_path: Path) -> Callable[..., DataRun]:
    """Runs the data stage into a fresh folder."""
    count = iter(range(1000))
    return lambda config: DataRun(tmp_path / f"data-{next(count)}", config)


class Kit:
    """Helpers, as one fixture (test folders are no packages, so they cannot be imported)."""

    question = staticmethod(question)
    rows = staticmethod(rows)
    write_jsonl = staticmethod(write_jsonl)
    file_config = staticmethod(file_config)
    messages = Messages


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
