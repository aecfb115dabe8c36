from __future__ import annotations

from typing import Any

import pytest

from rlkd.evaluation.answers import f1_score, grade_answer, majority_share, metric_scores
from schemas.benchmarks import AnswerRow
from schemas.problem import Problem
from schemas.rollout import Completion

APPLES = Problem(id="p", question="2 + 3 apples?", answer="5")


def done(text: str, finish: str = "stop") -> Completion:
    return Completion(problem_id="p", text=text, tokens=9, finish_reason=finish)  # type: ignore[arg-type]


def row(answer: str | None, right: bool) -> AnswerRow:
    return AnswerRow(
        key=str(answer),
        problem_id="p",
        sample=0,
        completion="",
        answer=answer,
        right=right,
        scores={},
        strict={},
        tokens=1,
        finish_reason="stop",
    )


@pytest.mark.parametrize(
    ("text", "finish", "strict", "lenient"),
    [
        ("2 + 3 = 5\nThe answer is \\boxed{5}.", "stop", 1, 1),
        ("2 + 3 = 5\nThe answer is 5.", "stop", 0, 1),  # another form
        ("So he has 5 apples left.", "stop", 0, 1),  # no form at all
        ("So he has 5 apples and", "length", 0, 0),  # cut off: it has not come to its answer
        ("He has 5. Then he has 6 apples.", "stop", 0, 0),
        ("\\boxed{6}", "stop", 0, 0),
        ("", "stop", 0, 0),
    ],
)
def test_strict_and_lenient(text: str, finish: str, strict: int, lenient: int) -> None:
    found = grade_answer(APPLES, done(text, finish), "boxed")
    assert (found.strict, found.scores) == ({"accuracy": strict}, {"accuracy": lenient})
    assert found.right is bool(lenient)


def test_a_yes_at_the_end_counts_leniently_and_a_choice_does_not() -> None:
    yes = Problem(id="p", question="Is it?", answer="yes")
    assert grade_answer(yes, done("It is not no. So it is: Yes indeed"), "boxed").right is True
    choice = Problem(id="p", question="?", answer="5", metadata={"choices": {"5": "x", "6": "y"}})
    assert grade_answer(choice, done("There are 5 of them around"), "boxed").answer is None


def test_an_undecided_answer_has_no_verdict_and_says_why() -> None:
    found = grade_answer(Problem(id="p", question="?", answer="5 apples"), done("\\boxed{5 km}"), "boxed")
    assert (found.right, found.scores) == (None, {"accuracy": None})
    assert found.undecided == "units that are not known"


def coqa(*references: str) -> Problem:
    metadata: dict[str, Any] = {"benchmark": "coqa", "references": list(references)}
    return Problem(id="p", question="Where?", answer=references[0], metadata=metadata)


def test_coqa_is_scored_by_exact_match_and_word_f1() -> None:
    # one reference "in a barn", answer "the old barn": words {old, barn} and {in, barn}: P = R = 1/2
    assert metric_scores(coqa("in a barn"), "the old barn", False) == {"exact_match": 0, "f1": 0.5}
    # two references, each left out once: against {a barn} 1, against {in a barn}: P = 1, R = 1/2, F1 = 2/3
    scores = metric_scores(coqa("in a barn", "a barn"), "barn", True)
    assert scores == {"exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2)}
    assert metric_scores(coqa("in a barn"), None, False) == {"exact_match": 0, "f1": 0}
    assert f1_score(APPLES, "5") is None


def test_majority() -> None:
    votes = [row("7", False), row("7.0", False), row("8", True), row("8", True), row("9", False)]
    assert majority_share(APPLES, votes) == 0.5  # 7 and 8 have two votes each
    assert majority_share(APPLES, [*votes, row("8 apples", True)]) == 1
    assert majority_share(APPLES, [row(None, False), row(None, False), row("8", True)]) == 1
    assert majority_share(APPLES, [row(None, False)]) == 0


def test_votes_for_one_option_belong_together() -> None:
    problem = Problem(
        id="p", question="?", answer="C", metadata={"choices": {"A": "mess", "B": "cake", "C": "21"}}
    )
    votes = [row("B", False), row("(B) cake", False), row("C", True)]
    assert majority_share(problem, votes) == 0
