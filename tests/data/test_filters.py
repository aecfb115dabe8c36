"""What counts as the same problem."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rlkd.data.filters import Located, Splits, decontaminate, drop_duplicates, symbols_of, unique_ids
from rlkd.data.sources import DroppedRow
from schemas.config.data import DecontaminationConfig, DeduplicationConfig
from schemas.problem import Problem

STORY = "Mary has 12 apples in her big red basket and gives 5 of them to her best friend Tom on a sunny day; how many apples are left?"


def located(question: str, answer: str = "7", name: str = "") -> Located:
    return Located(Problem(id=name or question[:40] or "x", question=question, answer=answer), "w")


def deduplicate(*questions: tuple[str, str] | str, **config: float) -> list[str]:
    rows = [located(*(q if isinstance(q, tuple) else (q, "7")), name=str(i)) for i, q in enumerate(questions)]
    dropped: list[DroppedRow] = []
    drop_duplicates({"train": rows}, DeduplicationConfig.model_validate(config), dropped)
    return [row.reason for row in dropped]


@pytest.mark.parametrize(
    "other",
    [
        STORY,
        STORY.upper(),
        STORY.replace("?", " ?"),
        "  " + STORY.replace(" ", "\n"),
        STORY.replace(";", ","),
    ],
)
def test_case_punctuation_and_spacing_make_no_other_problem(other: str) -> None:
    assert deduplicate(STORY, other) == ["exact duplicate"]


def test_an_added_word_makes_a_near_duplicate() -> None:
    # 28 words are 26 shingles of 3. Appending "now" adds 1: 26 / 27 = 0.96.
    assert deduplicate(STORY, STORY.replace("left?", "left now?")) == ["near duplicate"]


@pytest.mark.parametrize(
    "other",
    [
        STORY.replace("12", "13"),  # another number
        STORY + " Add 3 - 1.",  # other operators and numbers
        (STORY.replace("left", "gone"), "5"),  # nearly the same words, another answer
        "Tom buys 12 pens and loses 5 of them at school; how many pens does he have left after that long day?",
    ],
)
def test_another_number_answer_or_story_is_another_problem(other: tuple[str, str] | str) -> None:
    assert deduplicate(STORY, other) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [("What is 3 + 4?", "What is 3 - 4?"), ("Solve 2x = 6", "Solve 2x < 6"), ("f(1) = 2?", "f(2) = 1?")],
)
def test_formulas_differ_by_their_operators(a: str, b: str) -> None:
    assert deduplicate(a, b) == []


def test_the_threshold_counts() -> None:
    # STORY without its last 3 of 28 words: 23 of 26 shingles, Jaccard 23 / 26 = 0.885.
    shorter = STORY.replace("apples are left?", "")
    assert deduplicate(STORY, shorter, threshold=0.88) == ["near duplicate"]
    assert deduplicate(STORY, shorter, threshold=0.89) == []


def test_an_exact_duplicate_with_another_answer_says_so() -> None:
    dropped: list[DroppedRow] = []
    rows = [located(STORY, "7", "a"), located(STORY, "8", "b")]
    drop_duplicates({"train": rows}, DeduplicationConfig(), dropped)
    assert dropped[0].detail == "of a, which has another answer ('7')"


def test_hyphens_are_no_operators() -> None:
    assert symbols_of("a twenty-five x-ray 3-4 = -1") == ["3", "-", "4", "=", "-", "1"]


def test_evaluation_splits_keep_their_problems() -> None:
    dropped: list[DroppedRow] = []
    splits: Splits = {
        "train": [located(STORY, name="t")],
        "validation": [located(STORY, name="v")],
        "test": [located(STORY, name="e")],
    }
    kept = drop_duplicates(splits, DeduplicationConfig(), dropped)
    assert {split: len(rows) for split, rows in kept.items()} == {"train": 0, "validation": 0, "test": 1}


def test_ids_shared_by_many_splits() -> None:
    dropped: list[DroppedRow] = []
    splits: Splits = {
        "train": [located("a", name="1"), located("b", name="2")],
        "test": [located("c", name="1")],
    }
    kept = unique_ids(splits, dropped)
    assert [row.problem.id for row in kept["train"]] == ["train:1", "2"]
    assert [row.problem.id for row in kept["test"]] == ["test:1"]
    assert dropped == []


def overlap(train: str, test: str, ngram: int = 5) -> int:
    dropped: list[DroppedRow] = []
    splits: Splits = {"train": [located(train)], "test": [located(test)], "ood": []}
    decontaminate(splits, DecontaminationConfig(ngram=ngram), dropped)
    return len(dropped)


@pytest.mark.parametrize(
    ("train", "test", "count"),
    [
        ("x a b c d e y", "p A, b; C. d e q", 1),
        ("x a b c d y", "p a b c d q", 0),  # 4 words
        ("so a b c d e then", "a b c d e", 1),
        ("a b c d", "a b c d", 0),  # shorter than 5 words: left to the duplicate filter
        ("a b c d 5 e", "a b c d 6 e", 0),  # numbers count
    ],
)
def test_overlap_is_counted_in_consecutive_words(train: str, test: str, count: int) -> None:
    assert overlap(train, test) == count


def test_a_short_evaluation_question_must_not_occur_whole() -> None:
    assert overlap("here is one: what is two plus two? and more", "What is two plus two?", ngram=13) == 1


def test_an_evaluation_problem_is_never_dropped_for_overlap() -> None:
    dropped: list[DroppedRow] = []
    splits: Splits = {
        "train": [],
        "test": [located(STORY, name="a"), located(STORY + " Why?", name="b")],
        "ood": [located(STORY, name="c")],
    }
    kept = decontaminate(splits, DecontaminationConfig(), dropped)
    assert (len(kept["test"]), len(kept["ood"]), dropped) == (2, 1, [])


QUESTIONS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "1", "2"]), min_size=1, max_size=8).map(" ".join),
    max_size=12,
)


@pytest.mark.slow
@hypothesis_settings(max_examples=50, deadline=None)
@given(train=QUESTIONS, test=QUESTIONS)
def test_every_row_is_kept_or_dropped_and_filtering_again_changes_nothing(
    train: list[str], test: list[str]
) -> None:
    splits: Splits = {
        "train": [located(q, name=f"t{i}") for i, q in enumerate(train)],
        "test": [located(q, name=f"e{i}") for i, q in enumerate(test)],
    }
    dropped: list[DroppedRow] = []
    once = decontaminate(
        drop_duplicates(splits, DeduplicationConfig(), dropped), DecontaminationConfig(ngram=3), dropped
    )
    assert sum(map(len, once.values())) + len(dropped) == len(train) + len(test)
    again: list[DroppedRow] = []
    assert (
        decontaminate(
            drop_duplicates(once, DeduplicationConfig(), again), DecontaminationConfig(ngram=3), again
        )
        == once
    )
    assert again == []
