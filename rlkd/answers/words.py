"""Answers in words, and choices by letter: ``Yes, because ...`` is ``true``, ``(B) 5 eggs`` is ``B``."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """A text.

    Attributes:
        key: What is compared: of words without case, articles and punctuation; of anything else the text itself.
        wordy: Whether it is words.
    """

    key: str
    wordy: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice by its letter; ``bare`` where nothing but the letter is said: ``g`` may be an unknown, ``(G)`` is none."""

    letter: str
    bare: bool


_CHOICE = re.compile(
    r"(?:(?:option|choice|answer|statement)s? ?:?(?: is)? ?)?(?:\((?P<a>[A-Za-z])\)|\[(?P<f>[A-H])\]|(?P<b>[A-H]|[a-h])(?=[).:])[).:]|(?P<c>[A-Ha-h]))(?P<rest>\Z|[ :.,;].*)",
    re.IGNORECASE | re.DOTALL,
)
_WORDS = re.compile(r"[^\W\d_]+(?:['’ .,!?&-]+[^\W_]+)*[.!?]*")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_TRUTH = {
    "true": "yes",
    "yeah": "yes",
    "yep": "yes",
    "correct": "yes",
    "yup": "yes",
    "false": "no",
    "nope": "no",
    "incorrect": "no",
}
_SAME = {
    "dne": "does not exist", "undefined": "does not exist", "not defined": "does not exist", "doesn't exist": "does not exist",
    "no solutions": "no solution", "none": "no solution", "no real solution": "no solution", "no real solutions": "no solution",
    "there is no solution": "no solution", "there are no solutions": "no solution", "∅": "no solution", "empty set": "no solution",
    "cannot be determined": "cannot be determined", "can't be determined": "cannot be determined", "not possible": "impossible", "it is impossible": "impossible",
    r"\{\}": "no solution", "{}": "no solution", "indeterminate": "cannot be determined", "infinitely many solutions": "infinitely many", "infinite solutions": "infinitely many",
}  # fmt: skip
_NAMES = {
    **{name[:3]: name for name in (*_DAYS, *_MONTHS)},
    "tues": "tuesday", "weds": "wednesday", "thur": "thursday", "thurs": "thursday", "sept": "september",
}  # fmt: skip
_ARTICLE = re.compile(r"^(?:(?:on|in|at|by) )?(?:the |an? )?(?=\w*[aeiouy]\w*)(?=\w{3})")
"""What words may begin with; ``an dn`` is a product, no article and a word."""
_VERDICT = re.compile(
    r"(yes|no|true|false|yeah|yep|nope)(?:[,;.!:]| because| since| -| (?:he|she|it|they|we|you|i|there|this|that)\b|\Z)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
"""``Yes he can``, but not ``No one``."""
_INITIALS = re.compile(
    r"(?<!\w)(?:(?:[A-Z]\.)+[A-Z]|(?:[a-z]\.)+[a-z]|(?:[A-Z]\. ?)+(?:[A-Z](?=\. ?[A-Z][a-z])))(?!\w)\.?"
)
"""``U.S.A.`` and ``USA``, ``J. K. Rowling`` and ``JK Rowling``."""
_KNOWN = frozenset([*_SAME.values(), *_NAMES.values()])


def read_words(text: str) -> Words:
    """Reads any text as words."""
    text = _INITIALS.sub(lambda match: re.sub(r"[. ]", "", match[0]) + " ", text).strip()
    if _WORDS.fullmatch(text) and re.search(r"[A-Za-z]{2}|[^\x00-\x7f]", text):
        key = " ".join(re.sub(r"[.,!?]", " ", text.casefold()).replace("-", " ").split())
        key = _ARTICLE.sub("", key)
        return Words(_TRUTH.get(key) or _SAME.get(key) or _NAMES.get(key, key), True)
    key = re.sub(r"([_^])\{([^{}]*)\}", r"\1\2", text)
    key = re.sub(r" ?([^\w\s.]) ?", r"\1", key)
    if re.fullmatch(r"(?: ?[A-Z][a-z]?(?: ?_? ?\d{1,3})?){2,12}", key) and any(
        char.isdigit() for char in key
    ):
        return Words(re.sub(r"[ _]", "", key), True)  # a chemical formula: C_6H_12
    return Words(_SAME.get(key, key), False)


def is_known(text: str) -> bool:
    """Whether words are a value that has a name here: ``no solution``, ``DNE``, ``Tuesday``."""
    return read_words(text).key in _KNOWN


def read_choice(text: str) -> Choice | None:
    """Reads a choice: ``D``, ``(D)``, ``D. 17``, ``D) 17``, ``Option D``; ``None`` for anything else."""
    match = _CHOICE.match(text)
    if match is None:
        return None
    letter = match["a"] or match["b"] or match["c"] or match["f"]
    rest = match["rest"].strip(" .:,;")
    if rest and match["c"] and not re.match(r"(?i)option|choice|answer", text):
        return None  # a letter and more, with no sign between them: a formula or words
    if rest and re.match(r"(?:or|and|,|&|/)\b|[,&/]", rest):
        return None
    return Choice(letter, text == letter)


def same_choice(reference: Choice, answer: Choice) -> bool:
    """Whether two choices are the same: case-blind, but that a small letter by itself is an unknown to another by itself."""
    if reference.bare and answer.bare and reference.letter.islower():
        return reference.letter == answer.letter
    return reference.letter.upper() == answer.letter.upper()


def verdict_of(text: str) -> str | None:
    """``yes`` or ``no`` where a text begins with it and says something more: ``Yes, because 5 > 3``."""
    match = _VERDICT.match(text)
    if match is None or re.search(r"\b(?:yes|no|true|false)\b", match["rest"], re.IGNORECASE):
        return None
    word = match[1].lower()
    return _TRUTH.get(word, word)
