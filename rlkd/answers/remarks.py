r"""Tells a statement of the answer from a remark: about the answer, about a wrong one, about somebody else's.

A completion goes on after its answer: ``\boxed{8}. The answer is even.``, ``A common wrong answer is 7.``, ``My first answer was 7.`` None
of these may replace the 8. A correction must: ``The answer is 8. Wait, no. The answer is 7.``
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from rlkd.answers.clean import clean_answer, shorter_statements
from rlkd.answers.dates import Clock, Day
from rlkd.answers.reading import whole_values
from rlkd.answers.values import Quantity
from rlkd.answers.words import Choice, Words, is_known, read_words

Standing = Literal["", "weak", "denied"]
"""How much a statement in words counts: fully, only where nothing else is stated, or not at all."""

_ABOUT = re.compile(
    r"(?:not|never|no longer|hardly|neither)\b|(?:in|obvious|clear|unclear|correct|right|wrong|incorrect|as follows|based|given|found|obtained|because|reasonable|consistent|the same|also|"
    r"expressed|rounded|simple|easy|hard|here|below|above|what|that|therefore|then|supposed|expected|known|unknown|within|between these|on|of|indeed correct|valid|plausible|"
    r"close to what|similar|written|already|still|now|to be|as|by|when|where|if|from)\b(?!\s?\$?\d)",
    re.IGNORECASE,
)
_ADVERBS = re.compile(
    r"(?:,? ?(?:also|therefore|then|already|still|now|indeed|thus|hence),?\s+)+", re.IGNORECASE
)
_COUNTED_OTHERWISE = re.compile(r"\b(?:more|less|fewer|larger|smaller|greater|digits?|long|of|than)\b")
"""``one of the factors``, ``two digits long``: a number begins it, but it is no amount."""
_PROSE = re.compile(r"(?<![\\A-Za-z])(?!sqrt|sinh|cosh|tanh)[a-z]{4}")
_PART = re.compile(r"(?:one|either|each) of ", re.IGNORECASE)
_WRONG = r"(?:wrong|incorrect|mistaken|erroneous|false|invalid)"
_DENIED_BEFORE = re.compile(
    r"(?:(?:\b(?:not|cannot|never|nor|neither|rather than|instead of|unlike|other than|different from|as opposed to)|n['’]t)(?: (?:be|equal|to|the|simply|just|only|quite|answer))*"
    r"|\b(?:first|original|initial|previous|earlier|naive|careless) (?:answer|guess|attempt)(?: (?:is|was|of|would be)|,)?[\s$(*:=\\\[]{0,8}\Z"
    rf"|\b{_WRONG}\b[ a-z]{{0,20}}\b(?:answer|result|value|option|choice|solution|guess)s?(?: (?:is|are|was|were|of|(?:would|might|could|may) be))?)[\s$(*:=\\\[]{{0,8}}\Z",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    rf"[\s$)*\\\]]{{0,6}} (?:is|was|would be|are) (?:an? )?(?:{_WRONG}|not (?:correct|right|the answer))\b",
    re.IGNORECASE,
)
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z'’-]*)[\s*_]{1,4}\Z")
_NEUTRAL = re.compile(
    r"(?i)so|thus|hence|therefore|then|and|but|that|because|since|as|final|correct|the|our|my|your|is"
)
_SAID_BY_OTHERS = re.compile(
    r"\b(?:some(?:one| people| students| readers)?|many(?: people| students)?|people|students?|others|you|one|we|it) (?:might|may|could|would|often|sometimes|mistakenly|wrongly|incorrectly)\b[^,:]*\Z"
    r"|\b(?:tempt(?:ed|ing) to|mistakenly|wrongly|incorrectly|(?:wrong|incorrect|a mistake) to)\b[^,:]*\Z|\b(?:thought|guessed|believed|assumed|claimed|expected|suspected|said|says|thinks|claims|believes|argues)(?: that)?\s*\Z"
    r"|\b(?:what|whether|how|know|if|think about what) \Z",
    re.IGNORECASE,
)
_ONCE = re.compile(
    r"\b(?:if|had|without|otherwise|before|earlier|previously|originally|initially|at first|unless)\b",
    re.IGNORECASE,
)
_PAST = re.compile(r" (?:was|were|would be|should be|would have been)\b", re.IGNORECASE)
_NOT_BUT = re.compile(r"not [^,.]{1,60},? but (?:rather |instead )?(?=\S)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def gives_value(answer: str) -> bool:
    r"""Whether a text is a value: ``7``, ``about $7``, ``x+1``, ``(B)``, ``Monday``, ``no solution``; not ``even``, ``a multiple of 3``.

    Yes, no and names are answers too, but behind a statement that gives a value they are a remark.
    """
    text = clean_answer(answer[:300])
    if _PART.match(text):
        return False
    return any(_is_value(piece) for piece in (text, *shorter_statements(text, sentences=False)))


def _is_value(text: str) -> bool:
    if is_known(text):
        return True
    wordy = read_words(text).wordy  # letters are read as a product: "even" would be e * v * e * n
    for value in whole_values(text):
        if isinstance(value, Choice | Day | Clock):
            return True
        if isinstance(value, Quantity) and value.tree[0] == "num":
            return not _COUNTED_OTHERWISE.search(value.noun)
        prose = wordy or (isinstance(value, Quantity) and _PROSE.search(text))  # 1 more than 7
        if not prose and not isinstance(value, Words):
            return True
    return False


def speaks_about(answer: str) -> bool:
    """Whether what follows ``the answer is`` says something about the answer, not the answer: ``in dollars``, ``not obvious``."""
    if _ABOUT.match(answer) is None or (answer[:3].lower() == "on " and gives_value(answer)):
        return False  # "on May 6, 2020" is a date
    adverbs = _ADVERBS.match(answer)  # "still 7", "then yes"
    rest = answer[adverbs.end() :] if adverbs else ""
    return not rest or not (gives_value(rest) or re.fullmatch(r"(?i)(?:yes|no|true|false)\W*", rest))


def without_refused(answer: str) -> str:
    """``7`` of ``not 8 but 7``."""
    refused = _NOT_BUT.match(answer)
    return answer[refused.end() :] if refused else answer


def takes_back(answer: str, stated: str) -> bool:
    """Whether ``not 8`` takes back the 8 that was stated."""
    return re.match(r"(?i)not\b", answer) is not None and _plain(answer[3:303]) == _plain(stated[:300])


@lru_cache(maxsize=1024)
def _plain(answer: str) -> str:
    return clean_answer(answer)


def is_denied(text: str, start: int, end: int) -> bool:
    r"""Whether a box is named as wrong: ``not \boxed{7}``, ``a wrong answer is \boxed{7}``, ``\boxed{7} is wrong``."""
    before = _sentence_before(text, start)
    return bool(_DENIED_BEFORE.search(before) or _DENIED_BEHIND.match(text, end, end + 60))


def standing(text: str, start: int, named: bool, sentence: str) -> Standing:
    """How much a statement in words counts, by the sentence that it is in.

    Args:
        text: The whole text.
        start: Where the statement begins.
        named: Whether it begins with an article (``the answer``): then no word before it says whose answer it is.
        sentence: The statement itself, up to the end of its sentence.
    """
    before = _sentence_before(text, start)
    word = None if named else _LAST_WORD.search(before)
    if word and re.fullmatch(_WRONG, word[1], re.IGNORECASE):
        return "denied"
    if word and not _NEUTRAL.fullmatch(word[1]):
        return "weak"  # her answer, the first answer, a common answer
    if _SAID_BY_OTHERS.search(before):
        return "weak"
    if _PAST.search(sentence) and (_ONCE.search(before) or _ONCE.search(sentence)):
        return "weak"
    return ""


def _sentence_before(text: str, start: int) -> str:
    before = text[max(0, start - 120) : start]
    return re.split(r"\n|[.!?;](?=\s)", before)[-1]
