"""Reads an answer into values: every reading of the whole text.

A text may be read in more than one way (``3:30`` is a time and a ratio, ``(1, 5)`` a pair and an interval); :mod:`rlkd.answers.rules` says
when two readings are equal.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from rlkd.answers.clean import closes_at_end, shorter_statements
from rlkd.answers.dates import Day, read_clock, read_day
from rlkd.answers.formula import Tree
from rlkd.answers.identity import symbols
from rlkd.answers.simple_values import (
    based_values,
    formula_values,
    noted_values,
    number_of,
    ratio_values,
    read_quantity,
    split_outside,
    tree_of,
)
from rlkd.answers.values import (
    INFINITY,
    Group,
    Interval,
    Named,
    Quantity,
    Relation,
    Union,
    Value,
)
from rlkd.answers.words import Choice, Words, read_choice, read_words

_SIGNS = re.compile(r"(=|<=|>=|≤|≥|<|>|≠|≈)")
_SIGN_OR_BRACKET = re.compile(_SIGNS.pattern + r"|[(\[{)\]}]")
_ALL_BUT = re.compile(r"\\mathbb\{R\} ?[∖\\-] ?\\\{(.+)\\\}")
_SHORTENED = re.compile(r"-?\d+(?:\.\d+)?(?:[kKMB]|[a-z]{2})")
_LETTER_UNION = re.compile(r"(?<=[)\]]) ?(?:U|union) ?(?=[(\[])")
"""``(-inf, 2) U (3, inf)``, as a keyboard writes it."""
_MATRIX = re.compile(r"\\begin ?\{([pbvB]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end ?\{\1\}\Z", re.DOTALL)
_NAME = re.compile(
    r"\\?[A-Za-z]+(?:_(?:\{[^{}]{1,20}\}|\([^()]{1,20}\)|\w))?'{0,3}(?: ?\([^()]{1,40}\))?|(?:[A-Za-z]{2,20} ){0,5}[A-Za-z]{1,20}(?: ?\([^()]{1,40}\))?|\\[a-z]+ ?[A-Z]{1,3}|\|[A-Z]{2}\|"
)
_MEMBER = re.compile(r"(?:for all |all )?([A-Za-z]) ?∈ ?(.+)\Z")
_BUILDER = re.compile(r"\\\{ ?([A-Za-z])(?: ?∈ ?\\mathbb\{R\})? ?(?:\||:|\\mid|\\vert) ?(.+?) ?\\\}\Z")
_PLUS_MINUS = re.compile(r"[±∓]|\+/-|\+-")
_EVERYTHING = re.compile(
    r"(?:\\mathbb ?\{? ?R ?\}?|ℝ|(?:all |the )?(?:real numbers|reals)(?: numbers)?|all real(?: values| numbers)?(?: of [a-z])?|every real number)\Z",
    re.IGNORECASE,
)
_JOINTS = (", and ", ", or ", " and ", " or ", " & ", ";", ",")
_MAX_ITEMS = 32


def read_values(text: str) -> tuple[Value, ...]:
    """Reads an answer.

    Args:
        text: The answer in plain form (:func:`rlkd.answers.clean.clean_answer`).

    Returns:
        Every reading of the whole text, the most particular first; where there is none but words, those of what it says
        without hedges and clauses follow. The last is always the words themselves.
    """
    found = list(whole_values(text))
    if not any(not isinstance(value, Words | Choice) for value in found):
        for shorter in shorter_statements(text):
            found += [*_whole(shorter, 0), read_words(shorter)]
    found.append(read_words(text))
    return tuple(dict.fromkeys(found))


def whole_values(text: str) -> tuple[Value, ...]:
    """The readings of a whole text as it stands, without words."""
    return _whole(text, 0)


@lru_cache(maxsize=4096)
def _whole(text: str, depth: int) -> tuple[Value, ...]:
    """The readings of a whole text, without words."""
    if depth > 4 or not text:
        return ()
    found: list[Value] = []
    for value in (read_choice(text), read_day(text), read_clock(text), read_quantity(text)):
        if value is not None:
            found.append(value)
    if any(isinstance(value, Quantity | Day) for value in found):
        shortened = formula_values(text) if _SHORTENED.fullmatch(text) else []  # 3k, 3nm: or unknowns
        return (*found, *shortened, *noted_values(text))
    for several in (based_values, _plus_minus, _relation, _listed):
        values = several(text, depth)
        if values:
            return (*found, *values, *_bracketed(text, depth))
    return (*found, *_bracketed(text, depth), *formula_values(text), *ratio_values(text), *noted_values(text))


def _plus_minus(text: str, depth: int) -> list[Value]:
    r"""``2 \pm \sqrt{3}`` are two values."""
    if not _PLUS_MINUS.search(text):
        return []
    parts = split_outside(text, _JOINTS)
    if 1 < len(parts) <= _MAX_ITEMS:  # 0, \pm 3
        found = [_whole(part, depth + 1)[:1] for part in parts]
        items = [
            item
            for values in found
            for value in values
            for item in (value.items if isinstance(value, Group) else (value,))
        ]
        return _as_list(tuple(items)) if all(found) else []
    flipped = {"±": "-", "∓": "+", "+/-": "-", "+-": "-"}
    upper = _PLUS_MINUS.sub(lambda match: "-" if match[0] == "∓" else "+", text)
    lower = _PLUS_MINUS.sub(lambda match: flipped[match[0]], text)
    named = re.match(rf"({_NAME.pattern}) ?= ?(?=\S)", upper)
    texts = [upper, lower]
    if named:
        texts = [upper[named.end() :], lower[named.end() :]]
    both = [_first(part.strip().removeprefix("+"), depth + 1) for part in texts]
    if any(item is None for item in both):
        return []
    group = Group("list", tuple(item for item in both if item is not None))
    return [Named(named[1], group)] if named else [group]


def _first(text: str, depth: int) -> Value | None:
    """The first reading of an item."""
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]  # a list in Python: ['6', '12']
    values = _whole(text, depth)
    if values:
        return next((value for value in values if not isinstance(value, Choice)), values[0])
    words = read_words(text)
    return words if words.wordy else None


def _listed(text: str, depth: int) -> list[Value]:
    """``3, 4``, ``3 and 4``, ``x = 2, y = 3``, ``x<1 or x>3``."""
    parts = split_outside(text, _JOINTS)
    if not 2 <= len(parts) <= _MAX_ITEMS or not all(parts):
        return []
    items = [_first(part, depth + 1) for part in parts]
    if any(item is None for item in items):
        return []
    values = tuple(item for item in items if item is not None)
    if len({isinstance(value, Words) for value in values}) > 1:
        return []  # a number and a clause
    if all(isinstance(value, Interval) for value in values):
        named = {value.name for value in values if isinstance(value, Interval)}
        union = Union(tuple(v for v in values if isinstance(v, Interval)))
        points = [Group("list", pairs)] if (pairs := _pairs(parts, depth)) else []
        return [union, *points] if len(named) == 1 else []
    return _as_list(values)


def _as_list(values: tuple[Value, ...]) -> list[Value]:
    """Values as one list; of ``x = 1, 2`` and ``x = 1, x = 2`` a list with a name."""
    if isinstance(values[0], Named) and not any(isinstance(value, Named) for value in values[1:]):
        return [Named(values[0].name, Group("list", (values[0].value, *values[1:])))]
    named_values = [value for value in values if isinstance(value, Named)]
    if len(named_values) == len(values) and len({value.name for value in named_values}) == 1:
        return [Named(named_values[0].name, Group("list", tuple(value.value for value in named_values)))]
    return [Group("list", values)]


def _bracketed(text: str, depth: int) -> list[Value]:
    """Sets, tuples, intervals, unions, matrices."""
    if text in ("∅", r"\{ \}", r"\{\}"):
        return [Group("set", ())]
    if _EVERYTHING.match(text) or text == "R":
        return [Interval(("-", INFINITY), INFINITY, False, False)]
    if text.startswith("\\mathbb{"):  # \mathbb{N}, which an answer may write as N
        return _without(text) or ([Quantity(("sym", text[8:-1]))] if len(text) == 10 else [])
    matrix = _MATRIX.match(text[1:-1].strip() if text[0] in "([|" and "\\begin" in text[:8] else text)
    if matrix:
        return _matrix(matrix[2], depth)
    member = _MEMBER.match(text) or _BUILDER.match(text)
    if member:
        return [*_whole(member[2], depth + 1)]
    parts = split_outside(_LETTER_UNION.sub("∪", text), ("∪",))
    if len(parts) > 1:
        values = [_interval_or_set(part, depth) for part in parts]
        return [Union(tuple(v for v in values if v))] if all(values) else []
    if text.startswith(r"\{") and text.endswith(r"\}"):
        return _group("set", text[2:-2], depth)
    if not text or not (text[0] in "([{⟨" and text[-1] in ")]}⟩"):
        return []
    if not closes_at_end(text):
        return []
    if text[0] in "{":
        return _group("set", text[1:-1], depth)
    found: list[Value] = _rows(text, depth)
    items = split_outside(text[1:-1], (",", ";"))
    if len(items) == 2 and text[0] in "([" and text[-1] in ")]":
        low, high = (tree_of(item) for item in items)
        if low is not None and high is not None:
            found.append(Interval(low, high, text[0] == "[", text[-1] == "]"))
    if (text[0], text[-1]) in (("(", ")"), ("⟨", "⟩"), ("[", "]")) and len(items) > 1:
        found += _group("tuple" if text[0] != "[" or len(items) > 2 else "array", text[1:-1], depth)
    return found


def _pairs(parts: list[str], depth: int) -> tuple[Value, ...]:
    """The pairs of a list or set of points, ``(1, 2), (3, 4)``, each of which could be an interval as well."""
    found = [next((v for v in _bracketed(part, depth + 1) if isinstance(v, Group)), None) for part in parts]
    return tuple(pair for pair in found if pair) if all(found) else ()


def _without(text: str) -> list[Value]:
    r"""``\mathbb{R} \setminus \{2\}``: every number but some."""
    match = _ALL_BUT.fullmatch(text)
    numbers = (
        [number_of(tree) if (tree := tree_of(part)) else None for part in match[1].split(",")]
        if match
        else []
    )
    if not numbers or any(number is None for number in numbers):
        return []
    ends: list[Tree] = [("num", number) for number in sorted(n for n in numbers if n is not None)]
    bounds = [("-", INFINITY), *ends, INFINITY]
    return [Union(tuple(Interval(low, high, False, False) for low, high in pairwise(bounds)))]


def _interval_or_set(text: str, depth: int) -> Interval | Group | None:
    found = _bracketed(text, depth)
    return next((value for value in found if isinstance(value, Interval | Group)), None)


def _group(kind: str, inner: str, depth: int) -> list[Value]:
    parts = split_outside(inner, (",", ";"))
    if not 1 <= len(parts) <= _MAX_ITEMS or not all(parts):
        return []
    items = [_first(part, depth + 1) for part in parts]
    if all(isinstance(item, Interval) and not item.name for item in items):
        items = list(_pairs(parts, depth)) or items  # a set of points
    return [] if any(item is None for item in items) else [Group(kind, tuple(item for item in items if item))]


def _matrix(body: str, depth: int) -> list[Value]:
    rows: list[Value] = []
    for row in re.split(r"\\\\", body):
        if row.strip():
            items = [_first(item, depth + 1) for item in row.split("&")]
            if any(item is None for item in items):
                return []
            rows.append(Group("tuple", tuple(item for item in items if item)))
    return [Group("matrix", tuple(rows))] if rows else []


def _rows(text: str, depth: int) -> list[Value]:
    """A matrix as programs write it: ``[[1, 2], [3, 4]]``."""
    rows = [row.strip() for row in split_outside(text[1:-1], (",",))] if text.startswith("[") else []
    if not rows or not all(row.startswith("[") and closes_at_end(row) for row in rows):
        return []
    cells = [split_outside(row[1:-1], (",",)) for row in rows]
    if len({len(row) for row in cells}) > 1:
        return []
    return _matrix(r"\\".join(" & ".join(row) for row in cells), depth)


def _relation(text: str, depth: int) -> list[Value]:
    """Equations, inequalities, named values, a calculation with its result (``60 + 8 = 68``)."""
    if not _SIGNS.search(text):
        return []
    parts = _split_at_signs(text)
    sides, signs = [part.strip() for part in parts[::2]], parts[1::2]
    if not all(sides) or len(sides) > 6:
        return []
    signs = [{"<=": "≤", ">=": "≥"}.get(sign, sign) for sign in signs]
    if set(signs) == {"="} or (signs and signs[-1] in "=≈" and set(signs) <= {"=", "≈"}):
        return _equation(sides, signs, depth)
    if "=" in signs or "≈" in signs or len(split_outside(text, (",", " or ", " and "))) > 1:
        return []
    return _inequality(sides, signs)


def _split_at_signs(text: str) -> list[str]:
    """Sides and signs in turn; the sign in ``P(X = 2) = 3/8`` that stands in brackets is no sign of it."""
    parts, depth, start = [], 0, 0
    for match in _SIGN_OR_BRACKET.finditer(text):
        if match[0] in "([{)]}":
            depth += 1 if match[0] in "([{" else -1
        elif depth <= 0:
            parts += [text[start : match.start()], match[0]]
            start = match.end()
    return [*parts, text[start:]]


def _equation(sides: list[str], signs: list[str], depth: int) -> list[Value]:
    left, last = sides[0], sides[-1]
    trees = [tree_of(side) for side in sides]
    turned = len(sides) == 2 and trees[0] and trees[1] and not symbols(trees[0]) and symbols(trees[1])
    if turned and read_quantity(last) is None:  # 25 = x^2 + y^2; not 9 + 6 + 7 = 22 days
        return _equation(sides[::-1], signs, depth)
    if len(split_outside(last, (",", ";", " and ", " or "))) > 1 and any(
        len(split_outside(side, (",", " and ", " or "))) > 1 for side in sides[1:-1]
    ):
        return []  # x = 4, y = 5
    if "≈" in signs:
        return []
    pair = (
        _group("tuple", left[1:-1], depth)
        if left.startswith("(") and closes_at_end(left) and "," in left
        else []
    )
    if pair and len(sides) == 2:
        values = _bracketed(last, depth + 1)
        group = next((value for value in values if isinstance(value, Group)), None)
        names = [part.strip() for part in left[1:-1].split(",")]
        if group is not None and len(group.items) == len(names):
            return [Group("tuple", tuple(Named(n, v) for n, v in zip(names, group.items, strict=True)))]
        return []
    constants = [number for tree in trees if tree is not None and (number := number_of(tree)) is not None]
    if len(constants) == len(sides) or (trees[0] is not None and not symbols(trees[0])):
        value = _first(last, depth + 1)
        numbers = [
            *constants,
            *([value.tree[1]] if isinstance(value, Quantity) and value.tree[0] == "num" else []),
        ]
        same = len(set(numbers)) == 1 and len(constants) >= len(sides) - 1
        return [value] if value is not None and same else []
    tree_left, tree_right = trees[0], trees[-1]
    if _NAME.fullmatch(left) and (len(sides) == 2 or all(tree is not None for tree in trees[1:])):
        value = _first(last, depth + 1)
        found: list[Value] = [] if value is None else [Named(left, value)]
        if tree_left is not None and tree_right is not None and len(sides) == 2 and symbols(tree_right):
            found.append(Relation("=", tree_left, tree_right))
        return found
    if len(sides) == 2 and tree_left is not None and tree_right is not None:
        if tree_right[0] == "sym" and not symbols(tree_left):
            value = _first(left, depth + 1)
            return [] if value is None else [Named(last, value)]
        return [Relation("=", tree_left, tree_right)]
    return []


def _distance(left: Tree, sign: str, right: Tree) -> Value | None:
    """``|x| ≥ 2`` and ``|x - 3| < 1`` as intervals."""
    if left[:2] != ("fn", "abs") or symbols(right) or sign == "≠":
        return None
    inner = left[2]
    middle: Tree = ("num", Fraction(0))
    if inner[0] == "+" and not symbols(inner[2]):
        inner, middle = inner[1], ("-", inner[2])
    radius, center = number_of(right), number_of(middle)
    if inner[0] != "sym" or radius is None or center is None or radius <= 0:
        return None
    low, high, closed = ("num", center - radius), ("num", center + radius), sign in "≤≥"
    if sign in "<≤":
        return Interval(low, high, closed, closed, inner[1])
    left_part = Interval(("-", INFINITY), low, False, closed, inner[1])
    return Union((left_part, Interval(high, INFINITY, closed, False, inner[1])))


_TURNED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "≠": "≠"}


def _inequality(sides: list[str], signs: list[str]) -> list[Value]:
    trees = [tree_of(side) for side in sides]
    if any(tree is None for tree in trees):
        return []
    known = [tree for tree in trees if tree is not None]
    if len(known) == 2 and (distance := _distance(known[0], signs[0], known[1])):
        return [distance]
    if len(known) == 2:
        left, right, sign = known[0], known[1], signs[0]
        if right[0] == "sym" and symbols(right) and not symbols(left):
            left, right, sign = right, left, _TURNED[sign]
        if left[0] == "sym" and symbols(left) and not symbols(right) and sign != "≠":
            name = left[1]
            if sign in "<≤":
                return [Interval(("-", INFINITY), right, False, sign == "≤", name)]
            return [Interval(right, INFINITY, sign == "≥", False, name)]
        if sign in "<≤":
            left, right, sign = right, left, _TURNED[sign]
        found: list[Value] = [Relation(sign, left, right)]
        if sign == "≠" and left[0] == "sym" and not symbols(right):  # everything but one number
            below = Interval(("-", INFINITY), right, False, False, left[1])
            found.append(Union((below, Interval(right, INFINITY, False, False, left[1]))))
        return found
    if len(known) == 3 and known[1][0] == "sym" and not (symbols(known[0]) or symbols(known[2])):
        low, high = known[0], known[2]
        if all(sign in "<≤" for sign in signs):
            return [Interval(low, high, signs[0] == "≤", signs[1] == "≤", known[1][1])]
        if all(sign in ">≥" for sign in signs):
            return [Interval(high, low, signs[1] == "≥", signs[0] == "≥", known[1][1])]
    return []
