"""Compares an answer with the options of a multiple-choice problem: the label or the text of the right one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from rlkd.answers.clean import clean_answer
from rlkd.answers.equal import answers_equal

_BEFORE = (
    r"(?:(?:so|thus|hence|therefore|indeed|definitely|clearly|certainly|it is|it's),? )*"
    r"(?P<word>(?:the )?(?:(?:correct|right|best|final) )?(?:answer|option|choice|letter)(?: is)?(?: option| choice)?\s*:?\s*)?"
)
_SURE = re.compile(
    r"\s*,? ?(?:is|would be|must be) (?:indeed )?(?:the )?(?:correct|right|best|true|answer)(?: (?:one|answer|option|choice))?(?P<clause>\Z|[ ,.;:].*)",
    re.IGNORECASE | re.DOTALL,
)
_CLAUSE = re.compile(
    r"[\s,.;:-]*(?:because|since|as|for|due to|given|so that|which|where|when|while|by|from|after|i\.e|that is)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_REASON = re.compile(r"\s(?:because|since)\b.*", re.IGNORECASE | re.DOTALL)
_DOUBT = re.compile(
    r"\b(?:or|but|maybe|perhaps|possibly|might|unless|either|neither|nor|instead|otherwise|rather|wrong|incorrect|false|could|except|also)\b",
    re.IGNORECASE,
)


def choice_equal(
    reference: str, answer: str, choices: Mapping[str, str], timeout_s: float = 5.0
) -> bool | None:
    r"""Whether an answer names the right option: ``B``, ``\text{(B)}``, ``B) 21``, ``21 (B)``, ``B is correct`` or ``21``.

    An answer that is just a label counts as that option, else the text of an option does: of the options
    ``{A: 3, B: 4, C: 1}``, ``1`` is C. A label with the text of another option is wrong.

    Args:
        reference: The right label.
        answer: The student's answer.
        choices: Label to text.
        timeout_s: Longest time of a symbolic comparison, in seconds.

    Returns:
        The verdict; ``None`` where it could not be reached in time.
    """
    text = clean_answer(answer)
    labels = {label.casefold(): label for label in choices}
    if text.casefold() in labels:
        return labels[text.casefold()] == reference
    said = (_plain(text), _plain(answer))
    named = [label for label, option in choices.items() if _plain(option) in said]
    if named:
        return reference in named
    text = text.rstrip("!")
    found = _label_before(text, choices, timeout_s) or _label_behind(text, choices, timeout_s)
    if found is not None:
        return found == reference
    others = [option for label, option in choices.items() if label != reference]
    verdict = answers_equal(choices[reference], text, timeout_s)
    if verdict and any(answers_equal(option, text, timeout_s) for option in others):
        return False  # it fits several options, so it names none
    return verdict


def _label_before(text: str, choices: Mapping[str, str], timeout_s: float) -> str | None:
    """The label that an answer begins with: ``B``, ``Option B: 4 hours``, ``(B) because ...``.

    Returns:
        The label; empty where another text stands behind it than that of its option; ``None`` where there is no label.
    """
    match = _forms(tuple(choices))[0].match(text)
    if match is None:
        return None
    label = _label(choices, match["a"] or match["b"] or match["c"] or match["d"])
    rest = match["rest"].strip(" .:,;-")
    article = (
        match["c"] and not match["word"] and label in "AaIi" and re.match(r" \w", match["rest"]) is not None
    )
    sure = _SURE.fullmatch(match["rest"])
    clause = (_REASON if article else _CLAUSE).fullmatch(match["rest"])  # "a by-product" has no label
    if not rest or sure or clause:
        said = sure["clause"] if sure else match["rest"]
        doubtful = _DOUBT.search(said) or (sure and said.strip(" .,;:") and not _CLAUSE.fullmatch(said))
        return "" if doubtful or _names_another(said, label, choices) else label
    noted = re.fullmatch(r"\((.*)\)", rest)
    for said in (rest, noted[1]) if noted else (rest,):
        if _says(choices[label], said, timeout_s):
            more = said[len(choices[label]) :] if _plain(said).startswith(_plain(choices[label])) else said
            clause_names = re.search(r"[A-Za-z]{3}", more) and _names_another(more, label, choices)
            return "" if clause_names else label  # "C + x^2" names no label
    apart = re.match(r"\s|[-,.:;)]", match["rest"]) is not None  # "a(b+c)" is a formula
    firm = match["word"] or match["d"] or ((match["a"] or match["b"]) and apart)
    contradicts = apart and not article and any(_says(option, rest, timeout_s) for option in choices.values())
    return "" if firm or contradicts else None


def _label_behind(text: str, choices: Mapping[str, str], timeout_s: float) -> str | None:
    """The label that an answer ends with: ``4 hours (B)``, ``4 hours, which is option B``; what is returned is as before."""
    match = _forms(tuple(choices))[1].match(text)
    if match is None:
        return None
    label = _label(choices, match["a"] or match["b"])
    if _says(choices[label], match["text"], timeout_s):
        return label
    another = any(_says(option, match["text"], timeout_s) for option in choices.values())
    return "" if match["a"] is None or another else None


@lru_cache(maxsize=256)
def _forms(labels: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """How an answer begins with one of the labels, and how it ends with one."""
    one = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    before = rf"{_BEFORE}(?:\((?P<a>{one})\)|\[(?P<b>{one})\]|(?P<d>{one})[).:]+(?=\s|\Z|\()|(?P<c>{one})(?![\w'’^_*/=+(\[{{\\]))(?P<rest>.*)"
    behind = rf"(?P<text>.+?)[\s,;-]+(?:\((?P<a>{one})\)|\(?(?:(?:which|that|this) is )?(?:the )?(?:option|choice|answer) \(?(?P<b>{one})\)?\)?)"
    return (
        re.compile(before + r"\Z", re.IGNORECASE | re.DOTALL),
        re.compile(behind + r"\Z", re.IGNORECASE | re.DOTALL),
    )


def _label(choices: Iterable[str], found: str) -> str:
    return next(label for label in choices if label.casefold() == found.casefold())


def _names_another(text: str, label: str, choices: Iterable[str]) -> bool:
    """Whether a clause names another label: ``because C is wrong``."""
    return any(
        other != label and re.search(rf"(?<![\w'’]){re.escape(other)}(?![\w'’])", text)
        for other in choices
        if not other.isdigit()
    )


def _says(option: str, text: str, timeout_s: float) -> bool:
    """Whether a text is that of an option."""
    return _plain(option) == _plain(text) or answers_equal(option, text, timeout_s) is True


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", clean_answer(text)).strip().rstrip(".").casefold()
