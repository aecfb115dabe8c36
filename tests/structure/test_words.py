"""Paths in words, from the text to the score."""

from __future__ import annotations

import pytest

from rlkd.structure.scorer import score_paths

PROBLEM = "True or false: Sally is bony. Each painted lady is a butterfly. Butterflies are insects. Insects are not bony. Each whale is bony. Sally is a painted lady."
GOLD = [
    "Sally is a painted lady.",
    "Each painted lady is a butterfly.",
    "Sally is a butterfly.",
    "Butterflies are insects.",
    "Sally is an insect.",
    "Insects are not bony.",
    "Sally is not bony.",
]
SPORTS = "DK Metcalf is an American football player. Taking a backhand shot is part of hockey. So the answer is no."


def score(student: str, teachers: list[str], problem: str = "") -> float:
    found = score_paths(problem, teachers, student)
    assert found is not None
    return found.structure


@pytest.mark.parametrize("at", range(len(GOLD)))
def test_gold_steps_against_one_left_out(at: int) -> None:
    left_out = " ".join(GOLD[:at] + GOLD[at + 1 :])
    assert score(" ".join(GOLD), [" ".join(GOLD)], PROBLEM) == 1.0
    assert score(left_out, [" ".join(GOLD)], PROBLEM) < 0.9


def test_gold_steps_against_other_and_denied_ones() -> None:
    gold = " ".join(GOLD)
    assert score(gold.replace("Sally is an insect", "Sally is not an insect"), [gold], PROBLEM) < 0.9
    assert score(gold.replace("Insects are not bony", "Each whale is bony"), [gold], PROBLEM) < 0.9
    assert score(gold.replace("Each painted lady is a butterfly", "All painted ladies are butterflies"), [gold], PROBLEM) > 0.98  # fmt: skip


def test_copying_the_whole_problem_gains_nothing() -> None:
    gold = " ".join(GOLD)
    assert score(PROBLEM, [gold], PROBLEM) < 0.1
    assert score(f"{PROBLEM} {gold}", [gold], PROBLEM) <= 1.0


def test_the_same_steps_in_another_form() -> None:
    asked = (
        "Q1. What sports does DK Metcalf play?\nDK Metcalf is a football player.\nQ2. Is taking a backhand shot part of which sport?\n"
        "Taking a backhand shot is part of hockey.\nFinal answer: Is it plausible?\nThe answer is no."
    )
    assert score(asked, [SPORTS]) > 0.85


def test_another_conclusion_keeps_a_quarter() -> None:
    # every step is taken; the last one's answer is another: 2 halvings
    assert score(SPORTS.replace("is no.", "is yes."), [SPORTS]) == pytest.approx(0.25)
    # not ending is 1.5 halvings
    assert score(SPORTS.replace(" So the answer is no.", ""), [SPORTS]) == pytest.approx(2**-1.5)


def test_a_bare_answer_is_no_path_and_a_guess_stays_low() -> None:
    assert score("The answer is no.", [SPORTS]) == 0.0
    # nothing of the teacher's, the same conclusion: 0.1, and one step extra
    assert score("Grass grows green everywhere. So the answer is no.", [SPORTS]) == pytest.approx(
        0.1 * 2**-0.15
    )
    assert score("Grass grows green everywhere. So the answer is yes.", [SPORTS]) == 0.0


def test_scrambled_and_repeated_steps_gain_nothing() -> None:
    gold = " ".join(GOLD)
    assert score(" ".join(GOLD[::-1]), [gold], PROBLEM) < 0.75
    assert score(f"{gold} {GOLD[4]} {GOLD[4]}", [gold], PROBLEM) <= 1.0


def test_a_chain_of_relations() -> None:
    teacher = "Ann is Bob's mother.\nBob is Cid's brother.\nFinal Answer: Ann is Cid's mother."
    assert (
        score(
            "[Bob] is [Ann]'s son.\n[Bob] is [Cid]'s brother.\nFinal Answer: [Ann] is [Cid]'s mother.",
            [teacher],
        )
        == 1.0
    )
    wrong = score(teacher.replace("Cid's mother", "Cid's aunt"), [teacher])
    assert wrong == pytest.approx(0.25)


def test_dates_in_another_form() -> None:
    teacher = "If the deadline is 06/01/2021, then today is 05/30/2021. Tomorrow is one day after today, so tomorrow is 05/31/2021. So the answer is 05/31/2021."
    other = teacher.replace("06/01/2021", "Jun 1, 2021").replace("05/30/2021", "May 30, 2021")
    assert score(other, [teacher]) > 0.95
    assert score(other.replace("05/31/2021", "06/01/2021"), [teacher]) < 0.3


def test_another_teacher_in_words_never_lowers_a_score() -> None:
    student = "DK Metcalf plays hockey. Taking a backhand shot is part of hockey. So the answer is yes."
    others = [
        "Taking a backhand shot is part of tennis. So the answer is no.",
        "Metcalf is an athlete. So the answer is no.",
    ]
    for path in (student, SPORTS, others[0]):
        alone = score(path, [SPORTS])
        for k in range(len(others) + 1):
            assert score(path, [SPORTS, *others[:k]]) >= alone - 1e-9
