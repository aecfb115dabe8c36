"""Simple sentences as data: "Every cat is an animal", "Tom is not bony", "[Ann] is the mother of [Bob]", "today is 05/03/2021".

What two of them say can be compared without guessing: the same thing, or the same thing denied, or another. Longer sentences
are compared by their words (:mod:`.claims`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_LEAD = re.compile(
    r"(?:\s|[-*•>]|q?\d{1,2}[.:)]\s|(?:so|thus|hence|therefore|then|and|but|also|since|because|now|this means(?: that)?|it follows that|we know that"
    r"|true or false:|finally|final answer|the answer is|in (?:conclusion|short))\b[,:]?|(?:yes|no),)*",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"(?P<left>.{1,80}?)\s(?P<be>is|are|was|were|isn't|aren't|wasn't|weren't|becomes?)\s(?P<right>[^,;]{1,120})\Z"
)
_QUANTIFIER = re.compile(
    r"(?P<all>every|each|all|any)\s|(?P<none>no)\s(?=[a-z])|(?P<some>some|most|few|many)\s", re.IGNORECASE
)
_ARTICLE = re.compile(r"(?:a|an|the)\s", re.IGNORECASE)
_DENIED = re.compile(r"(?:not|never|no)\s", re.IGNORECASE)
_OTHER_VERB = re.compile(
    r"\b(?:is|are|was|were|which|who|because|since|so|if|than|and|or|but|as|would|can|could|has|have)\b",
    re.IGNORECASE,
)
_NAME = r"\[?(?P<{}>[A-Z][\w.'-]{{0,24}}?)\]?"
_HOW = (
    r"(?:(?:also|the|a|an|his|her|their|only|older|younger|eldest|youngest|elder|likely|either|actually)\s)*"
)
_NOUN = r"(?P<how>[a-z]+(?:[- ](?:in[- ]law|[a-z]+)){0,2})"
_RELATIONS = (
    re.compile(rf"{_NAME.format('a')} (?:is|was) {_NAME.format('b')}['\u2019\u00b4`]s? {_HOW}{_NOUN}\b"),
    re.compile(rf"{_NAME.format('a')} (?:is|was) {_HOW}{_NOUN} (?:of|to) {_NAME.format('b')}\Z"),
    re.compile(rf"{_NAME.format('b')}['\u2019\u00b4`]s? {_HOW}{_NOUN} (?:is|was) {_NAME.format('a')}\Z"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposition:
    """What a simple sentence says.

    Attributes:
        subject: What it speaks of: content words, singular; the one person of a relation.
        predicate: What it says of it; the relation.
        other: The other person of a relation; empty elsewhere.
        denied: Whether it is denied.
        quantity: ``all``, ``some``, or empty where it speaks of one thing.
    """

    subject: tuple[str, ...]
    predicate: tuple[str, ...]
    other: str = ""
    denied: bool = False
    quantity: str = ""


@lru_cache(maxsize=20_000)
def read_proposition(text: str) -> Proposition | None:
    """Reads a simple sentence; ``None`` for any other.

    Example:
        >>> read_proposition("Butterflies are lepidopterans.")
        Proposition(subject=('butterfly',), predicate=('lepidopteran',), other='', denied=False, quantity='all')
        >>> read_proposition("So [Ann] is [Bob]'s mother.").predicate
        ('mother',)
    """
    if len(text) > 240:
        return None
    text = text.strip().rstrip(".!*")
    text = text[_LEAD.match(text).end() :].strip()  # type: ignore[union-attr]
    return _relation(text) or _simple(text)


def _relation(text: str) -> Proposition | None:
    for form in _RELATIONS:
        match = form.match(text)
        if match:
            how = match["how"].replace(" in law", "-in-law").split(" or ")[0]
            return Proposition(
                (match["a"].lower(),), (how.split()[0] if "-in-law" in how else how,), match["b"].lower()
            )
    return None


def _simple(text: str) -> Proposition | None:
    match = _COPULA.match(text)
    if match is None or _OTHER_VERB.search(match["left"]) or _OTHER_VERB.search(match["right"]):
        return None
    left, right = match["left"], match["right"]
    quantity, denied = "", "n't" in match["be"]
    quantified = _QUANTIFIER.match(left)
    if quantified:
        left = left[quantified.end() :]
        quantity = "some" if quantified["some"] else "all"
        denied = denied or bool(quantified["none"])
    not_ = _DENIED.match(right)
    if not_:
        right = right[not_.end() :]
        denied = not denied
    article = _ARTICLE.match(left)
    subject, predicate = _words(left), _words(right)
    if not subject or not predicate or len(subject) > 8 or len(predicate) > 8:
        return None
    named = left[:1].isupper() and quantified is None and match["be"] in ("is", "was", "isn't", "wasn't")
    if not quantity and not named and (article or match["be"] in ("are", "aren't")):
        quantity = "all"  # "Butterflies are insects", "A butterfly is an insect"
    return Proposition(subject, predicate, "", denied, quantity)


def _words(text: str) -> tuple[str, ...]:
    found = re.findall(r"[a-z0-9][\w'./-]*", text.lower().replace("[", " ").replace("]", " "))
    return tuple(singular(word) for word in found if word not in ("a", "an", "the", "also", "of", "in"))


def singular(word: str) -> str:
    """Cuts the plural off a word: ``butterflies``, ``foxes``, ``cats``; ``boss`` and ``numpus`` stay."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("xes", "ches", "shes", "sses", "uses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui" else word


_UP = ("father", "mother", "parent", "dad", "mom")
_DOWN = ("son", "daughter", "child")
_SIDE = ("brother", "sister", "sibling", "twin")
_PAIR = ("husband", "wife", "spouse", "married", "partner")
_LINES = {
    name: (kind, name)
    for kind, names in (("up", _UP), ("down", _DOWN), ("side", _SIDE), ("pair", _PAIR))
    for name in names
}
_LINES |= {name: ("uncle", name) for name in ("uncle", "aunt")} | {
    name: ("nephew", name) for name in ("nephew", "niece")
}
_TURNED = {
    "up": "down",
    "down": "up",
    "side": "side",
    "pair": "pair",
    "uncle": "nephew",
    "nephew": "uncle",
    "cousin": "cousin",
}


def _turned(how: str) -> str | None:
    """How B is related to A where A is B's ``how``, whatever the sex: ``mother`` gives ``down``; ``grandson`` gives ``grand up``."""
    kind = kinship(how)
    if kind is None:
        return None
    before, _, line = kind.rpartition(" ")
    turned = _TURNED.get(line)
    return None if turned is None else f"{before} {turned}".strip()


def kinship(how: str) -> str | None:
    """Returns the kind of a family relation, whatever the sex: ``grandmother`` is ``grand up``; ``None`` for other relations."""
    before = []
    for mark in ("step", "half", "great", "grand"):
        while how.startswith(mark):
            how = how[len(mark) :].lstrip("-")
            before.append(mark.strip("-"))
    if how.endswith("-in-law"):
        how = how.removesuffix("-in-law")
        before.append("law")
    if how == "cousin":
        return " ".join([*before, "cousin"])
    line = _LINES.get(how)
    return " ".join([*before, line[0]]) if line else None


OTHER = 0.8
"""How sure it is that two sentences that say different things of one subject answer one question ("... is a hockey player")."""


def same_proposition(a: Proposition, b: Proposition) -> tuple[float, float] | None:
    """Compares two propositions.

    Returns:
        How sure it is that they are about the same thing, and how far they agree on it, each in [0, 1]; ``None`` where that
        cannot be said from their form.
    """
    if bool(a.other) != bool(b.other):
        return None
    if a.other:
        if {a.subject[0], a.other} != {b.subject[0], b.other}:
            return 0.0, 0.0
        if a.subject == b.subject:
            return 1.0, float(a.predicate == b.predicate)
        turned = _turned(a.predicate[0])
        return 1.0, float(turned is not None and turned == kinship(b.predicate[0]))
    subject, predicate = held(a.subject, b.subject), held(a.predicate, b.predicate)
    if a.quantity != b.quantity and subject:
        predicate *= 0.6
    if subject and predicate:
        return subject, 0.0 if a.denied != b.denied else predicate
    if held(a.subject, b.predicate) and held(a.predicate, b.subject):
        return OTHER, 0.0  # the converse
    if predicate and not set(a.subject) & set(b.subject):
        return 0.0, 0.0  # "Tom is an animal", "every cat is an animal"
    return (OTHER, 0.0) if subject == 1.0 else None


def held(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    """1 for the same words, 0.9 where the one holds all words of the other ("football player", "American football player"), else 0."""
    x, y = set(a), set(b)
    return 1.0 if x == y else 0.9 if x <= y or y <= x else 0.0
