from __future__ import annotations

import pytest

from rlkd.experiments.details import by_domain, cell_scores, examples
from schemas.evaluation import ProblemOutput


def output(
    name: str, correct: bool | None, structure: float | None = None, **others: object
) -> ProblemOutput:
    values = {
        "checkpoint": "rlkd", "split": "test", "problem_id": name, "domain": "math", "difficulty": None,
        "completion": f"text {name}", "answer": None, "correct": correct, "structure": structure, "format": 1.0,
        "tokens": 3, "finish_reason": "stop", **others,
    }  # fmt: skip
    return ProblemOutput.model_validate(values)


def test_scores_of_a_cell_by_hand() -> None:
    rows = [
        output("a", True, 0.9, samples=4, correct_samples=2),
        output("b", True, 0.2, finish_reason="length", samples=4, correct_samples=0),
        output("c", False, 0.9),
        output("d", None, 0.9),
    ]
    found = cell_scores(rows)
    assert found["test/truncated"] == 0.25
    # Over a and b: pass@1 (2/4 + 0) / 2; pass@2 of a: 1 - C(2,2)/C(4,2) = 5/6, so 5/12; pass@4 1/2.
    assert found["test/pass@1"] == pytest.approx(0.25)
    assert found["test/pass@2"] == pytest.approx(5 / 12)
    assert found["test/pass@4"] == 0.5
    assert "test/pass@8" not in found


def test_accuracy_by_domain() -> None:
    rows = [output("a", True), output("b", False), output("c", True, domain="logic")]
    assert by_domain(rows, "test") == {"logic": 1.0, "math": 0.5}
    assert by_domain(rows, "ood") == {}


def test_examples_are_problems_that_one_alone_gets_right() -> None:
    mine = [output(n, n in "abc") for n in "abcdef"]
    theirs = [output(n, n in "ade", finish_reason="length" if n == "b" else "stop") for n in "abcdef"]
    found = examples(("A", mine), ("B", theirs), {"b": "why?"}, "test", each=1)
    assert [(item.problem_id, item.winner, item.b_cut) for item in found] == [
        ("b", "A", True),
        ("d", "B", False),
    ]
    assert (found[0].question, found[0].a_text) == ("why?", "text b")
