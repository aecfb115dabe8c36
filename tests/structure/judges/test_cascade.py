"""The cheap judge first; the better one only where the first is unsure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.judges.cascade import CascadeJudge

BETTER = PairVerdict(0.9, 0.9, 0.9)


@pytest.mark.parametrize(
    ("cheap", "asked"),
    [
        (PairVerdict(1.0, 0.9, 0.0), False),  # three clear answers
        (PairVerdict(0.1, 0.1, 0.5), False),  # another intent: the unclear answer does not matter
        (PairVerdict(0.5, 1.0, 1.0), True),
        (PairVerdict(1.0, 1.0, 0.5), True),
        (PairVerdict(0.1, 0.5, 0.0), True),
        (None, True),
    ],
)
def test_only_unsure_pairs_are_passed_on(
    table_judge: Any, pair: Callable[..., StepPair], cheap: PairVerdict | None, asked: bool
) -> None:
    first, then = table_judge({("t", "s"): cheap}), table_judge({("t", "s"): BETTER})
    cascade = CascadeJudge(first, then)
    assert asyncio.run(cascade.judge([pair("t", "s")])) == [BETTER if asked else cheap]
    assert (cascade.seen, cascade.passed_on, len(then.asked)) == (1, int(asked), int(asked))


def test_order_is_kept_and_a_failed_second_opinion_is_missing(
    table_judge: Any, pair: Callable[..., StepPair]
) -> None:
    sure, unsure = PairVerdict(1.0, 1.0, 1.0), PairVerdict(0.5, 0.5, 0.5)
    first = table_judge({("a", "a"): sure, ("b", "b"): unsure, ("c", "c"): unsure})
    then = table_judge({("b", "b"): None, ("c", "c"): BETTER})
    verdicts = asyncio.run(CascadeJudge(first, then).judge([pair("a", "a"), pair("b", "b"), pair("c", "c")]))
    assert verdicts == [sure, None, BETTER]
    assert then.asked == [("b", "b"), ("c", "c")]
