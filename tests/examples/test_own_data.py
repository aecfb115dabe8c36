"""The examples of a source, a teacher and a benchmark of one's own, run as their first lines say."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest

from rlkd.answers.verify import judge_problem
from rlkd.config.load import load_config
from rlkd.data import benchmarks
from rlkd.data.sources import open_source
from rlkd.data.teachers import open_teacher
from rlkd.data.traces import verify_trace
from rlkd.errors import ConfigError
from schemas.config.data import BenchmarkData

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONFIG = """\
name: own
data: {type: python, object: "own_source:SumSource", options: {count: 20}}
traces: {teacher: {type: python, object: "own_teacher:SumTeacher"}}
"""


def test_a_source_and_a_teacher_of_ones_own(tmp_path: Path) -> None:
    for name in ("own_source.py", "own_teacher.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "own.yaml").write_text(CONFIG)
    config = load_config(str(tmp_path / "own.yaml"))
    problems = open_source(config.data).load(3).splits["train"]
    assert len(problems) == 20
    assert problems == open_source(config.data).load(3).splits["train"]
    teacher = open_teacher(config.traces.teacher, problems)
    for problem in problems:
        [(path, name)] = teacher.paths(problem, 1, 0)
        assert verify_trace(problem, path, name, "t").accepted
    (tmp_path / "own.yaml").write_text(CONFIG.replace("own_teacher:SumTeacher", "own_source:SumSource"))
    with pytest.raises(ConfigError, match="is no teacher"):
        load_config(str(tmp_path / "own.yaml"))


def test_a_benchmark_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLES / "own_benchmark.py", tmp_path / "trivia.py")
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    assert "trivia" in benchmarks.benchmark_names()
    row = {
        "question": "Who wrote Emma?",
        "question_id": "t1",
        "answer": {"value": "Jane Austen", "aliases": ["Austen"]},
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    config = BenchmarkData(name="trivia", path=str(tmp_path / "rows.jsonl"))
    [problem] = open_source(config).load(0).splits["train"]
    assert judge_problem(problem, "austen").right is True
    assert judge_problem(problem, "Brontë").right is False
