"""Early gating gives exactly what the paper's rule needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.judges.cascade import CascadeJudge
from rlkd.structure.judges.early_stop import prefix_verdicts

YES, NO = PairVerdict(1.0, 1.0, 1.0), PairVerdict(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("verdicts", "kept"),
    [([YES, YES], 2), ([YES, NO, YES], 2), ([NO, YES], 1), ([YES, None, YES], 2), ([], 0)],
)
def test_a_plain_judge_is_cut_after_the_branch_was_left(
    table_judge: Any, pair: Callable[..., StepPair], verdicts: list[PairVerdict | None], kept: int
) -> None:
    judge = table_judge({(f"t{i}", f"s{i}"): verdict for i, verdict in enumerate(verdicts)})
    pairs = [pair(f"t{i}", f"s{i}") for i in range(len(verdicts))]
    assert asyncio.run(prefix_verdicts(judge, [pairs, []], 0.5)) == [verdicts[:kept], []]
    # a cascade is a prefix judge: it looks at nothing after that
    cascade = CascadeJudge(judge, judge)
    judge.asked.clear()
    assert asyncio.run(prefix_verdicts(cascade, [pairs, []], 0.5)) == [verdicts[:kept], []]
    assert {key[0] for key in judge.asked} == {f"t{i}" for i in range(kept)}
