from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.stage import prepare_data
from rlkd.data.traces import collect_traces
from rlkd.errors import ConfigError, DataError
from rlkd.io import read_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.qualification.stage import qualify
from rlkd.qualification.student import label
from rlkd.qualification.verdict import check_thresholds, read_figures
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from schemas.qualification import ChangedPath, PairScore
from schemas.rollout import Completion

pytestmark = pytest.mark.slow

WORLD = {"n_train": 8, "n_validation": 60, "n_test": 2, "n_ood": 2}


def config_of(**changes: Any) -> PipelineConfig:
    base = {
        "name": "t",
        "data": {"type": "world", "world": WORLD},
        "structures": {"decomposer": {"type": "world"}},
        "qualify": {"resamples": 200, "limit": 160, "changed": 40},
    }
    return parse_config({**base, **changes})


def context(folder: Path, config: PipelineConfig, **inputs: Path) -> StageContext:
    folder.mkdir(parents=True, exist_ok=True)
    return StageContext(config, inputs, folder, NullSink())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, config = tmp_path_factory.mktemp("stages"), config_of()
    prepare_data(context(root / "data", config))
    collect_traces(context(root / "traces", config, data=root / "data"))
    return {"data": root / "data", "traces": root / "traces"}


def test_the_built_in_world_passes_with_its_own_decomposer(finished: dict[str, Path], tmp_path: Path) -> None:
    config = config_of()
    result = qualify(context(tmp_path, config, **finished))
    found = read_figures(tmp_path)
    scores = read_rows(tmp_path / "scores.jsonl", PairScore)
    changes = read_rows(tmp_path / "changes.jsonl", ChangedPath)
    assert result.rows == len(scores) == found.pairs <= 160
    assert sum(row.right for row in scores) == found.right
    assert sum(row.hidden is None for row in scores) == found.hidden_left_out
    assert len({row.path for row in changes}) > 40
    assert found.source == "paths that the built-in world makes for 60 validation problems"
    assert "passes its qualification" in check_thresholds(config, tmp_path)
    assert found.hidden.structure is not None
    assert result.metrics["qualify/auroc_hidden"] == found.hidden.structure.value
    assert result.metrics["qualify/step_scrambled"] == 1.0
    assert result.metrics["qualify/parse_failures"] == 0.0
    assert all(name.startswith("qualify/") for name in result.metrics)


def test_the_same_configuration_measures_the_same(finished: dict[str, Path], tmp_path: Path) -> None:
    made = []
    for name in "ab":
        qualify(context(tmp_path / name, config_of(), **finished))
        made.append(json.loads((tmp_path / name / "qualification.json").read_text()))
        made[-1]["cost"].pop("seconds")
    assert made[0] == made[1]


def test_a_file_of_labelled_solutions_needs_no_other_stage(tmp_path: Path) -> None:
    rows = [
        {
            "problem": f"{i}?",
            "teacher": f"{i} + 2 = {i + 2}\n{i + 2} * 3 = {3 * i + 6}",
            "solution": f"{i} + {k} = {i + k}",
            "right": k == 2,
        }
        for i in range(20)
        for k in (2, 5)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = {"type": "file", "path": str(tmp_path / "pairs.jsonl")}
    result = qualify(
        context(tmp_path / "q", config_of(structures={}, qualify={"pairs": pairs, "resamples": 100}))
    )
    assert result.rows == 40
    assert read_figures(tmp_path / "q").right == 20


def test_other_processes_of_a_launcher_leave_it_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert qualify(context(tmp_path, config_of())).rows == 0
    assert list(tmp_path.iterdir()) == []


def test_a_student_that_writes_nothing_yet_is_a_user_error(finished: dict[str, Path], tmp_path: Path) -> None:
    student = {"student": {"model": {"type": "fresh"}}, "warm_start": {"enabled": False}}
    config = config_of(**student, qualify={"pairs": {"type": "student"}})
    with pytest.raises(DataError, match="there is nothing to sample"):
        qualify(context(tmp_path, config, **finished))
    with pytest.raises(ConfigError, match="there is nothing to sample"):
        config_of(**student, qualify={"pairs": {"type": "student"}, "enabled": True})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"data": {"type": "file", "path": "x"}, "traces": {"teacher": {"type": "none"}}, "warm_start": {"enabled": False},
             "rl": {"enabled": False}, "structures": {}, "qualify": {"enabled": True}},
            "no solution has a teacher's path",
        ),
        (
            {"data": {"type": "file", "path": "x", "columns": {"traces": ["a"]}}, "traces": {"teacher": {"type": "column"}},
             "structures": {}, "qualify": {"pairs": {"type": "world"}}},
            "is 'world', but data.type is 'file'",
        ),
        ({"qualify": {"action": "stop"}}, "qualify.action"),
        ({"qualify": {"thresholds": {"scrambeld": 0.5}}}, "did you mean qualify.thresholds.scrambled?"),
        ({"qualify": {"thresholds": {"scrambled": 1.5}}}, "qualify.thresholds.scrambled"),
        ({"qualify": {"pairs": {"type": "file"}}}, "qualify.pairs.path"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(**changes)
    assert words in str(caught.value)


def test_samples_are_labelled_by_the_verifier() -> None:
    problem = Problem(id="p", question="1 + 2?", answer="3")
    texts = ["1 + 2 = 3\nThe answer is 3.", "1 + 2 = 4\nThe answer is 4.", "no idea"]
    completions = [Completion(problem_id="p", text=text, tokens=5, finish_reason="stop") for text in texts]
    pairs, unverified = label(config_of(), [problem] * 3, completions, {"p": ["1 + 2 = 3\n#### 3"]})
    assert [(pair.student, pair.right) for pair in pairs] == [
        ("1 + 2 = 3", True),
        ("1 + 2 = 4", False),
        ("no idea", False),
    ]
    assert pairs[0].teachers == ("1 + 2 = 3",)
    assert unverified == 0
