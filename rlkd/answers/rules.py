"""When two values are equal, kind by kind: the rules behind the table in docs/answers.md."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from rlkd.answers.dates import Clock, Day, same_clock, same_day
from rlkd.answers.formula import Tree
from rlkd.answers.identity import approximate, constant, identical, mentions, proportional, symbols
from rlkd.answers.values import (
    Based,
    Group,
    Interval,
    Named,
    Quantity,
    Ratio,
    Relation,
    Union,
    Value,
)
from rlkd.answers.words import Choice, Words, same_choice
from rlkd.quantities.units import unit_of

UndecidedKind = Literal[
    "",
    "too large to work out",
    "units that are not known",
    "formulas that cannot be read",
    "no common value",
    "time",
]
"""Why a comparison came to no verdict."""


class Undecided(Exception):
    """Two values of which nobody can say whether they are equal; ``kind`` says why."""

    def __init__(self, kind: UndecidedKind) -> None:
        super().__init__(kind)
        self.kind: UndecidedKind = kind


def equal_values(a: Value, b: Value) -> bool:
    """Whether a reading of the reference and one of the answer are equal.

    Raises:
        Undecided: It cannot be said.
        TooLarge: One of them is too large to be worked out.
    """
    if isinstance(a, Words) or isinstance(b, Words):
        return isinstance(a, Words) and isinstance(b, Words) and a.key == b.key
    if isinstance(a, Choice) or isinstance(b, Choice):
        return isinstance(a, Choice) and isinstance(b, Choice) and same_choice(a, b)
    if isinstance(a, Named) and isinstance(b, Named):
        return _same_name(a.name, b.name) and equal_values(a.value, b.value)
    if isinstance(a, Named):
        return equal_values(a.value, b)
    if isinstance(b, Named):
        return equal_values(a, b.value)
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return _same_quantity(a, b)
    if isinstance(a, Group) and isinstance(b, Group):
        return _same_group(a, b)
    if isinstance(a, Interval) and isinstance(b, Interval):
        return _same_interval(a, b)
    if isinstance(a, Relation) and isinstance(b, Relation):
        return _same_relation(a, b)
    if isinstance(a, Union) and isinstance(b, Union):
        return len(a.parts) == len(b.parts) and _match_all(a.parts, b.parts)
    if isinstance(a, Clock) and isinstance(b, Clock):
        return same_clock(a, b)
    if isinstance(a, Day) and isinstance(b, Day):
        return same_day(a, b)
    return _equal_across(a, b)


def _equal_across(a: Value, b: Value) -> bool:
    """Kinds that can say the same: a set of one and its member, a ratio and a fraction, a time without its half and a number."""
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return _same_ratio(a, b)
    if isinstance(a, Based) or isinstance(b, Based):
        return _same_based(a, b)
    for one, other in ((a, b), (b, a)):
        if (
            isinstance(one, Group)
            and len(one.items) == 1
            and one.kind != "matrix"
            and isinstance(other, Quantity)
        ):
            return equal_values(one.items[0], other)
        if isinstance(one, Clock) and isinstance(other, Quantity) and other.unit and not one.half_known:
            return _lasts(one, other)
        if isinstance(one, Clock) and isinstance(other, Quantity) and other.unit is None and not other.noun:
            return (
                one.half_known
                and one.minutes % 60 == 0
                and constant(other.tree) in (one.minutes // 60, (one.minutes // 60 - 1) % 12 + 1)
            )
    return False


def _lasts(clock: Clock, other: Quantity) -> bool:
    """``3:20`` beside ``3 hours 20 minutes`` or ``3 minutes 20 seconds``."""
    seconds = constant(_in_base(other)) if other.unit and other.unit.measures == (("time", 1),) else None
    return seconds in (60 * clock.minutes, clock.minutes)


def _same_name(a: str, b: str) -> bool:
    """Whether two names may name the same thing: single letters must agree, words need not."""
    a, b = (name.replace(" ", "").replace("{", "").replace("}", "") for name in (a, b))
    return a == b or len(a) > 2 or len(b) > 2


def _same_tree(a: Tree, b: Tree) -> bool:
    if _mentions_dots(a) or _mentions_dots(b):
        return _same_dots(a, b)
    if _signed_infinity(a) or _signed_infinity(b):
        return _signed_infinity(a) == _signed_infinity(b)
    verdict = identical(a, b)
    if verdict is None:
        raise Undecided("no common value")
    return verdict


def _mentions_dots(tree: Tree) -> bool:
    return bool(tree[0] == "dots")


def _same_dots(a: Tree, b: Tree) -> bool:
    """A decimal that goes on (``0.333...``) and a value that begins with its digits."""
    digits = str(a[1] if _mentions_dots(a) else b[1])
    other = b if _mentions_dots(a) else a
    places = len(digits.partition(".")[2])
    if _mentions_dots(other):
        places = min(places, len(str(other[1]).partition(".")[2]))
        return str(other[1])[: -1 or None].startswith(
            digits[: digits.index(".") + places]
        ) or digits.startswith(str(other[1]))
    value = approximate(other)
    if value is None:
        return False
    shown = Fraction(digits)
    nines = digits.endswith("99") and value - shown == Fraction(1, 10**places)  # 4.999... is 5
    return 0 <= value - shown < Fraction(1, 10**places) or nines


def _same_quantity(a: Quantity, b: Quantity) -> bool:
    """Whether an answer states the quantity of the reference."""
    if a.finished and not b.finished and a.tree[0] == "num" and _is_small(a.tree[1]):
        return False  # 3*4 for 12: the calculation is left to the reader
    if a.percent != b.percent:
        return _same_percent(a, b)
    if _in_radians(a, b) or _in_radians(b, a):
        return True
    if a.unit is not None and b.unit is not None:
        if a.unit.measures != b.unit.measures:
            return {a.unit, b.unit} == _POUNDS and _same_number(a.tree, b.tree)
        if a.unit == b.unit:
            return _same_number(a.tree, b.tree)
        x, y = (_in_base(q) for q in (a, b))
        return _same_number(x, y)
    if not _same_number(a.tree, b.tree):
        return _letter_unit(a, b)
    return _same_nouns(a, b)


def _in_radians(angle: Quantity, other: Quantity) -> bool:
    r"""``30°`` beside ``\frac{\pi}{6}``."""
    if angle.unit != unit_of("°") or other.unit is not None or not mentions(other.tree, "pi"):
        return False
    return _same_tree(("/", ("*", angle.tree, ("sym", "pi")), ("num", Fraction(180))), other.tree)


def _is_small(value: Fraction) -> bool:
    return abs(value) < 10**6


_POUNDS = {unit_of("pound"), unit_of("£")}
"""``20 pounds`` may be money."""


def _in_base(quantity: Quantity) -> Tree:
    unit = quantity.unit
    if unit is None:
        return quantity.tree
    return ("+", ("*", quantity.tree, ("num", unit.factor)), ("num", unit.offset))


def _same_percent(a: Quantity, b: Quantity) -> bool:
    """``35%`` is 0.35, and it is 35 where the question asks for percent."""
    share, other = (a, b) if a.percent else (b, a)
    if other.unit is not None or other.noun:
        return False
    return _same_number(("/", share.tree, ("num", Fraction(100))), other.tree) or _same_number(
        share.tree, other.tree
    )


def _same_nouns(a: Quantity, b: Quantity) -> bool:
    """What is counted: a missing word contradicts none; two that share no word leave it open."""
    if (a.noun and b.noun) and not _share_word(a.noun, b.noun):
        raise Undecided("units that are not known")
    if (a.noun and b.unit is not None) or (b.noun and a.unit is not None):
        raise Undecided("units that are not known")
    return True


def _share_word(a: str, b: str) -> bool:
    stems = [
        {word.rstrip("s")[:5] for word in noun.replace("/", " ").replace("-", " ").split()} for noun in (a, b)
    ]
    return bool(stems[0] & stems[1])


def _letter_unit(a: Quantity, b: Quantity) -> bool:
    """``5m`` beside ``5 m``: a letter that touches the number is its unit where the other side names that unit."""
    for measured, glued in ((a, b), (b, a)):
        tree = glued.tree
        if (
            measured.unit is not None
            and glued.unit is None
            and tree[0] == "*"
            and tree[1][0] == "num"
            and tree[2][0] == "sym"
        ):
            unit = unit_of(tree[2][1])
            if unit is not None and unit.measures == measured.unit.measures:
                return _same_number(_in_base(measured), ("*", tree[1], ("num", unit.factor)))
    return False


def _same_number(a: Tree, b: Tree) -> bool:
    """Exactly equal; or one is a decimal that was rounded or cut at its sixth place or later, of a decimal that never ends."""
    if a[0] == "num" and b[0] == "num":
        return a[1] == b[1] or _is_rounding(a[1], b[1]) or _is_rounding(b[1], a[1])
    if _same_tree(a, b):
        return True
    if a[0] == "num" or b[0] == "num":
        x, y = (None if symbols(tree) else constant(tree) for tree in (a, b))
        if x is not None and y is not None:
            return _is_rounding(x, y) or _is_rounding(y, x)
    return False


def _is_rounding(value: Fraction, decimal: Fraction) -> bool:
    places = _decimal_places(decimal)
    if places is None or not 6 <= places <= 30 or _decimal_places(value) is not None:
        return False
    return abs(value - decimal) < Fraction(1, 10**places)


def _decimal_places(value: Fraction) -> int | None:
    """How many places a decimal has; ``None`` where it never ends."""
    bottom, twos, fives = value.denominator, 0, 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    return max(twos, fives) if bottom == 1 else None


def _same_group(a: Group, b: Group) -> bool:
    """Tuples and matrices in order; lists and sets in any order; ``4, 3`` may leave the brackets of ``(4, 3)`` away."""
    kinds = {a.kind, b.kind}
    if kinds == {"matrix", "tuple"}:
        matrix, other = (a, b) if a.kind == "matrix" else (b, a)
        rows = [row.items for row in matrix.items if isinstance(row, Group)]
        if len(rows) != 1 and any(len(row) != 1 for row in rows):
            return False
        return _same_group(Group("tuple", tuple(item for row in rows for item in row)), other)  # a vector
    if len(kinds) > 1 and "list" not in kinds:
        return False
    if kinds & {"matrix", "tuple", "array"}:
        named = any(isinstance(item, Named) for item in (*a.items, *b.items))
        both = all(isinstance(item, Named) for item in (*a.items, *b.items))
        if named and both:
            return len(a.items) == len(b.items) and _match_all(a.items, b.items)
        return len(a.items) == len(b.items) and all(
            equal_values(x, y) for x, y in zip(a.items, b.items, strict=True)
        )
    if kinds == {"set"}:
        return _covers(a.items, b.items) and _covers(b.items, a.items)
    return len(a.items) == len(b.items) and _match_all(a.items, b.items)


def _covers(a: Sequence[Value], b: Sequence[Value]) -> bool:
    return all(any(equal_values(x, y) for y in b) for x in a)


def _match_all(a: Sequence[Value], b: Sequence[Value]) -> bool:
    """Whether the items of two lists of one length can be paired; names, where both sides have them, must agree."""
    rest = list(b)
    for x in a:
        found = next((i for i, y in enumerate(rest) if equal_values(x, y)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _same_interval(a: Interval, b: Interval) -> bool:
    if (a.low_closed, a.high_closed) != (b.low_closed, b.high_closed) or (
        a.name and b.name and a.name != b.name
    ):
        return False
    return _same_end(a.low, b.low) and _same_end(a.high, b.high)


def _same_end(a: Tree, b: Tree) -> bool:
    ends = [_signed_infinity(tree) for tree in (a, b)]
    if ends[0] or ends[1]:
        return ends[0] == ends[1]
    return _same_number(a, b)


def _signed_infinity(tree: Tree) -> int:
    if tree == ("sym", "infinity"):
        return 1
    return -1 if tree == ("-", ("sym", "infinity")) else 0


def _same_relation(a: Relation, b: Relation) -> bool:
    """Equations are equal where the difference of their sides is, up to a factor (a positive one for ``>``)."""
    if a.sign != b.sign:
        return False
    x, y = (("+", relation.left, ("-", relation.right)) for relation in (a, b))
    verdict = proportional(x, y) if a.sign == "=" else identical(x, y)
    if verdict is None:
        raise Undecided("no common value")
    return verdict


def _same_ratio(a: Value, b: Value) -> bool:
    if isinstance(a, Ratio) and isinstance(b, Ratio):
        if len(a.parts) != len(b.parts):
            return False
        return all(
            _same_tree(("*", x, b.parts[0]), ("*", y, a.parts[0]))
            for x, y in zip(a.parts[1:], b.parts[1:], strict=True)
        )
    ratio, other = (a, b) if isinstance(a, Ratio) else (b, a)
    if not isinstance(ratio, Ratio) or not isinstance(other, Quantity) or len(ratio.parts) != 2:
        return False
    fraction = constant(other.tree) if not symbols(other.tree) else None
    if fraction is not None and fraction.denominator == 1:
        return False  # 4:9 is no way to write a whole number
    return other.unit is None and not other.noun and _same_number(("/", *ratio.parts), other.tree)


def _same_based(a: Value, b: Value) -> bool:
    """``2431_5`` beside ``2431``: the base may go without saying, the digits and a stated base may not differ."""
    if isinstance(a, Based) and isinstance(b, Based):
        return a.digits == b.digits and (a.base == b.base or 0 in (a.base, b.base))
    based, other = (a, b) if isinstance(a, Based) else (b, a)
    if not isinstance(based, Based) or not isinstance(other, Quantity) or other.tree[0] != "num":
        return False
    return bool(
        other.finished and other.tree[1].denominator == 1 and str(other.tree[1]) == based.digits.lstrip("0")
    )
