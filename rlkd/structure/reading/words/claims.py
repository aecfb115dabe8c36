"""Claims in words: how alike two are, and which earlier claims one follows from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import Indel

from rlkd.quantities.stated import problem_quantities
from schemas.structure import ReasoningStep

_STOP_WORDS = """the and has have had for that this with from are was were will each much many how she her his him they there
then than into per after who what when which all its their them also would can could does did you your our not but one out
is it he to of in on at be by an as or so if we my do therefore thus hence since because"""
CLAIM_STOP = frozenset(_STOP_WORDS.split())
"""Words without content."""
THEREFORE = "therefore"
"""The operation of a step in words that follows from earlier ones."""
OTHER_CLAIM = 0.4
"""What is left of the likeness of a claim and its denial, or its converse; below every threshold."""
_WORD = re.compile(r"[^\W\d_]{1,24}(?:['\u2019]t)?|\d{1,24}(?:[.,]\d{1,20})*")
_NEGATIONS = frozenset(
    ["not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "cannot", "without"]
)
_QUANTIFIERS = {
    "all": "all", "every": "all", "each": "all", "any": "all", "always": "all", "some": "some", "sometimes": "some", "most": "most",
    "few": "few", "only": "only", "both": "all",
}  # fmt: skip
_RELATIONS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "than",
        "implies",
        "imply",
        "before",
        "after",
        "if",
        "because",
        "since",
        "contains",
        "has",
        "have",
        "had",
        "can",
        "cannot",
        "causes",
    ]
)
_FOLLOWS = re.compile(
    r"\s{0,4}(?:so|therefore|thus|hence|then|consequently|this means|that means|it follows|as a result|in conclusion)\b|\b(?:therefore|because|since|it follows)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=20_000)
def _parsed(text: str, stop: frozenset[str]) -> tuple[tuple[str, ...], bool, frozenset[str], int]:
    """Content words in order, whether it denies, its quantifiers, and how many words come before its relation."""
    words: list[str] = []
    denials = 0
    quantifiers: set[str] = set()
    relation = -1
    for match in _WORD.finditer(text[:2_000]):
        word = match.group().lower()
        if word in _NEGATIONS or word.endswith(("n't", "n\u2019t")):
            denials += 1
        if word in _QUANTIFIERS:
            quantifiers.add(_QUANTIFIERS[word])
        if relation < 0 and words and word in _RELATIONS:
            relation = len(words)
        if (
            word not in stop
            and word not in _NEGATIONS
            and word not in _QUANTIFIERS
            and (len(word) > 1 or word.isdigit())
        ):
            words.append(word[:6])
    return tuple(words), denials % 2 == 1, frozenset(quantifiers), relation


def statement_words(text: str) -> frozenset[str]:
    """Returns the content words of a statement, numbers too, lower-cased and cut to six letters."""
    return frozenset(_parsed(text, CLAIM_STOP)[0])


def likeness(a: str, b: str, stop: frozenset[str]) -> float:
    """How sure it is from their words that two claims say the same, in [0, 1].

    Content words count, half as a bag and half in their order. A denial, another quantifier, or sides that are swapped
    around "is", "than", "before" and the like make another claim of the same words.

    Args:
        a: A claim.
        b: Another.
        stop: Words without content.
    """
    words_a, words_b = _parsed(a, stop)[0], _parsed(b, stop)[0]
    if not words_a or not words_b:
        return 0.0
    bag_a, bag_b = set(words_a), set(words_b)
    score = 2.0 * len(bag_a & bag_b) / (len(bag_a) + len(bag_b))
    if score:
        score = (score + min(score, Indel.normalized_similarity(words_a, words_b))) / 2
    return score * agreement(a, b, stop)


def agreement(a: str, b: str, stop: frozenset[str]) -> float:
    """Returns what is left of two claims' likeness where one denies the other, has another quantifier, or swaps its sides; else 1."""
    words_a, denies_a, quantifiers_a, relation_a = _parsed(a, stop)
    words_b, denies_b, quantifiers_b, relation_b = _parsed(b, stop)
    left = OTHER_CLAIM if denies_a != denies_b else 1.0
    if quantifiers_a and quantifiers_b and quantifiers_a != quantifiers_b:
        left *= 0.6
    if relation_a > 0 and relation_b > 0:
        left_a, right_a = set(words_a[:relation_a]), set(words_a[relation_a:])
        left_b, right_b = set(words_b[:relation_b]), set(words_b[relation_b:])
        if len(left_a & right_b) + len(right_a & left_b) > len(left_a & left_b) + len(right_a & right_b):
            left *= OTHER_CLAIM
    return left


def premises_of(claims: Sequence[str], stop: frozenset[str]) -> list[list[int]]:
    """For each claim the earlier ones that it follows from.

    A claim follows from earlier ones where it says so ("so", "therefore", "because"), or where all its terms stand in
    earlier claims, no single one of which holds them all ("all cats are animals"). It then rests on the last claim with
    each of its terms; where it shares no term, on the claim before it.

    Args:
        claims: In the order of the path.
        stop: Words without content.
    """
    last: dict[str, int] = {}
    found: list[list[int]] = []
    terms: list[set[str]] = []
    for i, claim in enumerate(claims):
        own = {_singular(word) for word in _parsed(claim, stop)[0]}
        known = {last[term] for term in own if term in last}
        said = _FOLLOWS.search(claim[:400]) is not None
        drawn = (
            len(known) > 1 and all(term in last for term in own) and not any(own <= terms[k] for k in known)
        )
        if said and i:
            found.append(sorted(known) or [i - 1])
        else:
            found.append(sorted(known) if drawn else [])
        terms.append(own)
        for term in own:
            last[term] = i
    return found


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def premises_alike(a: Sequence[str], b: Sequence[str], stop: frozenset[str]) -> float:
    """How alike two sets of premises are, in [0, 1]; 1 where a side names none."""
    if not a or not b:
        return 1.0
    forth = sum(max(1.0 if x == y else likeness(x, y, stop) for y in b) for x in a) / len(a)
    back = sum(max(1.0 if x == y else likeness(x, y, stop) for x in a) for y in b) / len(b)
    return (forth + back) / 2


_NAME = re.compile(r"[^\W\d_]{2,24}")


@lru_cache(maxsize=20_000)
def content_words(text: str) -> frozenset[str]:
    """Returns the content words of a text, lower-cased and cut to six letters.

    ``She sells 1,200 eggs`` gives ``sells`` and ``eggs``. Numbers are left out, in digits and in words: they are compared as
    numbers, and ``1,200`` is no other word than ``1200``.
    """
    found = set()
    for match in _NAME.finditer(text[:4_000]):
        lower = match.group().lower()
        if lower not in CLAIM_STOP and not problem_quantities(lower):
            found.add(lower[:6])
    return frozenset(found)


def copies_problem(step: ReasoningStep, prompt: str) -> bool:
    """Returns whether a step in words only repeats the problem's text."""
    if step.calculations or (step.answer and step.answer != step.sub_problem):
        return False
    text = " ".join(step.sub_problem.lower().split()).rstrip(".")
    return len(text) >= 12 and text in prompt
