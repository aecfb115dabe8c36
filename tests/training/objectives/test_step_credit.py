from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlkd.structure.matching.alignments import StructureAlignment
from rlkd.structure.scorer import StructureScorer, score_paths
from rlkd.training.objectives.step_credit import is_matched, token_ends, token_weights
from schemas.alignment import StepMatch
from schemas.rollout import RewardRecord

TEXT = "1 + 2 = 3\n3 * 4 = 9\nEnd"
MATCHED = StepMatch(index=0, teacher_path=0, teacher_step=0, p_intent=1.0, p_answer=1.0)
FAILED = StepMatch(index=1)


def record(*verdicts: StepMatch) -> RewardRecord:
    return RewardRecord(
        step=0, group=0, problem_id="p", completion=TEXT, tokens=11, finish_reason="stop", verdicts=verdicts,
        spans=((0, 9), (10, 19))[: len(verdicts)],
    )  # fmt: skip


ENDS = [1, 5, 9, 10, 15, 19, 20, 23, 23]
"""Tokens "1", " + 2", " = 3", line, "3 * 4", " = 9", line, "End", and one that takes no place."""


def test_blame_goes_to_the_failed_step_and_credit_to_the_matched_one() -> None:
    both = record(MATCHED, FAILED)
    # Below 0: the tokens of the first step, which is the teacher's, count half; above 0 those of the second.
    assert token_weights(both, -1.0, ENDS, 0.5) == [0.5, 0.5, 0.5, 1, 1, 1, 1, 1, 1]
    assert token_weights(both, 1.0, ENDS, 0.5) == [1, 1, 1, 1, 0.5, 0.5, 1, 1, 1]


def test_without_a_step_that_explains_the_sign_all_tokens_count() -> None:
    assert (
        token_weights(record(MATCHED, MATCHED), -1.0, ENDS, 1.0) == [1.0] * 9
    )  # the answer or the end was wrong
    assert token_weights(record(FAILED, FAILED), 1.0, ENDS, 1.0) == [1.0] * 9
    assert token_weights(record(), -1.0, ENDS, 1.0) == [1.0] * 9
    assert token_weights(record(MATCHED, FAILED), 0.0, ENDS, 1.0) == [1.0] * 9


def test_an_answer_that_is_not_what_the_path_finds_answers_for_itself() -> None:
    other = record(MATCHED, MATCHED).model_copy(update={"own_answer": False})
    # Below 0 both steps are the teacher's and spared; above 0 they earn all of it, and what stands behind them nothing: it was guessed.
    assert token_weights(other, -1.0, ENDS, 1.0) == [0, 0, 0, 1, 0, 0, 1, 1, 1]
    assert token_weights(other, 1.0, ENDS, 1.0) == [1, 1, 1, 1, 1, 1, 0, 0, 1]
    # Of an answer that the path does find nothing changes.
    own = record(MATCHED, MATCHED).model_copy(update={"own_answer": True})
    assert token_weights(own, -1.0, ENDS, 1.0) == [1.0] * 9


def test_steps_whose_place_is_not_known_change_nothing() -> None:
    lost = record(MATCHED, FAILED).model_copy(update={"spans": ()})
    assert token_weights(lost, -1.0, ENDS, 1.0) == [1.0] * 9


def test_a_wrong_answer_or_another_intent_is_a_failed_step() -> None:
    assert is_matched(MATCHED)
    assert not is_matched(replace(MATCHED, p_answer=0.2))
    assert not is_matched(replace(MATCHED, p_intent=0.0))
    assert is_matched(StepMatch(index=0, teacher_path=0, teacher_step=2))  # no judge was asked


def test_token_ends_survive_letters_of_several_tokens() -> None:
    pieces = {1: b"a", 2: b"\xc3", 3: b"\xa9", 4: b"b"}

    def decode(ids: Sequence[int]) -> str:
        return b"".join(pieces.get(i, b"") for i in ids).decode("utf-8", "replace")

    assert token_ends([1, 4, 9], "ab", decode) == [1, 2, 2]
    # The two bytes of "é" are one letter together and a stand-in each by themselves.
    assert token_ends([1, 2, 3, 4], "aéb", decode) == [1, 2, 2, 3]


def test_a_step_that_is_split_off_is_the_teachers_too() -> None:
    student = "3 + 4 = 7\n16 - 7 = 9\n9 * 2 = 18"
    found = score_paths("", ["16 - 3 - 4 = 9\n9 * 2 = 18"], student)
    assert found is not None
    assert found.structure > 0.98
    assert found.steps[0].teacher_step is None and found.steps[0].credit == 1.0
    assert [is_matched(step) for step in found.steps] == [True, True, True]


def test_a_step_that_is_not_the_teachers_has_no_credit() -> None:
    found = score_paths("", ["16 - 3 - 4 = 9\n9 * 2 = 18"], "16 - 3 - 4 = 9\n5 * 5 = 25\n9 * 2 = 18")
    assert found is not None
    assert [step.credit for step in found.steps] == [1.0, 0.0, 1.0]
    assert [is_matched(step) for step in found.steps] == [True, False, True]


def test_what_does_not_count_takes_no_credit_away() -> None:
    scorer = StructureScorer(alignment=StructureAlignment(counts="sub_problem"))
    found = score_paths("", ["16 - 3 - 4 = 9\n9 * 2 = 18"], "16 - 3 - 4 = 8\n9 * 2 = 18", scorer)
    assert found is not None
    assert [is_matched(step) for step in found.steps] == [
        True,
        True,
    ]  # another answer, where sub-problems alone count
