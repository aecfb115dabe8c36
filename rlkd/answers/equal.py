"""Is a stated answer equal to the reference? Numbers fast and exactly, the rest through math-verify."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rlkd.answers.symbolic import symbolically_equal

MAX_CHARS = 400
"""Longer answers are no short answers: they count as wrong."""

_REMOVED = re.compile(r"\\(?:left|right|displaystyle|!|,|;|:|quad|qquad)(?![A-Za-z])|[*]{2}|\$|\\\$|~")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s{0,4}\{([^{}]{0,200})\}")
_DEGREES = re.compile(r"\^\s?(?:\{\s?\\circ\s?\}|\\circ)|°")
_THOUSANDS = re.compile(r"(\d),?\\[,!;: ](?=\d{3}(?!\d))")
_PLAIN_NUMBER = re.compile(r"[-+]?\d[\d.,]*")
_ASSIGNMENT = re.compile(r"[A-Za-z]\s{0,4}=\s{0,4}(?=[^=]+\Z)")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_QUANTITY = re.compile(
    rf"""(?P<sign>[-+]?)\s?(?P<currency>[€£¥₹]?)\s?(?P<sign2>[-+]?)
    (?:(?P<whole>{_DIGITS})\s?\\frac\s?\{{\s?(?P<mn>\d+)\s?\}}\s?\{{\s?(?P<md>\d+)\s?\}}
     |\\frac\s?\{{\s?(?P<fsign>-?)(?P<fn>{_DIGITS})\s?\}}\s?\{{\s?(?P<fd>{_DIGITS})\s?\}}
     |\\frac\s?(?P<f1>\d)\s?(?P<f2>\d)
     |(?P<mixed>{_DIGITS})\ (?P<xn>\d+)/(?P<xd>\d+)
     |(?P<n>{_DIGITS})\s?/\s?(?P<d>{_DIGITS})(?![\d.])
     |(?P<decimal>{_DIGITS}(?:\.\d*)?|\.\d+)(?:[eE](?P<exp>[-+]?\d{{1,3}})(?![A-Za-z\d]))?)
    (?P<gap>\s{{0,4}})(?P<rest>.*)\Z""",
    re.VERBOSE | re.DOTALL,
)
_UNIT = re.compile(r"[A-Za-zµ]{1,24}(?:[ /.-]{1,2}[A-Za-z]{1,24}){0,5}(?:\s?\^?\s?\{?[23²³]\}?)?\.?")
_NO_UNITS = frozenset(
    re.findall(
        r"\w+",
        "or and not maybe perhaps either if than wrong nor but minus plus times divided squared cubed over "
        "pi sqrt sin cos tan log ln exp mod infinity",
    )
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORDS = re.compile(r"[^\W\d_]+(?:['’ .-][^\W\d_]*)*")
_ARITHMETIC = re.compile(r"[\d.,\s()+\-*/×÷^]+")
_EXPLOSIVE = re.compile(
    r"(?:\^|\*\*)\s*[{(]?\s*[\d.]+\s*[})]?\s*[{(]?\s*(?:\^|\*\*)"  # a power in an exponent
    r"|(?:\^|\*\*)\s*[{(]*\s*-?\d{4,}"  # a huge exponent
    r"|(?:\d{4,}|[)\]}!])\s*!"  # a factorial of something large or unknown
    r"|\\(?:binom|dbinom|tbinom|prod|sum|int)\b.*\d{5,}",
    re.DOTALL,
)
_MAX_DEPTH = 10
_VERDICT = re.compile(r"\(?([A-Z])[).:](?=\s)|(yes|no|true|false)(?=[,;])", re.IGNORECASE)
_TRUTH = {"true": "yes", "false": "no"}

_UNIT_TABLE: tuple[tuple[str, str, Fraction], ...] = (
    ("money", "dollar usd", Fraction(1)),
    ("money", "cent", Fraction(1, 100)),
    ("time", "second sec", Fraction(1)),
    ("time", "minute min", Fraction(60)),
    ("time", "hour hr", Fraction(3600)),
    ("time", "day", Fraction(86400)),
    ("time", "week", Fraction(604800)),
    ("length", "mm millimeter millimetre", Fraction(1, 1000)),
    ("length", "cm centimeter centimetre", Fraction(1, 100)),
    ("length", "m meter metre", Fraction(1)),
    ("length", "km kilometer kilometre", Fraction(1000)),
    ("imperial length", "inch inches in", Fraction(1)),
    ("imperial length", "foot feet ft", Fraction(12)),
    ("imperial length", "yard yd", Fraction(36)),
    ("imperial length", "mile", Fraction(63360)),
    ("mass", "mg milligram", Fraction(1, 1000)),
    ("mass", "g gram", Fraction(1)),
    ("mass", "kg kilogram", Fraction(1000)),
    ("imperial mass", "ounce oz", Fraction(1)),
    ("imperial mass", "pound lb", Fraction(16)),
    ("volume", "ml milliliter millilitre", Fraction(1, 1000)),
    ("volume", "l liter litre", Fraction(1)),
)
_UNITS = {name: (kind, factor) for kind, names, factor in _UNIT_TABLE for name in names.split()}


@dataclass(frozen=True)
class Quantity:
    """A number as an answer states it: exact value, ``percent`` sign, unit as a lower-case word."""

    value: Fraction
    unit: str = ""
    percent: bool = False


def clean_answer(text: str) -> str:
    r"""An answer without what carries no meaning: spacing, ``$``, ``\text{}``, a final full stop."""
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").strip()
    money = "$" in text
    text = (
        text.replace(r"\%", "%").replace("{,}", ",").replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    )
    text = _THOUSANDS.sub(r"\1", text)
    text = _DEGREES.sub(" degrees", _WRAPPER.sub(r" \1 ", _REMOVED.sub(" ", text)))
    text = " ".join(text.split()).rstrip(" .,;:").strip()
    return f"{text} dollars" if money and _PLAIN_NUMBER.fullmatch(text) else text


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Quantity | None:
    r"""Reads ``$1,234.50``, ``-3/4``, ``1 1/2``, ``\frac{1}{2}``, ``50%``, ``18 eggs``, ``3 million`` exactly.

    Returns:
        The quantity, or ``None`` where the text is not one number with at most a unit.
    """
    if len(text) > MAX_CHARS:
        return None
    match = _QUANTITY.fullmatch(clean_answer(text))
    if not match:
        return None
    value = _value(match)
    if value is None:
        return None
    if (match["sign"] == "-") != (match["sign2"] == "-"):
        value = -value
    rest = match["rest"].strip().casefold()
    words = rest.split()
    if words and words[0] in _SCALES:
        value *= _SCALES[words[0]]
        words = words[1:]
    if words[:1] in (["%"], ["percent"], ["percentage"]):
        return Quantity(value, "", True) if len(words) == 1 else None
    rest = " ".join(words)
    return None if rest and not _is_unit(rest, apart=bool(match["gap"])) else Quantity(value, rest)


def _is_unit(text: str, apart: bool) -> bool:
    """Whether what follows a number is a unit: ``18 eggs``, ``18cm``, but not ``2 pi``, ``5 or 7``, ``5xy``."""
    if not _UNIT.fullmatch(text) or _NO_UNITS.intersection(re.split(r"[^a-z]+", text)):
        return False
    return _unit(text) is not None or (apart and len(text) > 1)


def _value(match: re.Match[str]) -> Fraction | None:
    def number(name: str) -> int:
        return int(match[name].replace(",", ""))

    for whole, top, bottom in (
        ("whole", "mn", "md"),
        ("mixed", "xn", "xd"),
        ("", "fn", "fd"),
        ("", "f1", "f2"),
        ("", "n", "d"),
    ):
        if match[top] is not None:
            if not number(bottom):
                return None
            value = Fraction(number(top), number(bottom)) + (number(whole) if whole else 0)
            return -value if top == "fn" and match["fsign"] else value
    return Fraction(match["decimal"].replace(",", "").rstrip(".")) * Fraction(10) ** int(match["exp"] or 0)


def _same_number(a: Fraction, b: Fraction) -> bool:
    """Exact, but for decimals cut off after the sixth digit or later (``0.333333`` is 1/3)."""
    if a == b:
        return True
    return (a.denominator != 1 or b.denominator != 1) and abs(a - b) <= Fraction(2, 10**6) * abs(a)


def _unit(text: str) -> tuple[str, Fraction] | None:
    return _UNITS.get(text) or _UNITS.get(text.removesuffix("s"))


def quantities_equal(reference: Quantity, answer: Quantity) -> bool:
    """Whether two quantities are equal; units that are known are converted, others are not compared."""
    a, b = reference.value, answer.value
    if reference.percent != answer.percent:
        share, other = (a, b) if reference.percent else (b, a)
        return _same_number(share, other) or _same_number(share / 100, other)
    units = _unit(reference.unit), _unit(answer.unit)
    if units[0] and units[1]:
        return units[0][0] == units[1][0] and _same_number(a * units[0][1], b * units[1][1])
    return _same_number(a, b)


def _as_words(text: str) -> str:
    text = re.sub(r"^(?:the|an?) |^[(\[]|[)\]]$", "", text.casefold().strip("\"'“”‘’")).strip(" .\"'")
    return _TRUTH.get(text, text)


def _verdict(text: str) -> str | None:
    """The choice or verdict that an answer begins with: ``(B) 5 eggs``, ``Yes, because ...``."""
    match = _VERDICT.match(text)
    return _as_words(match[1] or match[2]) if match else None


def _is_words(text: str) -> bool:
    if not _WORDS.fullmatch(text):
        return False
    return "-" not in text or all(len(part) > 1 for part in re.split(r"[ -]+", text))


def _is_tame(text: str) -> bool:
    """Whether an expression can be parsed and worked out in a sensible time: brackets close, no tower of powers."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if not 0 <= depth <= _MAX_DEPTH:
            return False
    return depth == 0 and not _EXPLOSIVE.search(text)


def answers_equal(reference: str, answer: str, timeout_s: float = 5.0) -> bool | None:
    """Whether an answer equals the reference.

    Numbers are compared exactly (commas, currency, percent, units, fractions), words as words
    (``yes`` is ``true``), anything else as an expression by math-verify. A calculation that is
    left to the reader (``3*4`` for 12), a hedge (``5 or 7``) or an answer longer than
    :data:`MAX_CHARS` is not equal to a number; powers and factorials too large to work out are not
    worked out. The time is bounded, whatever the texts.

    Args:
        reference: The reference answer.
        answer: The stated answer.
        timeout_s: Longest time for computer algebra, in seconds.

    Returns:
        The verdict; ``None`` (missing) where computer algebra did not finish in time.

    Raises:
        VerifierError: Computer algebra failed; see :mod:`rlkd.answers.symbolic`.
    """
    if len(answer) > MAX_CHARS or len(reference) > 10 * MAX_CHARS:
        return reference.strip() == answer.strip()
    wanted, stated = clean_answer(reference), clean_answer(answer)
    if not stated:
        return False
    if _as_words(wanted) == _as_words(stated) or _as_words(wanted) == _verdict(stated):
        return True
    number = parse_quantity(reference)
    if number is not None:
        found = parse_quantity(_ASSIGNMENT.sub("", stated, count=1) if _ASSIGNMENT.match(stated) else answer)
        if found is not None:
            return quantities_equal(number, found)
        if _ARITHMETIC.fullmatch(stated) or len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", stated)) > 2:
            return False
    if _is_words(wanted) or (_is_words(stated) and len(stated) > 1):
        return False
    if not _is_tame(stated) and _is_tame(wanted):
        return False
    return symbolically_equal(wanted, stated, timeout_s)
