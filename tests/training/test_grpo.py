"""What TRL does with our reward: missing rewards, advantages, masks, and the steps that stop a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rlkd.errors import MissingScoreError, TrainingError
from rlkd.rewards.ledger import read_ledger
from rlkd.training import rl
from rlkd.training.group_reward import check_missing
from rlkd.training.practice import choose_problems, read_structures
from schemas.rollout import RewardRecord
from schemas.structure import Structure

from .conftest import make_config, make_context

pytestmark = pytest.mark.slow


class PlannedScorer:
    """Gives out planned structure scores, in order, for ever; ``None`` is missing."""

    def __init__(self, plan: Sequence[float | None]) -> None:
        self.plan = plan
        self.count = 0

    async def score(self, items: Sequence[Any]) -> list[Any]:
        from schemas.alignment import StructureScore

        scores: list[Any] = []
        for _ in items:
            value = self.plan[self.count % len(self.plan)]
            self.count += 1
            scores.append(
                None
                if value is None
                else StructureScore(structure=value, prefix=value, teacher_steps=1, student_steps=1)
            )
        return scores


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(plan: Sequence[float | None]) -> None:
        monkeypatch.setattr("rlkd.structure.factory.make_scorer", lambda config: PlannedScorer(plan))

    return use


ONLY_STRUCTURE = {"alpha": 1.0, "format": 0.0}


def train(inputs: dict[str, Path], folder: Path, **sections: Any) -> Any:
    torch.set_num_threads(1)
    settings: dict[str, Any] = {
        "steps": 1,
        "prompts_per_step": 2,
        "group_size": 4,
        "save_every": 1,
        **sections.pop("rl", {}),
    }
    config = make_config(rl=settings, rewards={**ONLY_STRUCTURE, **sections.pop("rewards", {})}, **sections)
    return rl.distil(make_context(folder, config, inputs))


def test_a_missing_reward_is_left_out_of_the_groups_mean_and_of_the_loss(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([1.0, None, 0.0, 0.5, 0.25, 0.25, 0.25, 0.25])
    outputs: list[dict[str, Any]] = []
    from rlkd.training import grpo

    make = grpo.make_trainer_class

    def spying() -> type:
        cls = make()
        inner = cls._generate_and_score_completions  # type: ignore[attr-defined]

        def spy(self: Any, rows: Any) -> Any:
            outputs.append(inner(self, rows))
            return outputs[-1]

        cls._generate_and_score_completions = spy  # type: ignore[attr-defined]
        return cls

    monkeypatch.setattr(grpo, "make_trainer_class", spying)
    train(inputs, tmp_path, rl={"max_missing_share": 0.5})
    rows = read_ledger(tmp_path / "ledger")
    assert [row.reward for row in rows] == [1.0, None, 0.0, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert rows[1].missing == ("structure",)
    # Group 0 without the missing one: mean 0.5, sample deviation sqrt((0.25 + 0.25 + 0) / 2) = 0.5;
    # advantages (1 - 0.5) / 0.5001 = 0.9998, 0 for the missing one, -0.9998, 0. Group 1 does not differ: 0.
    expected = [0.9998, 0.0, -0.9998, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert [row.advantage for row in rows] == pytest.approx(expected, abs=1e-4)
    output = outputs[0]
    assert output["advantages"].tolist() == pytest.approx(expected, abs=1e-4)
    lengths = [row.tokens for row in rows]
    lengths[1] = 0  # masked whole: no token of it counts
    assert output["completion_mask"].sum(1).tolist() == lengths
    assert output["num_items_in_batch"].item() == sum(lengths)
    assert [row.group for row in rows] == [0] * 4 + [1] * 4
    metrics = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert metrics["missing"] == pytest.approx(1 / 8)
    assert metrics["groups_without_difference"] == 0.5
    # (1 + 0 + 0.5 + 4 * 0.25) / 7
    assert metrics["reward"] == pytest.approx(2.5 / 7)


def test_too_many_missing_rewards_stop_the_run(inputs: dict[str, Path], tmp_path: Path, planned: Any) -> None:
    planned([0.5, None, 0.25, 0.75])
    with pytest.raises(
        MissingScoreError,
        match=r"25% of the rewards of step 1 are missing \(structure\), more than rl.max_missing_share = 20%",
    ):
        train(inputs, tmp_path, rl={"max_missing_share": 0.2})
    assert (
        sum(row.reward is None for row in read_ledger(tmp_path / "ledger")) == 2
    )  # what was missing can be looked up


def test_missing_structure_harms_nothing_where_it_carries_no_weight(
    inputs: dict[str, Path], tmp_path: Path, planned: Any
) -> None:
    planned([None])
    train(inputs, tmp_path, rewards={"alpha": 0.0})
    rows = read_ledger(tmp_path / "ledger")
    assert all(row.reward is not None and row.structure is None and not row.missing for row in rows)


def test_truncated_completions_can_be_left_out(inputs: dict[str, Path], tmp_path: Path, planned: Any) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    train(inputs, tmp_path, rl={"mask_truncated": True, "temperature": 3.0})
    rows = read_ledger(tmp_path / "ledger")
    cut = [row for row in rows if row.finish_reason == "length"]
    assert cut
    assert all(row.advantage == 0 for row in cut)
    assert all(row.tokens == 40 for row in cut)


def test_nan_in_the_loss_stops_before_the_weights_are_touched(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    from trl import GRPOTrainer

    compute = GRPOTrainer._compute_loss
    calls = {"count": 0}

    def poisoned(self: Any, model: Any, given: Any) -> Any:
        calls["count"] += 1
        loss = compute(self, model, given)
        return loss * float("nan") if calls["count"] == 3 else loss

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", poisoned)
    with pytest.raises(
        TrainingError,
        match=r"the loss became nan at step 3; .* the last good checkpoint is kept at .*checkpoint-2",
    ):
        train(inputs, tmp_path, rl={"steps": 5})
    monkeypatch.undo()
    assert (tmp_path / "work" / "checkpoints" / "checkpoint-2" / "complete.json").exists()


def test_an_infinite_gradient_stops_too(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    from transformers import Trainer

    monkeypatch.setattr(Trainer, "_clip_grad_norm", lambda self, model: torch.tensor(float("inf")))
    with pytest.raises(
        TrainingError, match=r"the gradient norm became inf at step 1; .* no checkpoint had been saved yet"
    ):
        train(inputs, tmp_path)


def test_sigterm_saves_and_says_how_to_continue(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    import os
    import signal

    from rlkd.rewards.ledger import Ledger

    added = {"count": 0}
    add = Ledger.add

    def adding(self: Ledger, records: Any) -> None:
        added["count"] += 1
        add(self, records)
        if added["count"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Ledger, "add", adding)
    with pytest.raises(
        TrainingError,
        match=r"asked to stop at step 2 of 5; the checkpoint of step 2 is kept; the same command continues it",
    ):
        train(inputs, tmp_path, rl={"steps": 5, "save_every": 5})
    assert max(row.step for row in read_ledger(tmp_path / "ledger")) == 1


def test_checkpoints_hold_no_pickle_but_the_trainers_resume_state(
    inputs: dict[str, Path], tmp_path: Path, planned: Any
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    train(inputs, tmp_path)
    pickles = {p.name for p in tmp_path.rglob("*") if p.suffix in {".pt", ".pth", ".bin", ".pkl"}}
    assert pickles == {"optimizer.pt", "scheduler.pt", "rng_state.pth"}
    published = {p.name for p in (tmp_path / "model").iterdir()}
    assert published == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_check_missing_counts_only_what_is_missing() -> None:
    def record(reward: float | None) -> RewardRecord:
        return RewardRecord(
            step=4, group=0, problem_id="p", completion="", tokens=1, finish_reason="stop", reward=reward,
            missing=() if reward is not None else ("outcome",),
        )  # fmt: skip

    rows = [record(0.0)] * 9 + [record(None)]
    check_missing(rows, 0.1)  # 1 of 10 is not more than a tenth
    with pytest.raises(MissingScoreError, match=r"step 5 are missing \(outcome\)"):
        check_missing([*rows[1:], record(None)], 0.1)


def test_a_group_without_a_signal_costs_no_backward_pass_and_changes_nothing(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from rlkd.training import shared_prompt

    packed: list[int] = []
    pack = shared_prompt.pack

    def counted(ids: torch.Tensor, *args: Any) -> Any:
        packed.append(len(ids))
        return pack(ids, *args)

    monkeypatch.setattr(shared_prompt, "pack", counted)
    plan, steps = [1.0, 0.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25], {"optimizer": {"learning_rate": 1e-2}}
    planned(plan)  # every second group of four has equal rewards
    train(inputs, tmp_path / "split", rl=steps)
    assert packed == [2, 6]  # 0.5 is the first group's mean: two of its four have no advantage either
    planned(plan)
    monkeypatch.setattr(shared_prompt, "log_probabilities", _all_learned(shared_prompt.log_probabilities))
    train(inputs, tmp_path / "whole", rl=steps)
    assert packed[2:] == [8]
    split, whole = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("split", "whole"))
    for name, value in whole.items():
        torch.testing.assert_close(split[name], value, rtol=1e-3, atol=1e-5)
    rows = [
        json.loads((tmp_path / n / "metrics.jsonl").read_text().splitlines()[-1]) for n in ("split", "whole")
    ]
    assert rows[0]["entropy"] == pytest.approx(rows[1]["entropy"], rel=1e-4)
    assert rows[0]["grad_norm"] == pytest.approx(rows[1]["grad_norm"], rel=1e-3)


def _all_learned(compute: Any) -> Any:
    return lambda *args, learned_B=None, **others: compute(*args, **others)


def test_kl_towards_the_starting_student_is_measured(
    inputs: dict[str, Path], tmp_path: Path, planned: Any
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    train(
        inputs,
        tmp_path,
        rl={"steps": 3, "kl": 0.1, "optimizer": {"learning_rate": 1e-2, "schedule": "constant"}},
    )
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert rows[2]["kl"] > 1e-5


def test_lora_adapters_are_trained_and_merged_in(
    inputs: dict[str, Path], tmp_path: Path, planned: Any
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    lora = {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    train(
        inputs,
        tmp_path,
        student={"lora": lora},
        rl={"steps": 2, "optimizer": {"learning_rate": 1e-2, "schedule": "constant"}},
    )
    from safetensors.torch import load_file

    before = load_file(tmp_path / "base" / "model.safetensors")
    after = load_file(tmp_path / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.v_proj.weight"}


def test_teachers_without_a_step_and_long_prompts_are_skipped_and_counted(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    from rlkd.data.drawn import drawn_pairs
    from rlkd.student.fresh import fresh_student
    from rlkd.student.prompts import PromptBook

    config = make_config()
    pairs = drawn_pairs(inputs)
    book = PromptBook(config.student, fresh_student(config.student, ["What is 1 + 2?"], 0).tokenizer)
    structures = read_structures(inputs["structures"])
    first = pairs[0][1]
    structures[first.id] = Structure(trace_id=first.id)
    long = pairs[1][0].model_copy(update={"question": "why " * 60})
    pairs[1] = (long, pairs[1][1])
    practice = choose_problems(book, pairs, structures)
    assert (practice.without_structure, practice.long_prompts, len(practice.problems)) == (1, 1, 10)


def test_a_step_without_sampling_claims_no_samples(
    inputs: dict[str, Path], tmp_path: Path, planned: Any
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    train(inputs, tmp_path, rl={"steps": 4, "steps_per_generation": 2})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert ["tokens_sampled" in row for row in rows] == [True, False, True, False]
    ledger = read_ledger(tmp_path / "ledger")
    assert sum(row["tokens_sampled"] for row in rows[::2]) == sum(row.tokens for row in ledger)
    assert {row.step for row in ledger} == {0, 2}


def test_a_full_disk_loses_nothing_that_was_saved(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def full(self: Any, folder: str) -> None:
        if self.state.global_step == 2:
            raise RuntimeError(
                "[enforce fail at inline_container.cc:672] . write failed: No space left on device"
            )
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(
        TrainingError,
        match=r"the disk is full: the checkpoint of step 2 .*checkpoint-1 is kept\); free some space",
    ):
        train(inputs, tmp_path, rl={"steps": 3})
    assert [p.name for p in (tmp_path / "work" / "checkpoints").iterdir()] == ["checkpoint-1"]
    monkeypatch.undo()
    planned([0.1, 0.9, 0.4, 0.6])
    train(inputs, tmp_path, rl={"steps": 3})
    assert [row.step for row in read_ledger(tmp_path / "ledger")] == [
        step for step in range(3) for _ in range(8)
    ]


def test_a_group_stays_in_one_forward_pass(
    inputs: dict[str, Path], tmp_path: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned([0.1, 0.9, 0.4, 0.6])
    from trl import GRPOTrainer

    compute = GRPOTrainer._compute_loss
    passes: list[tuple[int, int]] = []

    def watched(self: Any, model: Any, given: Any) -> Any:
        passes.append((len(given["prompt_ids"].unique(dim=0)), len(given["prompt_ids"])))
        return compute(self, model, given)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    train(inputs, tmp_path, rl={"steps": 2, "prompts_per_step": 4, "micro_batch": 4})
    assert passes == [(1, 4)] * 8  # two steps of four groups of four completions, a group in each pass
