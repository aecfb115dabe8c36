"""Own pairs of reference and completion, kind by kind: what bug reports of answer checkers name, in further cases.

``pairs.jsonl`` holds ``{kind, answer, right, wrong}``. A statement that begins with a line break is the end of a completion; any other
one is what stands in the box.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from rlkd.answers.conventions import read_any
from rlkd.answers.equal import judge_answer

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
]
BY_KIND: dict[str, list[dict[str, list[str]]]] = defaultdict(list)
for _row in ROWS:
    BY_KIND[_row["kind"]].append(_row)


def accepted(reference: str, statement: str) -> bool:
    end = statement if statement.startswith("\n") else f"\nThe answer is \\boxed{{{statement}}}."
    answer = read_any(f"3 + 4 = 7.{end}").answer
    return answer is not None and judge_answer(reference, answer).right is True


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_right_ones_are_accepted_and_wrong_ones_are_not(kind: str) -> None:
    rejected = [
        (row["answer"], s) for row in BY_KIND[kind] for s in row["right"] if not accepted(row["answer"], s)
    ]  # type: ignore[arg-type]
    passed = [(row["answer"], s) for row in BY_KIND[kind] for s in row["wrong"] if accepted(row["answer"], s)]  # type: ignore[arg-type]
    assert (rejected, passed) == ([], [])
