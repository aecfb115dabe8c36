"""Simple sentences as data."""

from __future__ import annotations

import pytest

from rlkd.structure.reading.words.propositions import kinship, read_proposition, same_proposition, singular


@pytest.mark.parametrize(
    ("text", "subject", "predicate", "other", "denied", "quantity"),
    [
        ("Butterflies are lepidopterans.", ("butterfly",), ("lepidopteran",), "", False, "all"),
        ("Each butterfly is a lepidopteran", ("butterfly",), ("lepidopteran",), "", False, "all"),
        ("So Sally is not bony.", ("sally",), ("bony",), "", True, ""),
        ("No cats are mammals", ("cat",), ("mammal",), "", True, "all"),
        ("No, Tom is a cat", ("tom",), ("cat",), "", False, ""),
        ("[Lewis] is [Scott]'s brother.", ("lewis",), ("brother",), "scott", False, ""),
        ("Stanley is the grandfather of [Ann]", ("stanley",), ("grandfather",), "ann", False, ""),
        ("2. Scott is Jason's son-in-law.", ("scott",), ("son-in-law",), "jason", False, ""),
    ],
)
def test_what_a_sentence_says(
    text: str, subject: tuple[str, ...], predicate: tuple[str, ...], other: str, denied: bool, quantity: str
) -> None:
    found = read_proposition(text)
    assert found is not None
    assert (found.subject, found.predicate, found.other) == (subject, predicate, other)
    assert (found.denied, found.quantity) == (denied, quantity)


@pytest.mark.parametrize("text", ["", "She eats three eggs.", "Ann is tall and Bob is short", "x" * 500])
def test_other_sentences_are_left_to_their_words(text: str) -> None:
    assert read_proposition(text) is None


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ("Every cat is an animal.", "All cats are animals.", (1.0, 1.0)),
        ("Every cat is an animal.", "Cats are not animals.", (1.0, 0.0)),
        ("Every cat is an animal.", "Every animal is a cat.", (0.8, 0.0)),  # the converse
        ("Every cat is an animal.", "Tom is an animal.", (0.0, 0.0)),  # of another
        ("Luke is a baseball player.", "Luke is a hockey player.", (0.8, 0.0)),  # another thing of him
        ("Luke is a football player.", "Luke is an American football player.", (1.0, 0.9)),  # the one holds the other
        ("Ann is Bob's mother.", "[Ann] is the mother of [Bob]", (1.0, 1.0)),
        ("Ann is Bob's mother.", "Bob is Ann's son.", (1.0, 1.0)),  # said from the other side
        ("Ann is Bob's mother.", "Bob is Ann's mother.", (1.0, 0.0)),
        ("Ann is Bob's grandmother.", "Bob is Ann's grandson.", (1.0, 1.0)),
        ("Ann is Bob's grandmother.", "Bob is Ann's son.", (1.0, 0.0)),
        ("Ann is Bob's aunt.", "Bob is Ann's nephew.", (1.0, 1.0)),
        ("Ann is Bob's mother.", "Ann is Cid's mother.", (0.0, 0.0)),
        ("All cats are warm.", "Some cats are warm.", (1.0, 0.6)),
    ],
)  # fmt: skip
def test_two_sentences(a: str, b: str, verdict: tuple[float, float]) -> None:
    one, other = read_proposition(a), read_proposition(b)
    assert one is not None and other is not None
    assert same_proposition(one, other) == verdict == same_proposition(other, one)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("mother", "up"),
        ("grandson", "grand down"),
        ("great-grandmother", "great grand up"),
        ("sister-in-law", "law side"),
        ("stepdaughter", "step down"),
        ("cousin", "cousin"),
        ("neighbour", None),
    ],
)
def test_kinship_leaves_out_the_sex(how: str, kind: str | None) -> None:
    assert kinship(how) == kind


@pytest.mark.parametrize(
    ("word", "one"), [("butterflies", "butterfly"), ("foxes", "fox"), ("cats", "cat"), ("numpus", "numpus"), ("boss", "boss")]
)  # fmt: skip
def test_plurals(word: str, one: str) -> None:
    assert singular(word) == one
