"""What rlkd check says of traces that do not state their answer."""

from __future__ import annotations

import pytest

from rlkd.data.stated_answers import examine_traces
from schemas.problem import Problem


def _problems(*traces: str) -> list[Problem]:
    return [
        Problem(id=f"p{i}", source="test", question="How many?", answer="7", traces=(trace,))
        for i, trace in enumerate(traces)
    ]


@pytest.mark.parametrize(
    ("traces", "counts", "usable"),
    [
        (["3 + 4 = 7.\nThe answer is 7.", "3 + 4 = 7\n#### 7"], (2, 0, 0), True),
        (["3 + 4 = 7.", "Three and four make seven.", "#### 7"], (3, 2, 0), False),
        (["The answer is 8.", "\\boxed{7}", "**Answer:** 7"], (3, 0, 1), True),
        ([], (0, 0, 0), True),
    ],
)
def test_counts_what_cannot_teach(traces: list[str], counts: tuple[int, int, int], usable: bool) -> None:
    found = examine_traces(_problems(*traces))
    assert (found.traces, found.silent, found.wrong) == counts
    assert found.mostly_usable is usable


def test_names_one_example_and_the_remedy() -> None:
    text = examine_traces(
        _problems("We count them.\nThere are seven eggs, I think.", "3 + 4 = 7.", "#### 7")
    ).text()
    assert "1 of 3 traces" in text
    assert "2 state no answer" in text
    assert "There are seven eggs" in text
    assert "data.answer_pattern" in text
