"""Reads quantities, formulas and ratios: values that hold no other values."""

from __future__ import annotations

import re
from fractions import Fraction

from rlkd.answers.clean import closes_at_end
from rlkd.answers.formula import Tree, Unreadable, read_formula
from rlkd.answers.identity import TooLarge, constant, symbols
from rlkd.answers.values import Based, Quantity, Ratio, Value
from rlkd.quantities.amounts import Amount, is_noun, read_amount
from rlkd.quantities.units import unit_of
from rlkd.quantities.words import spelled_number

_BASED = re.compile(
    r"\(?([0-9A-Fa-f]{2,40})\)? ?_ ?[{(]? ?(\d{1,2}|[a-z]{3,7}) ?[})]?\Z|([0-9A-Fa-f]{2,40}),? (?:in )?\(?base[ -]?(\d{1,2}|[a-z]{3,7})\)?\Z"
)
_HEXADECIMAL = re.compile(r"(?=.*\d)(?=.*[A-F])[0-9A-F]{2,40}")
_ORDINAL = re.compile(
    r"(\d*(?:(?<!1)1(?=st)|(?<!1)2(?=nd)|(?<!1)3(?=rd)|(?:1\d|[04-9])(?=th)))(?:st|nd|rd|th)\b(?: [a-z ]{1,30})?\Z"
)
_ORDINALS = re.findall(
    r"\w+", "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
)
_MIXED = re.compile(r"(\d{1,9}) and (?:\\frac ?\{ ?)?(\d{1,3})(?:/| ?\} ?\{ ?)(\d{1,3})(?: ?\})?\Z")
_TAIL = re.compile(r"(.*[\d})a-z!]) ([A-Za-zμ°$€][A-Za-zμ°^/ .0-9]{0,40})\Z|(.*[\d})]) ?(°[CF]?)\Z")
_LONG_TAIL = re.compile(_TAIL.pattern.replace("(.*[", "(.*?["))
"""The unit may be of several words: ``12 \\sqrt{3} square centimeters``."""
_CALCULATIONS = ("factorial", "binom", "gcd", "lcm")
"""Functions of whole numbers that a reader would have to work out: ``3!`` for 6."""
_RUN = re.compile(r"(?:\d{1,6}(?:\.\d{1,6})? ?[A-Za-z]{1,7} ?){2,4}\Z")
_MINUTES = re.compile(r"\d{1,3} ?m ?[0-5]\d ?s\Z")
_PART = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)")
_NOTED = re.compile(r"(.*\S) \(([^()=]{1,80})(=[^()=]{1,40})?\)\Z")
_ANGLE = re.compile(r"sin|cos|tan|cot|sec|csc")


def tree_of(text: str) -> Tree | None:
    """The tree of a formula; ``None`` for what is none."""
    try:
        return read_formula(text.strip())
    except Unreadable:
        return None


def read_quantity(text: str) -> Quantity | None:
    """A number or formula with at most a unit; ``None`` for anything else, a bare formula too."""
    ordinal = _ORDINAL.match(text)
    if ordinal:
        return Quantity(("num", Fraction(ordinal[1])))
    if text.lower() in _ORDINALS:
        return Quantity(("num", Fraction(_ORDINALS.index(text.lower()) + 1)))
    mixed = _MIXED.match(text)
    if mixed and int(mixed[2]) < int(mixed[3]):  # 2 and 3/4
        return Quantity(("num", int(mixed[1]) + Fraction(int(mixed[2]), int(mixed[3]))))
    if text.startswith("(") and closes_at_end(text) and "," not in text:
        return read_quantity(text[1:-1].strip())  # (-9)
    amount = read_amount(text) or _joined(text)
    if amount is not None:
        return Quantity(("num", amount.value), amount.unit, amount.noun, amount.percent)
    if text.endswith("%"):
        tree = tree_of(text[:-1])
        return (
            None
            if tree is None or symbols(tree)
            else Quantity(tree, percent=True, finished=not left_undone(tree))
        )
    return _formula_with_unit(text)


def _joined(text: str) -> Amount | None:
    """``1h30m``, ``5ft3in``: amounts without a blank between them. Single letters are units in times only: ``2x3y`` is a product."""
    if not _RUN.match(text):
        return None
    parts = _PART.findall(text)
    hours = parts[0][1].lower() in ("h", "hr", "hrs") or _MINUTES.match(text) is not None
    if not hours and any(len(unit) == 1 and (i == 0 or unit != "s") for i, (_, unit) in enumerate(parts)):
        return None
    names = {"m": "min"} if hours else {}
    return read_amount(" ".join(f"{number} {names.get(unit, unit)}" for number, unit in parts))


def _formula_with_unit(text: str) -> Quantity | None:
    r"""``3\sqrt{2} cm``, ``2\pi m``, ``\frac{3}{4} cup``."""
    for pattern in (_TAIL, _LONG_TAIL):
        match = pattern.match(text)
        found = _with_tail(match) if match else None
        if found:
            return found
    return None


def _with_tail(match: re.Match[str]) -> Quantity | None:
    """The formula before a unit and the unit."""
    head, tail = (match[1], match[2]) if match[1] else (match[3], match[4])
    unit = unit_of(tail)
    if tail.startswith("°") and _ANGLE.search(head):
        return None  # \\cos 60°: the angle has the unit, not the value
    if unit is None and (
        len(tail) < 3
        or not re.fullmatch(r"[A-Za-z]{3,20}(?: [A-Za-z]{2,20})?", tail)
        or tree_of(tail) is not None
        or not is_noun(tail)
    ):
        return None
    tree = tree_of(head)
    if tree is None or symbols(tree):
        return None
    return Quantity(tree, unit, "" if unit else tail.lower(), finished=not left_undone(tree))


def left_undone(tree: Tree) -> bool:
    r"""Whether a number is left as a calculation: ``8+8``, ``3*4``, ``2^2``, ``3!``; not ``\frac{8}{2}``, ``\sqrt{16}``, ``10^3``."""
    kind = tree[0]
    if kind == "fn" and tree[1] in _CALCULATIONS:
        return not _is_read_off(tree)
    if kind == "^" and tree[1] == ("num", Fraction(10)):
        return False
    if kind in ("+", "^") or (kind == "*" and len(tree) > 3 and tree[2][0] != "^"):
        return True
    return any(left_undone(part) for part in tree[1:] if isinstance(part, tuple))


def _is_read_off(tree: Tree) -> bool:
    r"""Whether a binomial needs no calculation: ``\binom{7}{1}``."""
    return tree[1] == "binom" and tree[3] in (("num", Fraction(0)), ("num", Fraction(1)), tree[2])


def formula_values(text: str) -> list[Value]:
    """A bare formula."""
    tree = tree_of(text)
    if tree is None:
        tail = re.match(r"(.*\S) (dollars|cents|euros|degrees|units|square units|cubic units)\Z", text)
        tree = tree_of(tail[1]) if tail else None
    if tree is None:
        return []
    bare: list[Value] = [Based(text, 0)] if _HEXADECIMAL.fullmatch(text) else []  # A3 may be in base 16
    return [Quantity(tree, finished=bool(symbols(tree)) or not left_undone(tree)), *bare]


def based_values(text: str, depth: int) -> list[Value]:
    """Digits in a base; ``depth`` is that of other readers."""
    match = _BASED.match(text)
    if match is None:
        return []
    digits, named = (match[1] or match[3]).upper(), match[2] or match[4]
    base = int(named) if named.isdigit() else int(spelled_number(named) or 0)
    known = 2 <= base <= 16 and all(int(digit, 16) < base for digit in digits)
    return [Based(digits, base)] if known else []


def split_outside(text: str, separators: tuple[str, ...]) -> list[str]:
    """Parts between separators that stand in no bracket."""
    parts, depth, start, i = [], 0, 0, 0
    while i < len(text):
        char = text[i]
        if char in "([{⟨":
            depth += 1
        elif char in ")]}⟩":
            depth -= 1
        elif depth == 0:
            joint = next((sign for sign in separators if text.startswith(sign, i)), None)
            if joint:
                parts.append(text[start:i])
                i += len(joint)
                start = i
                continue
        i += 1
    return [part.strip() for part in [*parts, text[start:]]]


def number_of(tree: Tree) -> Fraction | None:
    """The exact value of a formula without unknowns; ``None`` where it has none."""
    if symbols(tree):
        return None
    try:
        return constant(tree)
    except TooLarge:
        return None


def ratio_values(text: str) -> list[Value]:
    """``3:4`` or ``2 to 1``."""
    parts = split_outside(text, (":",)) if ":" in text else re.split(r" to ", text)
    if not 2 <= len(parts) <= 6:
        return []
    trees = [tree_of(part) for part in parts]
    return (
        []
        if any(tree is None for tree in trees)
        else [Ratio(tuple(tree for tree in trees if tree is not None))]
    )


def noted_values(text: str) -> list[Value]:
    """``68 (60 + 8)``: a number, and in brackets the calculation that gives it; ``five dollars ($5)``: the same amount once more."""
    match = _NOTED.match(text)
    if match is None:
        return []
    value = read_quantity(match[1])
    if value is None or value.tree[0] != "num":
        return []
    note = tree_of(re.sub(r"(?<=\d) ?[xX] ?(?=\d)", " * ", match[2]))
    if note is not None and number_of(note) == value.tree[1]:
        return [value]
    again = (read_amount(match[2]) or _joined(match[2])) if match[3] is None else None
    if again is None or not _same_amount(value, again):
        return []
    if value.unit is None and not value.noun and again.unit is not None:
        return [Quantity(value.tree, again.unit)]  # 5 (5 cm) are no metres
    return [value]


def _same_amount(value: Quantity, again: Amount) -> bool:
    number = value.tree[1]
    if value.percent != again.percent:
        share, other = (number, again.value) if value.percent else (again.value, number)
        return bool(share / 100 == other)
    if value.unit is not None and again.unit is not None:
        same = value.unit.base(number) == again.unit.base(again.value)
        return value.unit.measures == again.unit.measures and same
    return bool(number == again.value)
