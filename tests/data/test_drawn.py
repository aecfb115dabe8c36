from __future__ import annotations

from pathlib import Path

import pytest

from rlkd.data.drawn import accepted_pairs, draw, drawn_pairs, training_pairs, write_drawn
from rlkd.errors import DataError
from rlkd.io import write_rows

from ..training.conftest import make_problem, make_trace


def test_the_seed_decides_which_traces_are_drawn(inputs: dict[str, Path]) -> None:
    pairs = accepted_pairs(inputs["data"], inputs["traces"], "train")
    assert len(pairs) == 12
    first = draw(pairs, 5, seed=3)
    assert draw(pairs, 5, seed=3) == first
    assert draw(pairs, 5, seed=4) != first
    assert [pair for pair in pairs if pair in first] == first  # in the order of the file
    assert draw(pairs, None, 3) == draw(pairs, 12, 3) == draw(pairs, 99, 3) == pairs


def test_rl_works_with_the_traces_of_the_warm_start(inputs: dict[str, Path], tmp_path: Path) -> None:
    chosen = training_pairs(inputs["data"], inputs["traces"], 4, seed=1)
    write_drawn(tmp_path, chosen)
    assert drawn_pairs({**inputs, "warm_start": tmp_path}) == chosen
    assert len(drawn_pairs(inputs)) == 12


def test_validation_traces_teach_nobody(inputs: dict[str, Path]) -> None:
    names = {problem.id for problem, _ in training_pairs(inputs["data"], inputs["traces"], None, 0)}
    assert not any(name.startswith("validation") for name in names)


def test_no_accepted_trace_is_a_clear_error(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [make_problem(1, 1, "train")])
    write_rows(tmp_path / "accepted.jsonl", [make_trace(make_problem(1, 1, "test"))])
    with pytest.raises(
        DataError, match=r"no training problem has an accepted teacher trace; see rejected\.jsonl"
    ):
        training_pairs(tmp_path, tmp_path, None, 0)
