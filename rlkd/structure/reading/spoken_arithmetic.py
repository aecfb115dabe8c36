"""Calculations in words: "Adding 3 and 4 gives 7", "half of 18 is 9", "nine eggs at two dollars each is eighteen dollars".

Only sentences in which no calculation in signs was found are read. Number words become digits, words for "equals" become
the sign, and what is then left is matched against a few forms. Sentences are cut to a fixed length and every repetition
is bounded, so that no text takes long.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rlkd.quantities.numbers import parse_number, same_value
from rlkd.quantities.words import with_digits
from rlkd.structure.reading.calculation import Found, Item
from rlkd.structure.reading.inline_arithmetic import find_calculations

MAX_SENTENCE = 400
"""Characters of a sentence that are read."""
SHORTEST = 9
"""Characters below which a sentence says no calculation."""
_CUE = re.compile(
    r"\b(?:add|combin|sum|subtract|tak(?:e|ing)|deduct|remov|differen|multipl|product|divi|split|shar|half|third|quarter|twice"
    r"|double|triple|squar|cube|root|factorial|mod|plus|minus|times|at|and|leav|left|remain|over|altogether|total)",
    re.IGNORECASE,
)
_ABBREVIATED = re.compile(r"\bi\.e\.,?|\bthat is,|[→⇒]", re.IGNORECASE)
_EQUALS = re.compile(
    r",? (?:gives?|makes?|yields?|leaves?|leaving|giving|making|equals|comes to|results in|to get|we get|we have|which is|which gives"
    r"|which leaves|which makes|for a total of|=)(?: (?:us|her|him|them|you|a total of|about|only|exactly))?(?= [$£€]?\d)",
    re.IGNORECASE,
)
_Q = r"[$£€]?\s?(\d{1,12}(?:,\d{3}){0,3}(?:\.\d{1,9})?)(?![\d.,]\d)"
_W = r"(?:[ -][A-Za-z'\u2019]{1,15}){0,4}?"
_R = (
    r",?(?: (?:each|apiece|per [a-z]{1,12}|in total|altogether))?,? (?:that |which )?(?:it )?(?:gives?|gets?|is|are|was|were|equals?|makes?|leaves?|leaving|yields?|totals?|costs?|results? in|comes? to"
    r"|to get|to find|we (?:get|have)|giving|making|which is|for|so|=)(?: [A-Za-z]{1,12}){0,3}? "
)


def _sums(a: float, b: float) -> float:
    return a + b


def _differences(a: float, b: float) -> float:
    return a - b


def _products(a: float, b: float) -> float:
    return a * b


def _quotients(a: float, b: float) -> float:
    return a / b if b else 0.0


_DO: dict[str, Callable[[float, float], float]] = {
    "+": _sums,
    "-": _differences,
    "*": _products,
    "/": _quotients,
}


def _form(before: str, joint: str) -> re.Pattern[str]:
    return re.compile(
        rf"{before}{_W} {_Q}{_W},? {joint}(?: (?:the|these|those|her|his|its|their|all))? {_Q}{_W}{_R}{_Q}",
        re.IGNORECASE,
    )


_FORMS: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    # (form, operator, whether the second number comes first)
    (_form(r"\b(?:add(?:ing)?|combin(?:e|ing)|(?:sum|total) of)", r"(?:and|to|plus|with)"), "+", False),
    (
        _form(r"\b(?:subtract(?:ing)?|tak(?:e|ing)|deduct(?:ing)?|remov(?:e|ing))", r"(?:away )?from"),
        "-",
        True,
    ),
    (_form(r"\bdifference (?:between|of)", r"and"), "-", False),
    (_form(r"\b(?:multiply(?:ing)?|product of)", r"(?:by|and|with|times)"), "*", False),
    (
        _form(r"\b(?:divid(?:e|ing)|split(?:ting)?|shar(?:e|ing))", r"(?:evenly )?(?:by|among|between|into)"),
        "/",
        False,
    ),
    (
        re.compile(
            rf"\b{_Q}{_W} at(?: [a-z]{{1,12}}){{0,3}}? (?=[^.]{{1,24}}\b(?:each|apiece|per|dollars?|cents?)\b|\$){_Q}{_W}{_R}{_Q}",
            re.IGNORECASE,
        ),
        "*",
        False,
    ),
)
_LIST = re.compile(rf"\b{_Q}{_W},? and{_W} {_Q}{_W}{_R}{_Q}", re.IGNORECASE)
_LEAVES = re.compile(
    rf"\b[A-Za-z]{{2,12}}ing {_Q}{_W}(?:,? and(?: [a-z]{{1,12}}){{0,2}} {_Q}{_W})?,? (?:leaves|would leave|leaving){_W} {_Q}",
    re.IGNORECASE,
)
_PART = re.compile(
    rf"\b(half|twice|double|triple|(?:a|one|1) (?:third|quarter|fourth|fifth|tenth))(?: of)?(?: the)? {_Q}{_W}{_R}{_Q}",
    re.IGNORECASE,
)
_PARTS: dict[str, tuple[float, str]] = {
    "half": (2.0, "/"), "third": (3.0, "/"), "quarter": (4.0, "/"), "fourth": (4.0, "/"), "fifth": (5.0, "/"), "tenth": (10.0, "/"),
    "twice": (2.0, "*"), "double": (2.0, "*"), "triple": (3.0, "*"),
}  # fmt: skip
_POWER = re.compile(
    rf"\b{_Q} (squared|cubed){_R}{_Q}|\bsquare root of {_Q}{_R}{_Q}|\b{_Q} mod(?:ulo)? {_Q}{_R}{_Q}",
    re.IGNORECASE,
)


def read_sentence(sentence: str, base: int) -> list[Found]:
    """Reads the calculation in words of a sentence without any in signs; time is linear in its length.

    Args:
        sentence: The sentence, at most ``MAX_SENTENCE`` characters of it.
        base: Where it starts in its text.
    """
    if _CUE.search(sentence) is None and "→" not in sentence:
        return []
    plain = with_digits(sentence)
    if sum(char.isdigit() for char in plain) < 2:
        return []
    plain = " ".join(_ABBREVIATED.sub(" = ", plain).split())
    calc = _match(plain)
    found = [calc] if calc is not None else []
    if not found:
        found = [
            calc
            for calc in find_calculations(_EQUALS.sub(" =", plain))
            if len(calc.operands) > 1 and calc.stated
        ]
    for calc in found:  # positions in the plain text say nothing
        calc.start, calc.end = base, base + len(sentence.rstrip())
        calc.at = calc.end - 1
    return found


def _match(sentence: str) -> Found | None:
    """The calculation of a sentence in one of the forms."""
    for form, op, turned in _FORMS:
        match = form.search(sentence)
        if match:
            a, b, value = (_number(match, k) for k in (1, 2, 3))
            return _made(([b, op, a] if turned else [a, op, b]), value)
    match = _PART.search(sentence)
    if match:
        by, op = _PARTS[match.group(1).lower().split()[-1]]
        whole = _number(match, 2)
        return _made([whole, op, by] if op == "/" else [by, op, whole], _number(match, 3))
    return _power(sentence) or _leaves(sentence) or _listed(sentence)


def _number(match: re.Match[str], group: int) -> float:
    return parse_number(match.group(group)) or 0.0


def _made(items: list[Item], value: float) -> Found:
    numbers = tuple(x for x in items if isinstance(x, float))
    ops = "".join(dict.fromkeys(x for x in items if isinstance(x, str)))
    calc = Found(value, numbers, ops)
    calc.items = items
    if ops in _DO and len(numbers) == 2:
        calc.computed = _DO[ops](*numbers)
        calc.holds = same_value(calc.computed, value)
    return calc


def _power(sentence: str) -> Found | None:
    match = _POWER.search(sentence)
    if match is None:
        return None
    if match.group(2):
        return _made(
            [_number(match, 1), "^", 2.0 if match.group(2).lower() == "squared" else 3.0], _number(match, 3)
        )
    if match.group(4):
        return _made([_number(match, 4), "^", "(", 1.0, "/", 2.0, ")"], _number(match, 5))
    calc = _made([_number(match, 6), "%", _number(match, 7)], _number(match, 8))
    calc.source = rf"{match.group(6)} \equiv {match.group(8)} \pmod{{{match.group(7)}}}"
    return calc


def _leaves(sentence: str) -> Found | None:
    """What is left ("eating 3 and baking 4 leaves 9"): what it is taken from goes without saying."""
    match = _LEAVES.search(sentence)
    if match is None:
        return None
    taken = [_number(match, k) for k in (1, 2) if match.group(k)]
    value = _number(match, 3)
    items: list[Item] = [value + sum(taken)]
    for x in taken:
        items += ["-", x]
    return _made(items, value)


def _listed(sentence: str) -> Found | None:
    """Two numbers, then a third ("eats 3 and bakes 4, which is 7"): a sum only where it is one."""
    match = _LIST.search(sentence)
    if match is None:
        return None
    a, b, value = (_number(match, k) for k in (1, 2, 3))
    return _made([a, "+", b], value) if same_value(a + b, value) else None
