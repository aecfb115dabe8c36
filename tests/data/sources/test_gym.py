"""reasoning-gym as a source: its problems, its own verifier, evaluation only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from rlkd.answers.verify import judge_problem
from rlkd.config.load import parse_config
from rlkd.data.sources import Loaded, open_source
from rlkd.data.traces import verify_trace
from rlkd.errors import ConfigError, DataError

pytestmark = pytest.mark.skipif(
    find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed (extra 'gym')"
)

SIZES = {"train": 3, "validation": 2, "test": 4}


def load(dataset: str = "chain_sum", seed: int = 0, **data: Any) -> Loaded:
    values = {
        "name": "t",
        "data": {"type": "reasoning_gym", "dataset": dataset, "sizes": SIZES, **data},
        "traces": {"teacher": {"type": "none"}},
        "warm_start": {"enabled": False},
        "rl": {"enabled": False},
    }
    return open_source(parse_config(values).data).load(seed)


def test_problems_come_by_seed_and_verify_with_their_own_verifier() -> None:
    loaded, again, other = load(), load(), load(seed=1)
    assert {split: len(problems) for split, problems in loaded.splits.items()} == SIZES
    assert loaded.splits == again.splits
    assert loaded.splits["test"] != other.splits["test"]
    questions = [p.question for problems in loaded.splits.values() for p in problems]
    assert len(set(questions)) == 9
    problem = loaded.splits["test"][0]
    assert judge_problem(problem, problem.answer).right is True
    assert judge_problem(problem, problem.answer + "1").right is False


def test_parameters_reach_the_dataset() -> None:
    loaded = load(parameters={"min_terms": 5, "max_terms": 5})
    assert all(p.question.count("+") + p.question.count(" - ") == 4 for p in loaded.splits["test"])


def test_repeated_draws_are_dropped_across_splits() -> None:
    tiny = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    loaded = load(parameters=tiny, sizes={"train": 150, "validation": 50, "test": 50})
    questions = [p.question for problems in loaded.splits.values() for p in problems]
    assert len(questions) == len(set(questions))
    repeated = sum(row.reason == "exact duplicate" for row in loaded.dropped)
    assert repeated == 250 - len(questions) > 0


def test_unknown_names_and_parameters_are_named() -> None:
    with pytest.raises(DataError, match="no dataset 'chain_sun'; did you mean 'chain_sum'"):
        load("chain_sun")
    with pytest.raises(
        DataError, match=r"data\.parameters: reasoning-gym dataset 'chain_sum' refuses them \(.*min_term"
    ):
        load(parameters={"min_term": 5})
    with pytest.raises(DataError, match=r"data\.sizes\.ood"):
        load(sizes={**SIZES, "ood": 2})


def test_solution_steps_that_a_dataset_carries_are_teacher_traces() -> None:
    values = {"name": "t", "data": {"type": "reasoning_gym", "dataset": "gsm_symbolic", "sizes": SIZES}}
    config = parse_config({**values, "traces": {"teacher": {"type": "column"}}})
    problems = open_source(config.data).load(0).splits["train"]
    assert all(verify_trace(p, p.traces[0], "column", "t").accepted for p in problems)
    with pytest.raises(ConfigError, match="has no teacher traces"):
        parse_config(
            {
                **values,
                "data": {**values["data"], "dataset": "chain_sum"},
                "traces": {"teacher": {"type": "column"}},
            }  # type: ignore[dict-item]
        )
