"""The paper's rule with costly judges: same scores, fewer questions, faults missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from rlkd.structure.interfaces import PairVerdict, PathItem
from rlkd.structure.matching.prefix_rule import PrefixSample, score_prefix
from rlkd.structure.scorer import ScoreItem, StructureScorer
from schemas.alignment import StructureScore
from schemas.config.structure import PrefixAlignmentConfig
from schemas.structure import ReasoningStep, Structure

SAME, OTHER = PairVerdict(1.0, 1.0, 1.0), PairVerdict(0.0, 0.0, 0.0)
HALF, QUARTER = PairVerdict(0.5, 0.4, 1.0), PairVerdict(1.0, 0.0, 0.1)
RULE = PrefixAlignmentConfig(type="prefix")


def structure(text: str) -> Structure:
    return Structure(
        steps=tuple(ReasoningStep(index=i, sub_problem=word) for i, word in enumerate(text.split()))
    )


class Words:
    """One step per word; ``!`` is a path that cannot be decomposed."""

    name = "words"

    def __init__(self) -> None:
        self.read: list[str] = []

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        self.read += [item.path for item in items]
        return [None if "!" in item.path else structure(item.path) for item in items]


def run(
    judge: Any, decomposer: Any, *samples: PrefixSample, rule: PrefixAlignmentConfig = RULE
) -> list[StructureScore | None]:
    return asyncio.run(score_prefix(samples, decomposer, judge, rule))


def test_the_rule_by_hand(table_judge: Any) -> None:
    judge = table_judge(
        {("a", "a"): SAME, ("b", "x"): HALF, ("c", "y"): QUARTER, ("d", "z"): OTHER, ("e", "e"): SAME}
    )
    sample = PrefixSample(PathItem("", "a x y z e"), (structure("a b c d e"),))
    [score] = run(judge, Words(), sample)
    assert score is not None
    # 1 + 1/2 + 1/4 + 0, and the fifth step does not count: 1.75 of 5
    assert score.structure == score.prefix == pytest.approx(1.75 / 5)
    assert (score.teacher_steps, score.student_steps) == (5, 5)
    assert [step.teacher_step for step in score.steps] == [0, 1, 2, None, None]
    assert score.steps[1].p_sub_problem == 0.4
    [unbounded] = run(judge, Words(), sample, rule=PrefixAlignmentConfig(type="prefix", normalize=False))
    assert unbounded is not None
    assert (unbounded.structure, unbounded.prefix) == (1.75, 1.75 / 5)


def test_a_student_without_steps_scores_zero_and_a_teacher_without_steps_is_missing(table_judge: Any) -> None:
    judge = table_judge({("a", "a"): SAME})
    empty, none, longer = run(
        judge,
        Words(),
        PrefixSample(PathItem("", " "), (structure("a"),)),
        PrefixSample(PathItem("", "a"), (structure(""),)),
        PrefixSample(PathItem("", "a b c"), (structure("a"),)),
    )
    assert empty is not None
    assert (empty.structure, empty.student_steps) == (0.0, 0)
    assert none is None
    assert longer is not None
    assert longer.structure == 1.0


def test_the_best_of_several_teachers(table_judge: Any) -> None:
    judge = table_judge({("a", "b"): OTHER, ("b", "b"): SAME, ("c", "b"): QUARTER})
    teachers = (structure("a"), structure(""), structure("b x"), structure("c"))
    [score] = run(judge, Words(), PrefixSample(PathItem("", "b"), teachers))
    assert score is not None
    assert (score.structure, score.teacher_steps, score.steps[0].teacher_path) == (0.5, 2, 2)


def test_faults_are_missing(table_judge: Any) -> None:
    judge = table_judge({("a", "a"): SAME, ("b", "b"): None, ("c", "c"): SAME})
    teacher = (structure("a b c"),)
    paths = ["a b c", "!", "a"]
    assert [
        s is None for s in run(judge, Words(), *[PrefixSample(PathItem("", p), teacher) for p in paths])
    ] == [True, True, False]


def test_the_same_sample_is_scored_once(table_judge: Any) -> None:
    judge, words = table_judge({("a", "a"): SAME, ("b", "a"): OTHER}), Words()
    ours, other = (structure("a"),), (structure("b"),)
    samples = [
        PrefixSample(PathItem("", "a"), ours),
        PrefixSample(PathItem("", "a"), other),
        PrefixSample(PathItem("", "a"), ours),
    ]
    scores = run(judge, words, *samples)
    assert [score and score.structure for score in scores] == [1.0, 0.0, 1.0]
    assert len(words.read) == len(judge.asked) == 2


def test_the_scorer_takes_this_way_for_the_papers_rule(table_judge: Any) -> None:
    judge = table_judge(
        {("a", "x"): OTHER, ("b", "y"): SAME, ("c", "z"): SAME}
    )  # any other pair would be a KeyError
    scorer = StructureScorer(Words(), judge, RULE)
    [score] = asyncio.run(scorer.score([ScoreItem("", (structure("a b c"),), "x y z")]))
    assert score is not None
    assert score.structure == 0.0
    assert judge.asked == [("a", "x"), ("b", "y"), ("c", "z")]
