r"""Puts an answer into plain form: what carries no meaning goes, what does carry it stays.

``\text{}``, ``\left``, spacing, ``$`` around math, Markdown, ``\dfrac`` and a final full stop carry none. Superscripts, leading points,
primes, brackets, letter case and dollar signs before a number do.
"""

from __future__ import annotations

import re

from rlkd.quantities.amounts import read_amount
from rlkd.quantities.latex import RELATIONS
from rlkd.quantities.signs import plain_signs

_LINES = re.compile(r"\s+")
_SIZES = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|large|Large|LARGE|huge|Huge|small|normalsize|boldmath|bf|rm|it"
    r"|mathopen|mathclose|nolimits|phantom\{\}|hphantom\{\}|null)(?![A-Za-z])\.?"
)
_SPACING = re.compile(r"\\[,;:>]|\\(?:q?quad|thinspace)(?![A-Za-z])|~|(?<!\\)\\(?=\s)")
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mathrm|mathbf|mathit|mathsf|mathtt|mathnormal|mbox|hbox|fbox|boxed|framebox|operatorname\*?|emph|underline"
    r"|bm|boldsymbol|pmb|mathop|mathbin)\s{0,4}\{([^{}]{0,300})\}"
)
_BOXED_GROUP = re.compile(r"\\(?:boxed|fbox|framebox)\s{0,4}(?=\{)")
_COLORED = re.compile(r"\\(?:textcolor|color)\s?\{[a-z]{1,12}\}")
_DEGREES = re.compile(
    r"\s?(?:\^\s?(?:\{\s?\\(?:circ|degree)\s?\}|\\(?:circ|degree)(?![A-Za-z])|°)|\\degrees?(?![A-Za-z])|°)"
)
_FRACTIONS = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_CHOOSE = re.compile(r"\{([^{}]{1,40})\\choose(?![A-Za-z])([^{}]{1,40})\}")
_BINOMIALS = re.compile(r"\\[dt]binom(?![A-Za-z])")
_PAIRS = re.compile(r"(?<!\\)\$(?!\s?[\d.,]*\s?\Z)([^$]{1,300})\$(?!\d)")
_BOLD = re.compile(r"(?<![\w)\]}])(\*\*|__)(?=\S)([^*]{1,300}?)\1(?![\w(])")
_COMMANDS = {
    **{f"\\{name}": sign for name, sign in RELATIONS.items()}, r"\pm": "±", r"\mp": "∓", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]",
    r"\langle": "⟨", r"\rangle": "⟩", r"\cup": "∪", r"\cap": "∩", r"\in": "∈", r"\emptyset": "∅", r"\varnothing": "∅", r"\colon": ":",
    r"\infin": r"\infty", r"\reals": r"\mathbb{R}", r"\Reals": r"\mathbb{R}", r"\R": r"\mathbb{R}", r"\euro": "€", r"\pounds": "£",
    r"\textdollar": "$", r"\land": " and ", r"\lor": " or ", r"\wedge": " and ", r"\vee": " or ",
    r"\setminus": "∖", r"\backslash": "∖", r"\implies": "⇒", r"\Rightarrow": "⇒", r"\to": "→", r"\rightarrow": "→", r"\dots": r"...",
    r"\ldots": "...", r"\cdots": "...", r"\prime": "'", r"\iff": "⇔", r"\textdegree": "°", r"\cdotp": r"\cdot", r"\parallel": "∥", r"\perp": "⊥",
}  # fmt: skip
_COMMAND = re.compile(
    "|".join(re.escape(name) + r"(?![A-Za-z])" for name in sorted(_COMMANDS, key=len, reverse=True))
)
_SWISS = re.compile(r"(?<=\d)'(?=\d{3}(?!\d))")
"""The thousands sign of ``120'000``."""
_MARKS_AFTER = re.compile(r"(?<=\S)[\s\u2600-\u27bf\U0001f300-\U0001faff]+\Z")
"""Ticks and pictures behind an answer."""
_QUOTES = (('"', '"'), ("'", "'"), ("`", "`"), ("``", "''"))


def clean_answer(text: str) -> str:
    r"""Puts an answer into plain form.

    Args:
        text: An answer as it was stated, at most some thousand characters.

    Returns:
        The plain form; cleaning it again changes nothing.

    Example:
        >>> clean_answer(r"**$\left(\dfrac{1}{2},\ 3\right)$.**")
        '(\\frac{1}{2}, 3)'
    """
    for _ in range(8):
        cleaned = _clean(text)
        if cleaned == text:
            break
        text = cleaned
    return text


def _clean(text: str) -> str:
    text = plain_signs(text).strip()
    if text.startswith("``") and text.endswith("''"):  # quotes as TeX writes them
        text = text[2:-2]
    text = _MARKS_AFTER.sub("", _BOLD.sub(r"\2", text).strip("*` "))
    text = _SWISS.sub(",", text)
    if "\\" in text or "~" in text:
        text = _clean_commands(text)
    text = _without_delimiters(text)
    text = _DEGREES.sub("°", text)
    text = text.replace("{,}", ",")
    text = re.sub(r"°\s(?=[CF]\b)", "°", text)
    text = re.sub(r"(?<!\\)\{\s+|(?<=\\\{)\s+", lambda match: match[0].strip(), text)
    text = re.sub(r"\s+(?=\}|\\\})", "", text)
    text = _LINES.sub(" ", text).strip()
    return _without_frame(text)


def _clean_commands(text: str) -> str:
    text = re.sub(r"(\d),?\\[!,;: ](?=\d{3}(?!\d))", r"\1,", text)  # 70\,000
    text = re.sub(
        r"\^\s?\{?\s?(\\prime(?![A-Za-z])\s?)+\}?", lambda match: "'" * match[0].count("prime"), text
    )  # f^{\prime}
    text = re.sub(r"\\not\s?=", "≠", text)
    text = re.sub(r"\\mathbb\s?([A-Z])(?![A-Za-z])", r"\\mathbb{\1}", text)
    text = re.sub(r"\\\\\s?\[-?[\d.]+ ?(?:pt|em|ex|mm|cm)\]", r"\\\\", text)  # the height of a row
    text = text.replace(r"\!", "").replace("{}", "")
    text = (
        text.replace(r"\%", "%")
        .replace(r"\#", "#")
        .replace(r"\&", "&")
        .replace(r"\_", "_")
        .replace(r"\:", " ")
    )
    text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    text = _FRACTIONS.sub(r"\\frac", text)
    text = _BINOMIALS.sub(r"\\binom", text)
    text = _COMMAND.sub(lambda match: _COMMANDS[match[0]], text)
    text = _SIZES.sub(" ", _COLORED.sub("", text))
    text = _SPACING.sub(" ", text)
    for _ in range(4):
        unwrapped = _WRAPPER.sub(r" \1 ", text)
        if unwrapped == text:
            break
        text = unwrapped
    return _BOXED_GROUP.sub("", text)


def _without_delimiters(text: str) -> str:
    r"""Without the signs that begin and end math: ``$x$``, ``\(x\)``, ``\[x\]``; a price keeps its dollar."""
    text = re.sub(r"\\[()\[\]]", " ", text) if "\\" in text else text
    if "$" in text:
        if len(text) > 1 and text.startswith("$") and text.endswith("$"):
            text = text.strip("$")
        text = _PAIRS.sub(r"\1", text.replace("$$", "$"))
        text = re.sub(r"\\\$", "$", text)
        if text.count("$") == 1 and text.endswith("$") and not re.search(r"\d ?\$\Z", text):
            text = text[:-1]
    return text


def _without_frame(text: str) -> str:
    """Without final punctuation, and without quotes, braces or a box around all of it."""
    if not text.endswith("...") or not text[:-3].rstrip()[-1:].isdigit():  # 0.333..., 7 ...
        text = text.rstrip(" .,;:")
    for opening, closing in _QUOTES:
        inner = text[len(opening) : -len(closing)]
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and opening not in inner:
            return inner.strip()
    if text.startswith("{") and text.endswith("}") and "," not in text and closes_at_end(text):
        return text[1:-1].strip()
    return text


def closes_at_end(text: str) -> bool:
    """Whether the bracket that a text begins with is closed by its last sign, and no sooner."""
    depth = 0
    for i, char in enumerate(text):
        if i and text[i - 1] == "\\":
            continue
        if char in "([{⟨":
            depth += 1
        elif char in ")]}⟩":
            depth -= 1
            if depth == 0:
                return i == len(text) - 1
    return False


_HEDGE = re.compile(
    r"(?:(?:it|this|that|he|she|they|we|there|the (?:final |correct )?answer) (?:is|are|was|were|will be|has|have|had|needs?|gets?|earns?|makes?|took|takes|costs?|spent|paid) )?"
    r"(?:(?:is|are|be|about|approximately|approx\.?|around|roughly|nearly|almost|exactly|precisely|at least|at most|only|just|simply|equal to|equals?|a total of|"
    r"the (?:number|value|sum|total)|in total,?|therefore,?|so,?|thus,?|hence,?|(?:indeed|then|still|definitely|clearly|certainly|surely|of course|actually)\b,?|in(?: the year)?(?= [12]\d{3}\Z)|≈|=|:|→|⇒)\s*)+",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"[A-Za-z][A-Za-z' ]{0,80}? (?:is|are|was|were|equals|will be|would be) (?=\S)")
_CLAUSE = re.compile(
    r"(?:,| -|;|\.)? (?:because|since|as (?:he|she|it|they|we|the|in)|so (?:that|he|she|they|the)|given that|which|who|where(?:as)?|when|while|after|if|"
    r"of (?:the|an?|all|his|her|their|its|it|them)\b|in total|in all|altogether|overall|combined|each|apiece|per (?:person|day|week|month|year|hour) (?:on|in)|due to|thanks to|making|leaving|assuming|meaning)\b.*\Z"
    r"|, (?:(?:as|so|in|on|for|with|not counting|at|after|from|by|and so|and thus|and therefore|that is|making|total|the|on average)\b|i\.e\.).*\Z| total\Z",
    re.IGNORECASE | re.DOTALL,
)
_OTHERS = re.compile(
    r"\b(?:or|not|maybe|perhaps|possibly|might|unless|except|wrong|incorrect|but|either|nor|rather|instead|else|otherwise)\b|\bif\b.*[<>≤≥=]",
    re.IGNORECASE,
)
_PROSE = re.compile(r"[A-Za-z'.,\s$€£%\d-]*")
_NUMBER_IN_PROSE = re.compile(
    r"[$€£]?\d[\d,]*(?:\.\d+)?%?(?: (?:dollars|cents|hours|minutes|days|weeks|feet|miles|inches|meters|kilometers|cm|km|kg))?"
)
_VERB = re.compile(r" (?:is|are|was|were|will|has|have|had|remain|remains|remained)\b")
_RELATIONS = re.compile(
    r"\b(?:than|more|less|fewer|times|half|twice|double|triple|third|quarter|plus|minus|squared|cubed|root|power|per|percent|over|divided|multiplied|"
    r"two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|thousand|million|between|to|pi|mod|base|first|second|[b-z])\b|(?<!\w)-",
    re.IGNORECASE,
)
_NOTE = re.compile(r"(.*\S) ?\(([^()]{1,120})\)\Z", re.DOTALL)


def shorter_statements(text: str, sentences: bool = True) -> list[str]:
    """What an answer says without the words around it, the longest first.

    A hedge before it (``about``), a subject (``the colour is``), a clause behind it (``, since ...``) and a note in brackets go,
    unless they speak of another answer (``or``, ``not``).

    Args:
        text: An answer in plain form.
        sentences: Whether the number of a sentence counts, whatever the sentence says: ``There are 15 sheep``.
    """
    found: list[str] = []

    def add(new: str) -> None:
        new = clean_answer(new)
        if new and new != text and new not in found:
            found.append(new)

    for base in (text, _without_clause(text)):
        if base is None:
            continue
        if base != text:
            add(base)
        hedge = _HEDGE.match(base)
        rest = base[hedge.end() :] if hedge else base
        if hedge and rest:
            add(rest)
            add(_without_clause(rest) or rest)
        subject = _SUBJECT.match(rest)
        if subject and not _OTHERS.search(rest):
            tail = rest[subject.end() :]
            hedge = _HEDGE.match(tail)
            tail = tail[hedge.end() :] if hedge else tail
            add(tail)
            add(_without_clause(tail) or tail)
    number = _only_number(text) if sentences else None
    if number:
        add(number)
    return found[:7]


def _only_number(text: str) -> str | None:
    """The number of a sentence that names only one: ``There are 15 sheep on the farm``, ``27 boxes were sold``."""
    if _OTHERS.search(text) or _RELATIONS.search(text) or not _PROSE.fullmatch(text):
        return None
    numbers = list(_NUMBER_IN_PROSE.finditer(text))
    if len(numbers) != 1:
        return None
    before, after = text[: numbers[0].start()].split(), text[numbers[0].end() :]
    return numbers[0][0] if len(before) > 1 or _VERB.search(after) else None


def _is_another_amount(text: str, note: str) -> bool:
    """Whether a note in brackets contradicts what it stands behind: ``5 (six)``, ``1.5 hours (80 minutes)``."""
    stated, noted = read_amount(text), read_amount(note)
    if stated is None or noted is None or noted.noun or noted.percent != stated.percent:
        return False
    if noted.unit is None:
        return noted.value != stated.value
    if stated.unit is None or stated.unit.measures != noted.unit.measures:
        return False
    return noted.unit.base(noted.value) != stated.unit.base(stated.value)


def _without_clause(text: str) -> str | None:
    note = _NOTE.match(text)
    if note and re.search(r"[A-Za-z]{2,}", note[2]) and "\\" not in note[2] and not _OTHERS.search(note[2]):
        return None if _is_another_amount(note[1], note[2]) else note[1]
    clause = _CLAUSE.search(text)
    if clause is None or clause.start() == 0 or _OTHERS.search(clause[0]):
        return None
    return text[: clause.start()]
