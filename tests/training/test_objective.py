"""What ``rl.objective`` does to groups, advantages and the loss, in one tiny run for each option."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import ConfigError
from rlkd.rewards.ledger import read_ledger
from rlkd.student.checkpoints import demo_base_folder
from rlkd.training import rl
from rlkd.training.objective import Objective
from rlkd.training.teacher_model import check_teacher, compare_tokens
from schemas.config.objective import DistilConfig, ObjectiveConfig
from schemas.config.rewards import RewardsConfig
from schemas.rollout import RewardRecord

from ..lazy import torch
from .conftest import make_config, make_context


def test_members_of_a_group_by_their_place() -> None:
    objective = Objective(
        ObjectiveConfig(greedy_in_group=True, teacher_in_group=True), RewardsConfig(), 4,
        traces={"a": [[1], [2]]}, problem_ids=["a"] * 4 + ["b"] * 4,
    )  # fmt: skip
    own = ["greedy", "sampled", "sampled", "teacher"]
    assert objective.members(8, 0, 0) == [*own, "greedy", "sampled", "sampled", "sampled"]  # b has no trace
    assert objective.members(2, 2, 0) == own[2:]  # the second process holds the other half of the group
    assert [objective.trace(0, step) for step in (0, 1, 2)] == [[1], [2], [1]]


class Records:
    """Stands in for the reward function."""

    def __init__(self) -> None:
        self.records: list[RewardRecord] = []


def test_groups_without_a_signal_are_replaced_and_what_was_sampled_is_kept_for_the_ledger() -> None:
    rewards = {"a": (0.5, 0.5), "b": (0.0, 1.0), "c": (0.2, 0.2), "d": (0.1, 0.9)}
    rows = {name: {"prompt": name, "problem_id": name} for name in rewards}
    objective = Objective(ObjectiveConfig(resample=3), RewardsConfig(), 2, rows=rows)
    records = Records()
    asked: list[list[str]] = []

    def sample(inputs: list[dict[str, Any]]) -> dict[str, Any]:
        names = [row["problem_id"] for row in inputs]
        asked.append(names)
        values = [rewards[name][i % 2] for i, name in enumerate(names)]
        records.records = [
            RewardRecord(step=0, group=i // 2, problem_id=name, completion="", tokens=1, finish_reason="stop", reward=value)
            for i, (name, value) in enumerate(zip(names, values, strict=True))
        ]  # fmt: skip
        return {
            "advantages": torch.tensor(values),
            "completion_ids": torch.tensor([[ord(name)] for name in names]),
        }

    output = objective.sample([rows["a"], rows["a"], rows["b"], rows["b"]], sample, records, 0, 0)
    # a has no signal; c or d takes its place: d at once or, if c (without one too) came first, in the next round.
    assert "".join(map(chr, output["completion_ids"][:, 0].tolist())) == "ddbb"
    assert output["advantages"].tolist() == pytest.approx([0.1, 0.9, 0.0, 1.0])
    assert [r.problem_id for r in records.records[:4]] == ["d", "d", "b", "b"]
    sampled = Counter(name for names in asked for name in names)
    assert Counter(r.problem_id for r in records.records) == sampled
    assert [r.group for r in records.records] == [i // 2 for i in range(len(records.records))]
    assert "b" not in asked[1] + asked[-1][4:]


def test_a_limit_ends_the_resampling() -> None:
    rows = {"a": {"prompt": "a", "problem_id": "a"}}
    objective = Objective(ObjectiveConfig(resample=2), RewardsConfig(), 2, rows=rows)
    records = Records()
    rounds = []

    def sample(inputs: list[dict[str, Any]]) -> dict[str, Any]:
        rounds.append(len(inputs))
        records.records = [
            RewardRecord(step=0, group=0, problem_id="a", completion="", tokens=1, finish_reason="stop", reward=0.5)
            for _ in inputs
        ]  # fmt: skip
        return {"advantages": torch.zeros(len(inputs)), "completion_ids": torch.ones(len(inputs), 1)}

    output = objective.sample([rows["a"]] * 2, sample, records, 0, 0)
    assert rounds == [2, 2, 2]
    assert len(output["advantages"]) == 2
    assert len(records.records) == 6


def test_another_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"T has another tokenizer than the student \(2 tokens and 1; 'b'"):
        compare_tokens({"a": 0, "b": 1}, {"a": 0}, "T")
    with pytest.raises(ConfigError, match="the student is fresh"):
        check_teacher(DistilConfig(path="builtin:demo-base"), make_config().student)
    demo = make_config(student={"model": {"type": "checkpoint", "path": "builtin:demo-base"}}).student
    check_teacher(DistilConfig(path="builtin:demo-base"), demo)
    with pytest.raises(ConfigError, match="environment variable RLKD_NO_TEACHER is not set; name the folder"):
        check_teacher(DistilConfig(path="$RLKD_NO_TEACHER"), demo)
    with pytest.raises(ConfigError, match=r"rl\.objective\.distil\.path: there is no checkpoint folder"):
        check_teacher(DistilConfig(path=str(tmp_path / "none")), demo)


def test_a_teacher_of_the_hub_is_compared_where_its_tokenizer_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    demo = make_config(student={"model": {"type": "checkpoint", "path": "builtin:demo-base"}}).student
    teacher = DistilConfig(path="owner/teacher")
    check_teacher(teacher, demo)  # nothing cached: it is checked when it is loaded
    repo = tmp_path / "models--owner--teacher"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots" / "abc").mkdir(parents=True)
    file = repo / "snapshots" / "abc" / "tokenizer.json"
    shutil.copy(demo_base_folder() / "tokenizer.json", file)
    check_teacher(teacher, demo)
    values = json.loads(file.read_text())
    values["model"]["vocab"]["another"] = max(values["model"]["vocab"].values()) + 1
    file.write_text(json.dumps(values))
    with pytest.raises(
        ConfigError, match=r"^owner/teacher has another tokenizer than the student .*'another' is not"
    ):
        check_teacher(teacher, demo)


def test_what_a_teacher_alone_makes_useless_is_refused() -> None:
    with pytest.raises(ValueError, match=r"distil\.reward is false, so that normalize, weight would change"):
        ObjectiveConfig.model_validate(
            {"distil": {"path": "x", "reward": False}, "normalize": "components", "weight": "frontier"}
        )


class Wandering:
    """Structure scores by the length of the path, so that every group differs, each with one matched and one failed step."""

    async def score(self, items: Sequence[Any]) -> list[Any]:
        from schemas.alignment import StepMatch, StructureScore

        return [
            StructureScore(
                structure=(len(item.student.path) % 7) / 7, prefix=0, teacher_steps=1, student_steps=2,
                steps=(StepMatch(index=0, teacher_path=0, teacher_step=0), StepMatch(index=1)),
                spans=((0, len(item.student.path) // 2), (len(item.student.path) // 2, len(item.student.path))),
            )
            for item in items
        ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [
        {"teacher_in_group": True, "greedy_in_group": True},
        {"normalize": "components", "weight": "frontier", "resample": 1, "step_credit": 1.0},
    ],
    ids=["members", "advantages"],
)
def test_a_run_with_the_objective(
    objective: dict[str, Any], inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import GRPOTrainer

    torch.set_num_threads(1)
    monkeypatch.setattr("rlkd.structure.factory.make_scorer", lambda config: Wandering())
    compute, seen = GRPOTrainer._compute_loss, []

    def watched(self: Any, model: Any, given: Any) -> Any:
        loss = compute(self, model, given)
        seen.append(given["advantages"].detach().clone())
        return loss

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    settings = {"steps": 2, "prompts_per_step": 2, "group_size": 4, "save_every": 2, "objective": objective}
    config = make_config(rl=settings, rewards={"alpha": 0.9, "format": 0.0})
    rl.distil(make_context(tmp_path, config, inputs))
    rows = read_ledger(tmp_path / "ledger")
    members = Counter(row.member for row in rows)
    if "teacher_in_group" in objective:
        assert members == {"sampled": 8, "greedy": 4, "teacher": 4}
        assert all("The answer is" in row.completion for row in rows if row.member == "teacher")
        figures = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
        assert "greedy_truncated" in figures
        assert figures["tokens_sampled"] == sum(
            r.tokens for r in rows if r.step == 0 and r.member != "teacher"
        )
        assert seen[0].shape[1] > 1  # the teacher's tokens have advantages of their own
    else:
        assert members == {"sampled": 16}
        used = [row for row in rows if row.step == 0 and row.advantage]
        assert sum(row.advantage for row in used if row.advantage) == pytest.approx(0, abs=1e-3)
        zeros = (seen[0] == 0).float().mean().item()
        assert 0 < zeros < 1  # tokens of the spared steps are left out, others are not


@pytest.mark.slow
def test_a_teacher_that_is_the_student_itself_changes_nothing(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlkd.structure.factory.make_scorer", lambda config: Wandering())
    demo = {"type": "checkpoint", "path": "builtin:demo-base"}
    objective = {"distil": {"path": "builtin:demo-base", "reward": False}}
    config = make_config(
        student={"model": demo, "max_completion_tokens": 8, "max_prompt_tokens": 64},
        rl={"steps": 1, "prompts_per_step": 1, "group_size": 4, "save_every": 1, "objective": objective},
    )
    rl.distil(make_context(tmp_path, config, inputs))
    figures = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert figures["teacher_kl"] == pytest.approx(0.0, abs=1e-5)
    assert figures["grad_norm"] == pytest.approx(0.0, abs=1e-4)
    assert all(row.advantage == 0 for row in read_ledger(tmp_path / "ledger"))
