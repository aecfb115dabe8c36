"""Every entrance pays the same for the same completion: RL, TRL, verl, ``rlkd score`` and ``score_paths``."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from rlkd.answers.conventions import read_any
from rlkd.rewards.files import score_file
from rlkd.rewards.functions import compute_score, make_reward_function
from rlkd.rewards.scoring import RewardModel
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.interfaces import with_answer
from rlkd.structure.scorer import StructureScorer, score_paths, teacher_item
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion

DATA = Path(os.environ.get("RLKD_DATA", Path(__file__).parents[3] / "shared" / "data"))
REWARDS = RewardsConfig(format=0.0, guessed=0.5)
BONY = "Every cat is an animal. Animals are not bony. Tom is a cat. True or false: Tom is bony."
STEPS = "Tom is a cat.\nEvery cat is an animal.\nTom is an animal.\nAnimals are not bony.\nTom is not bony."
HOCKEY = "DK Metcalf is an American football player. Taking a backhand shot is part of hockey."
RACCOONS = "2 of the 3 raccoons went home, so now there is only 1 left."
MADE = [
    (BONY, f"{STEPS}\nThe answer is False.", f"{STEPS}\nThe answer is True.", "False"),
    (BONY, f"{STEPS}\nThe answer is False.", STEPS, "False"),
    ("Is it plausible?", f"{HOCKEY} So the answer is no.", f"{HOCKEY}\nThe answer is no.", "no"),
    ("Is it plausible?", f"{HOCKEY} So the answer is no.", f"{HOCKEY} Thus, the answer is yes.", "no"),
    ("3 raccoons play. 2 go home. How many are left?", f"{RACCOONS}\n#### 1", f"{RACCOONS}\n#### 2", "1"),
    ("16 eggs, 7 eaten, $2 each?", "16 - 7 = 9\n9 * 2 = 18\n#### 18", "16 - 7 = 9\n$$9 * 2 = 18$$", "18"),
    ("Solve: x + 3 = 8", "x = 8 - 3 = 5. The answer is \\boxed{5}.", "<think>8 - 3 = 5</think>\\boxed{5}", "5"),
]  # fmt: skip


def everywhere(
    problem: str, teacher: str, student: str, answer: str, folder: Path
) -> list[tuple[float, float]]:
    """Structure and reward by each entrance."""
    row = {"problem": problem, "teacher": teacher, "student": student, "answer": answer}
    source, target, config = folder / "in.jsonl", folder / "out.jsonl", folder / "reward.yaml"
    source.write_text(json.dumps(row) + "\n")
    config.write_text("rewards: {guessed: 0.5}\n")
    score_file(source, target, rewards=REWARDS)
    file = json.loads(target.read_text())
    [trl] = make_reward_function(rewards=REWARDS).score(
        [problem], [student], teacher=[teacher], answer=[answer]
    )
    verl = compute_score("x", student, answer, {"teacher": teacher, "problem": problem}, config=str(config))
    item = teacher_item(problem, teacher)
    [read] = asyncio.run(RulesDecomposer().decompose([item]))
    taught = with_answer(read, item.answer)
    assert taught is not None
    problems = {"p": Problem(id="p", question=problem, answer=answer)}
    completion = Completion(problem_id="p", text=student, tokens=9, finish_reason="stop")
    output = "think_boxed" if "</think>" in student else "answer_line"
    model = RewardModel(REWARDS, StudentConfig(output=output), StructureScorer(), problems, {"p": [taught]})
    [record] = asyncio.run(model.score([completion], 0))
    alone = score_paths(problem, [teacher], student)
    assert alone is not None
    found = [
        (file["structure"], file["reward"]),
        (trl.values["structure"], trl.combined.reward),
        (verl["structure"], verl["score"]),
        (record.structure, record.reward),
        (alone.structure, file["reward"]),
    ]
    return [(float(structure), float(reward)) for structure, reward in found]


@pytest.mark.parametrize(("problem", "teacher", "student", "answer"), MADE)
def test_made_up_rows(problem: str, teacher: str, student: str, answer: str, tmp_path: Path) -> None:
    assert len(set(everywhere(problem, teacher, student, answer, tmp_path))) == 1


def test_by_hand(tmp_path: Path) -> None:
    found = [everywhere(*row, tmp_path)[0] for row in MADE]
    # All steps, but "True" where the path finds "not bony": 2 halvings, and no outcome
    assert found[0] == (0.25, 0.125)
    # No conclusion: 1.5 halvings, no answer
    assert found[1] == pytest.approx((2**-1.5, 2**-1.5 / 2))
    # "So" is no step: all is there
    assert found[2] == (1.0, 1.0)
    assert found[3] == (0.25, 0.125)
    # the path calculates: what it states beside that is the outcome's business
    assert found[4] == (1.0, 0.5)
    # a formula on the last line states the answer and is a step
    assert found[5][0] > 0.97


@pytest.mark.parametrize("name", ["sports", "strategyqa", "date", "clutrr", "aqua", "gsm8k", "svamp"])
def test_real_rows(name: str, tmp_path: Path) -> None:
    path = DATA / "model_traces" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"RLKD_DATA does not hold {path.name}")
    lines = path.read_text(encoding="utf-8").splitlines()[:4]
    for row in map(json.loads, lines):
        texts = [trace["text"] for trace in row["traces"] if trace["text"].strip()]
        right = next((trace["text"] for trace in row["traces"] if trace["right"]), "")
        for text in texts[:4]:
            if read_any(right).path.strip():
                found = everywhere(row["question"], right, text, str(row.get("answer", "")) or "7", tmp_path)
                assert len(set(found)) == 1, text
