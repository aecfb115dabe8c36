"""The example of one's own parts: named in a configuration, checked, used, and covered by the identity of stages."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlkd.answers.conventions import path_of
from rlkd.config.load import load_config, parse_run_config
from rlkd.errors import ConfigError
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import Job
from rlkd.pipeline.stages import stage_spec
from rlkd.rewards.ledger import Ledger, read_ledger
from rlkd.rewards.scoring import RewardModel
from rlkd.rewards.statistics import step_statistics
from rlkd.structure.factory import make_decomposer, make_scorer
from rlkd.structure.interfaces import PathItem
from rlkd.worlds import get_world, make_splits
from schemas.config.data import WorldData
from schemas.config.pipeline import PipelineConfig
from schemas.rollout import Completion
from tasks.identity import identify

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example's two files in a folder of their own, which is not the current one."""
    for name in ("own_parts.py", "own_parts.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("own_parts", None)
    from rlkd.worlds import registry

    monkeypatch.setattr(registry, "_WORLDS", dict(registry._WORLDS))
    yield tmp_path
    sys.modules.pop("own_parts", None)


def load(example: Path, *overrides: str) -> PipelineConfig:
    return load_config(str(example / "own_parts.yaml"), overrides)


def test_every_part_is_used(example: Path, tmp_path: Path) -> None:
    config = load(example)
    assert isinstance(config.data, WorldData)
    problem = make_splits(config.data.world, seed=0)["train"][0]
    assert problem.domain == "orchard"
    path = get_world("orchard").solve(problem)
    decomposer = make_decomposer(config.structures.decomposer)
    [teacher] = asyncio.run(
        decomposer.decompose(
            [PathItem(problem.question, path_of(path, config.student.output), problem.domain)]
        )
    )
    assert teacher is not None
    assert teacher.decomposer == "sentences@1"
    scorer = make_scorer(config.structures)
    assert scorer.judge.name == "wording@1:2"
    model = RewardModel(
        config.rewards, config.student, scorer, {problem.id: problem}, {problem.id: [teacher]}
    )
    long = "word " * 160
    completions = [
        Completion(problem_id=problem.id, text=text, tokens=9, finish_reason="stop")
        for text in (path, long, "")
    ]
    right, wordy, empty = asyncio.run(model.score(completions, 0))
    assert wordy.components["brevity"] == 0.5  # 80 / 160
    assert (right.components["brevity"], right.outcome, right.structure) == (1.0, 1.0, pytest.approx(1.0))
    # (1 - 0.1 - 0.2) * (0.5 * 1 + 0.5 * 1) + 0.1 * 1 (format) + 0.2 * 1 (brevity) = 1
    assert right.reward == pytest.approx(1.0)
    assert (empty.reward, empty.components["brevity"], "brevity" in empty.missing) == (None, None, True)
    assert step_statistics([right, wordy])["brevity"] == pytest.approx((1 + 0.5) / 2)
    ledger = Ledger(tmp_path / "ledger")
    ledger.add([right, wordy, empty])
    ledger.flush()
    kept = [
        row.model_copy(update={"spans": ()}) for row in (right, wordy, empty)
    ]  # spans are for training alone
    assert read_ledger(tmp_path / "ledger") == kept


def test_a_job_in_another_process_finds_the_parts(example: Path) -> None:
    config = load(example)
    job = Job(stage="data", function="a:b", config=config.model_dump(mode="json"), folder=str(example))
    again = parse_run_config(Job.model_validate_json(job.model_dump_json()).config)
    assert again == config
    sys.modules.pop("own_parts", None)
    assert isinstance(again, PipelineConfig)
    StageContext(again, {}, example, NullSink())
    assert get_world("orchard").name == "orchard"


def test_edited_code_remakes_what_depends_on_it_and_nothing_else(example: Path) -> None:
    names = ("data", "traces", "structures", "rl", "evaluate")

    def keys() -> dict[str, str]:
        config = load(example)
        return {name: identify(stage_spec(name), config, {}).key for name in names}

    before = keys()
    source = example / "own_parts.py"
    source.write_text(source.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    after = keys()
    assert [name for name in names if before[name] != after[name]] == ["data", "structures", "rl", "evaluate"]
    moved = example / "moved"
    moved.mkdir()
    for name in ("own_parts.py", "own_parts.yaml"):
        shutil.move(example / name, moved / name)
    sys.modules.pop("own_parts", None)
    config = load(moved)
    assert {name: identify(stage_spec(name), config, {}).key for name in names} == after


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            'structures.judge={type: python, object: "own_parts:WordingJudg"}',
            r"structures\.judge\.object is wrong: judge own_parts:WordingJudg: .* has no 'WordingJudg'; did you mean 'WordingJudge'\?",
        ),
        (
            'structures.judge={type: python, object: "own_parts:SentenceDecomposer"}',
            r"is no judge: it has no method 'judge'",
        ),
        (
            "rewards.components.brevitee=0.1",
            r"rewards\.components\.brevitee is wrong: there is no such component",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(example: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(example, override)
