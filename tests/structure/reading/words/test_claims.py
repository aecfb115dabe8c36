"""Claims in words."""

from __future__ import annotations

import pytest

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.reading.words.claims import CLAIM_STOP, likeness, premises_alike, premises_of
from rlkd.structure.scorer import score_paths

PATH = "All cats are mammals.\nAll mammals are warm.\nSo all cats are warm."


def score(student: str, teacher: str = PATH) -> float:
    found = score_paths("", [teacher], student)
    assert found is not None
    return found.structure


@pytest.mark.parametrize(
    "other", ["No cats are mammals", "Cats are not mammals", "Cats aren't mammals", "All mammals are cats"]
)
def test_a_denial_and_a_converse_are_other_claims(other: str) -> None:
    assert (
        likeness("All cats are mammals", other, CLAIM_STOP)
        < 0.5
        < likeness("All cats are mammals", "Cats are mammals", CLAIM_STOP)
    )


def test_quantifiers_count() -> None:
    assert likeness("All cats are warm", "Some cats are warm", CLAIM_STOP) == pytest.approx(0.6)


def test_what_a_claim_rests_on() -> None:
    assert premises_of(PATH.split("\n"), CLAIM_STOP) == [[], [], [0, 1]]
    claims = ["Khan had sixteen children", "Caesar had three children", "Sixteen exceeds three"]
    assert premises_of(claims[:2], CLAIM_STOP) == [[], []]


def test_premises_are_compared_in_any_order() -> None:
    assert premises_alike(["a cat purrs", "a dog barks"], ["a dog barks", "a cat purrs"], CLAIM_STOP) == 1.0
    assert premises_alike([], ["a dog barks"], CLAIM_STOP) == 1.0


def test_steps_name_their_premises() -> None:
    last = decompose_text(PATH).steps[2]
    assert (last.depends_on, last.quantities, last.operation) == (
        (0, 1),
        tuple(PATH.split("\n")[:2]),
        "therefore",
    )


def test_denied_and_reversed_paths_fall_and_free_premises_may_swap() -> None:
    first, second, last = PATH.split("\n")
    assert score(PATH) == 1.0
    assert score("\n".join([second, first, last])) > 0.95
    assert score("\n".join([last, second, first])) < 0.9
    assert score(PATH.replace("All cats", "No cats").replace("all cats", "no cats")) < 0.6
    assert score("All mammals are cats.\nAll warm things are mammals.\nSo all warm things are cats.") < 0.6
