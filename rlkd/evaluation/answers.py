"""Reads and scores answers to benchmark problems: strictly and leniently, by the benchmark's metric, and by majority."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rlkd.answers.choices import choice_equal
from rlkd.answers.conventions import OutputFormat, read_output
from rlkd.answers.equal import judge_answer
from rlkd.answers.several import exact_match, leave_one_out, normalise, word_f1
from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import CHOICES_KEY, REFERENCES_KEY
from rlkd.data.benchmarks import metric_of
from rlkd.quantities.amounts import read_amount
from rlkd.quantities.numbers import PROSE_NUMBER
from rlkd.quantities.signs import plain_signs
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.standard import outcome_reward
from schemas.benchmarks import AnswerRow
from schemas.problem import Problem
from schemas.rollout import Completion

GRADER = 2
"""Raised when answers are read or scored otherwise: rows of another version are made again."""
_NUMBER = re.compile(rf"[-+]?[$€£]?(?:{PROSE_NUMBER})")
_CLOSED = re.compile(r"\b(yes|no|true|false)\b", re.IGNORECASE)

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Graded:
    """The scores of one completion; see :class:`schemas.benchmarks.AnswerRow`."""

    answer: str | None
    right: bool | None
    scores: Scores
    strict: Scores
    undecided: str


def grade_answer(problem: Problem, completion: Completion, output: OutputFormat) -> Graded:
    r"""Scores a completion by the benchmark's metric, strictly and leniently.

    Strict is the answer in the output form, once and at the end; lenient is any statement of an answer, and where there is
    none the last number of a text that came to its end (``flexible-extract`` of lm-eval), if the reference is a number, or
    its last yes, no, true or false, if the reference is one. The difference is what a model only lacks in form.

    Example:
        ``So he has 5 apples left.`` where ``\boxed{5}`` is asked for: strict 0, lenient 1.
    """
    parsed = read_output(completion.text, output)
    answer = parsed.answer if parsed.answer is not None else _last_value(problem, completion)
    rollout = Rollout(
        question=problem.question,
        reference=problem.answer,
        text=completion.text,
        parsed=replace(parsed, answer=answer),
        output=output,
        problem=problem,
    )
    value = outcome_reward(rollout, undecided="missing")
    right = None if value is None else value >= 1.0
    return Graded(
        answer,
        right,
        metric_scores(problem, answer, right),
        metric_scores(problem, answer, right) if parsed.well_formed else metric_scores(problem, None, False),
        rollout.notes.get("outcome", ""),
    )


def metric_scores(problem: Problem, answer: str | None, right: bool | None) -> Scores:
    """Computes the metrics of a problem's benchmark for one answer.

    Args:
        problem: The problem.
        answer: The answer; ``None`` where none is stated.
        right: Whether it is right by the problem's verifier; ``None`` where that is not known.
    """
    if metric_of(problem) == "accuracy":
        return {"accuracy": None if right is None else float(right)}
    references = list(problem.metadata.get(REFERENCES_KEY) or [problem.answer])
    scored: dict[str, Callable[[str, Sequence[str]], float]] = {"exact_match": exact_match, "f1": word_f1}
    return {
        name: 0.0 if answer is None else leave_one_out(score, answer, references)
        for name, score in scored.items()
    }


def f1_score(problem: Problem, answer: str | None) -> float | None:
    """Computes the word F1 of an answer where the problem's benchmark is scored by it; else ``None``."""
    return metric_scores(problem, answer, None).get("f1")


def _last_value(problem: Problem, completion: Completion) -> str | None:
    """The last value of a text that states no answer; none of one that was cut off, which has not come to its answer."""
    if completion.finish_reason != "stop" or CHOICES_KEY in problem.metadata:
        return None
    _, closed, rest = completion.text.rpartition("</think>")
    text = plain_signs(rest if closed else completion.text)
    if read_amount(plain_signs(problem.answer)) is not None:
        found = list(_NUMBER.finditer(text))
        return found[-1][0] if found else None
    if _CLOSED.fullmatch(problem.answer.strip()):
        words = list(_CLOSED.finditer(text))
        return words[-1][0] if words else None
    return None


def majority_share(problem: Problem, rows: Sequence[AnswerRow]) -> float:
    """Computes the chance that the most frequent answer of some samples is right, ties broken at random.

    Samples without an answer have no vote; where none has one it is 0. Wang et al. 2022, arXiv 2203.11171.

    Example:
        Votes 7, 7, 8, 8, 9 with 8 right: 0.5.
    """
    groups: list[tuple[str, bool, list[None]]] = []
    for row in rows:
        if row.answer is None:
            continue
        right = row.right is True
        for answer, known, votes in groups:
            if right == known and (right or _same(problem, answer, row.answer)):
                votes.append(None)
                break
        else:
            groups.append((row.answer, right, [None]))
    most = max((len(votes) for _, _, votes in groups), default=0)
    tied = [right for _, right, votes in groups if len(votes) == most]
    return sum(tied) / len(tied) if tied else 0.0


def _same(problem: Problem, a: str, b: str) -> bool:
    """Whether two wrong answers are the same one."""
    if normalise(a) == normalise(b):
        return True
    choices = problem.metadata.get(CHOICES_KEY)
    if choices:
        return any(choice_equal(label, a, choices) and choice_equal(label, b, choices) for label in choices)
    if REFERENCES_KEY in problem.metadata:
        return False
    try:
        return judge_answer(a, b).right is True
    except VerifierError:
        return False
