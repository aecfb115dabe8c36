"""Greedy figures during RL: which problems, when, and which step was best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import ConfigError, DataError
from rlkd.io import write_rows
from rlkd.pipeline.events import NullSink
from rlkd.rewards.scoring import RewardModel
from rlkd.structure.scorer import StructureScorer
from rlkd.student.prompts import PromptBook
from rlkd.training.validation import Validation, best_step, choose_validation, figures, make_validation
from schemas.rollout import RewardRecord

from .conftest import make_config, make_context, make_problem


class Letters:
    """A tokenizer of letters."""

    chat_template = None
    eos_token_id = 0

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


def book(max_prompt_tokens: int = 40) -> PromptBook:
    return PromptBook(make_config(student={"max_prompt_tokens": max_prompt_tokens}).student, Letters())


def record(outcome: float | None, structure: float | None) -> RewardRecord:
    return RewardRecord.model_validate(
        {
            "step": 0,
            "group": 0,
            "problem_id": "p",
            "completion": "",
            "tokens": 1,
            "finish_reason": "stop",
            "components": {"outcome": outcome, "structure": structure},
        }
    )


def test_figures_are_means_over_what_could_be_scored() -> None:
    # 1 of the 3 answers that could be verified is right; (0.5 + 0 + 0.7) / 3
    found = figures([record(1.0, 0.5), record(0.0, None), record(None, 0.0), record(0.5, 0.7)])
    assert found == pytest.approx(
        {"validation_accuracy": 1 / 3, "validation_structure": 0.4, "validation_truncated": 0.0}
    )
    assert figures([record(1.0, None)]) == {"validation_accuracy": 1.0, "validation_truncated": 0.0}
    assert figures([]) == {}


def test_the_best_step_is_the_earliest_of_the_best_and_never_the_start() -> None:
    def row(step: int, accuracy: float, structure: float = 0.0) -> dict[str, float]:
        return {"step": step, "validation_accuracy": accuracy, "validation_structure": structure}

    assert best_step([{"step": 1, "loss": 0.5}]) is None
    assert best_step([row(0, 0.9)]) is None
    rows = [row(0, 0.9), row(2, 0.5, 0.1), row(4, 0.5, 0.3), row(6, 0.5, 0.3), row(8, 0.4, 1.0)]
    assert best_step(rows) == 4  # by accuracy 2, 4 and 6, by structure 4 and 6, and 4 came first


@pytest.mark.parametrize(
    ("every", "total", "expected"), [(3, 7, [0, 3, 6, 7]), (10, 4, [0, 4]), (1, 2, [0, 1, 2])]
)
def test_it_is_due_at_the_start_every_so_often_and_at_the_end(
    every: int, total: int, expected: list[int]
) -> None:
    model = RewardModel(make_config().rewards, make_config().student, StructureScorer(), {}, {})
    validation = Validation([], [], model, every, 8)
    assert [step for step in range(total + 1) if validation.due(step, total)] == expected


def test_problems_are_drawn_by_seed_kept_in_order_and_fit() -> None:
    problems = [make_problem(a, 5, "validation") for a in range(1, 31)]
    drawn = choose_validation(book(), problems, 10, seed=1)
    assert len(drawn) == 10 and drawn == [problem for problem in problems if problem in drawn]
    assert drawn == choose_validation(book(), problems, 10, seed=1)
    assert drawn != choose_validation(book(), problems, 10, seed=2)
    assert choose_validation(book(), problems, 99, seed=1) == problems
    # "What is 5 + 5?\n" has 15 letters, "What is 10 + 5?\n" 16
    assert choose_validation(book(15), problems, 99, seed=1) == problems[:9]


def test_a_teacherless_problem_has_an_empty_list_of_teachers(inputs: dict[str, Path], tmp_path: Path) -> None:
    config = make_config(rl={"eval_every": 5, "eval_problems": 4})
    structures = tmp_path / "structures"
    structures.mkdir()
    rows = (inputs["structures"] / "structures.jsonl").read_text().splitlines()
    (structures / "structures.jsonl").write_text(
        "".join(line + "\n" for line in rows if '"validation-1-5"' not in line)
    )
    ctx = make_context(tmp_path / "rl", config, {**inputs, "structures": structures})
    model = RewardModel(config.rewards, config.student, StructureScorer(), {}, {})
    made = make_validation(ctx, book(), model, boundary=4)
    assert made is not None
    assert made.every == 8  # 5 rounded up to a multiple of 4
    assert {name: len(found) for name, found in made.model.teachers.items()} == {
        "validation-1-5": 0,
        "validation-2-5": 1,
        "validation-3-5": 1,
        "validation-4-5": 1,
    }


def test_without_validation_problems(inputs: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "data"
    empty.mkdir()
    write_rows(empty / "validation.jsonl", [])
    given = {**inputs, "data": empty}
    said: list[str] = []

    class Sink(NullSink):
        def message(self, text: str) -> None:
            said.append(text)

    def make(**rl: Any) -> Validation | None:
        from dataclasses import replace

        config = make_config(rl=rl)
        ctx = replace(make_context(tmp_path / "rl", config, given), events=Sink())
        model = RewardModel(config.rewards, config.student, StructureScorer(), {}, {})
        return make_validation(ctx, book(), model, 1)

    assert make() is None and said == []
    assert make(eval_every=2) is None
    assert said == ["rl.eval_every is set, but there is no validation problem to evaluate on"]
    with pytest.raises(DataError, match=r"rl\.keep is best, but no validation problem"):
        make(eval_every=2, keep="best")


def test_the_best_must_be_measured() -> None:
    from rlkd.config.load import parse_config

    with pytest.raises(
        ConfigError, match="keep is best, but nothing is evaluated during training; set eval_every"
    ):
        parse_config({"name": "t", "data": {"type": "world"}, "rl": {"keep": "best"}})
