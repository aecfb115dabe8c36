"""Finds the calculations that a text makes: GSM8K's marks, inline arithmetic, simple algebra.

One regular expression finds the tokens (every alternative is linear and bounded); one pass over them builds
expressions. Words between an operand and the next operator are units ("60 elves / 3 = 20 elves").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rlkd.answers import gsm8k
from rlkd.quantities.numbers import MAX_DIGITS, parse_number, same_value
from rlkd.structure.reading.calculation import ExpressionError, Found, Item, evaluate, variable_value

MAX_GAP = 48
"""Characters of unit words that may stand between an operand and the operator after it."""

_SAID = "times|plus|minus|divided by|multiplied by|equals|is equal to|is|of"
_KINDS = (
    rf"{gsm8k.MARK}"  # 1 mark
    r"|(\d{1,9}) (\d{1,9})/(\d{1,9})(?![\d/.])"  # 2-4 mixed number
    r"|((?<=[$£€])\d{1,3}(?: \d{3}){1,4}(?!\d)|\d{1,3}(?:,\d{3}){1,6}(?!\d)(?:\.\d{1,20})?"
    r"|\d{1,2}:00\b|\d{1,24}(?:\.\d{1,20})?(?!\d)|\.\d{1,20})"  # 5 number
    r"( ?%| percent\b)?(?!(?:st|nd|rd|th)\b)"  # 6 percent
    r"|([-+*/×÷−–^=≈()·∙])"  # 7 operator
    rf"|\b({_SAID})\b"  # 8 word
    r"|(\n|[.;:!?,](?=\s|$))"  # 9 break
    r"|(?<![A-Za-z'’])([A-Za-z])(?![A-Za-z'’])"  # 10 variable
)
_OTHER = r"[^\d.<+\-*/×÷−–^=≈()·∙\nA-Za-z;:!?,]*"
_WORDS = rf"{_OTHER}(?:(?!\b(?:{_SAID})\b)[A-Za-z]{{2,}}{_OTHER})*+"
"""What begins no token is passed over in one go: trying every kind at every letter takes twice as long."""
_TOKEN = re.compile(rf"{_WORDS}(?:{_KINDS}|.|\Z)", re.DOTALL)
"""A token, or one character that is none, or the end, so that nothing is passed over twice."""
_OPS = {"×": "*", "÷": "/", "−": "-", "–": "-", "·": "*", "∙": "*", "≈": "="}
_WORD_OPS = {"times": "*", "plus": "+", "minus": "-", "divided by": "/", "multiplied by": "*"}
_OPERAND_AHEAD = re.compile(r"\s{0,3}[$£€(]{0,3}\s?-?[$(]{0,2}(?:\.?\d|[A-Za-z](?![A-Za-z'’]))")
_NUMBER_AHEAD = re.compile(r"(?: only| about| just| equal to)?\s{0,3}[$£€(]{0,2}\s?-?\$?\.?\d")
_DECLARED = re.compile(r"\b[Ll]et(?:'s)? (?:\w{1,9} ){0,3}?([A-Za-z])(?= )")
_ALGEBRA_AHEAD = re.compile(r" ?[-+*/=^–−]")
_MARK_TOKEN = re.compile(
    r"(\d{1,3}(?:,\d{3}){1,6}(?!\d)(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)|([-+*/^()])|([A-Za-z])"
)


_Part = tuple[list[Item], float, bool, bool]
"""One side of an equals sign: its items, their value, whether it is a percentage, whether a variable takes part."""


@dataclass(slots=True)
class _Reader:
    """State of the one pass over the tokens of a text; ``declared`` are the names that it lets stand for unknowns."""

    text: str
    declared: set[str]
    found: list[Found] = field(default_factory=list)
    parts: list[tuple[list[Item], bool, bool]] = field(default_factory=list)
    start: int = 0
    eq_at: int = 0
    items: list[Item] = field(default_factory=list)
    operand: bool = False
    depth: int = 0
    last_end: int = 0
    percent: bool = False
    symbolic: bool = False

    def clear(self) -> None:
        self.items = []
        self.operand = False
        self.depth = 0
        self.last_end = 0
        self.percent = False
        self.symbolic = False

    def operand_token(
        self, value: float, start: int, end: int, percent: bool = False, variable: bool = False
    ) -> None:
        if self.operand:
            glued = start == self.last_end
            if glued and (variable or self.symbolic):
                self.items.append("*")
            else:
                self.finish()
        if not self.items and not self.parts:
            self.start = start
        self.items.append(value)
        self.operand = True
        self.last_end = end
        self.percent = percent or (self.percent and bool(len(self.items) > 1))
        self.symbolic = self.symbolic or variable

    def operator(self, op: str, start: int, end: int) -> None:
        ahead = _OPERAND_AHEAD.match(self.text, end)
        if self.operand:
            if start - self.last_end > MAX_GAP or ahead is None:
                return
            if (
                op == "-"
                and start > 1
                and self.text[start - 2 : start].isalpha()
                and not self.text[end : end + 1].isspace()
            ):
                return  # a hyphen inside a word
            self.items.append(op)
            self.operand = False
            self.percent = False
        elif (
            op == "-"
            and ahead is not None
            and (not self.items or self.items[-1] in ("(", "*", "/", "+", "-"))
        ):
            if not self.items and not self.parts:
                self.start = start
            self.items.append("-")

    def equals(self, start: int, end: int) -> None:
        while self.items and self.items[0] == "(" and self.depth > 0:
            self.items.pop(0)
            self.depth -= 1
        if not self.operand or start - self.last_end > 2 * MAX_GAP:
            self.parts = []
            self.clear()
            return
        self.parts.append((self.items, self.percent, self.symbolic))
        self.eq_at = start
        self.clear()
        self.last_end = end

    def finish(self) -> None:
        """Ends the current expression and keeps it where it is a calculation."""
        items = self.items
        if len(items) < 3 and not self.parts:  # a number in prose
            self.clear()
            return
        while items and not isinstance(items[-1], float) and items[-1] != ")":
            items.pop()
        if self.depth > 0:
            _drop_unclosed(items)
        if items:
            self.parts.append((items, self.percent, self.symbolic))
        if self.parts and (len(self.parts) > 1 or len(self.parts[0][0]) > 2):
            self.emit()
        self.parts = []
        self.clear()

    def emit(self) -> None:
        end = self.last_end or self.eq_at
        values: list[_Part] = []
        for items, percent, symbolic in self.parts:
            try:
                value = items[0] if len(items) == 1 else None  # "7" after the sign, as in nearly all
                values.append(
                    (items, value if isinstance(value, float) else evaluate(items), percent, symbolic)
                )
            except ExpressionError:
                if values:
                    break
        group: list[_Part] = []
        for part in values:
            if group and len(part[0]) > 2 and not part[3]:
                previous = group[-1][1]
                first = part[0][0]
                if isinstance(first, float) and first == previous and not same_value(part[1], previous):
                    # "5 * 2 = 10 + 3 = 13": the result runs on into the next calculation
                    group.append(([first], first, False, False))
                    _keep(self.found, self.start, end, self.eq_at, group)
                    group = []
            group.append(part)
        if group:
            _keep(self.found, self.start, end, self.eq_at, group)


def _drop_unclosed(items: list[Item]) -> None:
    depth = 0
    for i in range(len(items) - 1, -1, -1):
        if items[i] == ")":
            depth += 1
        elif items[i] == "(":
            if depth == 0:
                del items[i]
            else:
                depth -= 1


def _leaves(items: list[Item]) -> tuple[tuple[float, ...], str]:
    ops = ""
    operands: list[float] = []
    for item in items:
        if isinstance(item, float):
            operands.append(item)
        elif item not in "()" and item not in ops:
            ops += item
    return tuple(operands), ops


def _keep(found: list[Found], start: int, end: int, eq: int, group: list[_Part]) -> None:
    expression = (
        group[0] if len(group[0][0]) > 2 else next((part for part in group if len(part[0]) > 2), None)
    )
    last = group[-1]
    if expression is None:
        if len(group) < 2:
            return
        named = group[0]
        if not named[3]:
            return  # "1 dozen = 12": a conversion; stated, nothing calculated
        found.append(
            Found(last[1], percent=last[2], symbolic=True, start=start, end=end, at=eq, items=named[0])
        )
        return
    operands, ops = _leaves(expression[0])
    if len(group) == 1 and (len(operands) < 2 or (ops in "/-" and (len(operands) < 3 or expression[1] < 1))):
        return  # a fraction, a ratio or a range; "(16 - 3 - 4)" is none, and 555-123-4567 is below 1
    calc = Found(last[1], operands, ops, start=start, end=end)
    calc.computed = expression[1]
    calc.items = expression[0]
    calc.stated = last is not expression
    calc.percent = last[2]
    calc.symbolic = expression[3] or last[3]
    calc.at = eq if calc.stated else end
    if calc.stated and not calc.symbolic:
        a, b = calc.computed, calc.value
        calc.holds = (
            a == b or same_value(a, b) or _rounded(a, b) or same_value(a * 100, b) or same_value(a, b * 100)
        )
    found.append(calc)


def _rounded(a: float, b: float) -> bool:
    return b % 1.0 == 0 and abs(a - b) < 1 and a % 1.0 != 0


def _read_mark(body: str) -> tuple[list[Item], float | None, bool]:
    left, _, right = body.rpartition("=")
    items: list[Item] = []
    symbolic = False
    for match in _MARK_TOKEN.finditer(left or right):
        if match.group(1):
            items.append(float(match.group(1).replace(",", "")))
        elif match.group(2):
            items.append(match.group(2))
        else:
            items.append(variable_value(match.group(3)))
            symbolic = True
    value = parse_number(right.strip().rstrip("%")) if left else None
    if value is None and right.strip().startswith("-"):
        value = parse_number(right.strip()[1:])
        value = -value if value is not None else None
    return items, value, symbolic


def _mark(reader: _Reader, body: str, start: int, end: int) -> None:
    items, value, symbolic = _read_mark(body)
    begin = reader.start if (reader.parts or reader.items) else start
    reader.parts = []
    reader.clear()
    if not items:
        return
    try:
        computed: float | None = evaluate(items)
    except ExpressionError:
        computed = None
    stated = value if value is not None else computed
    if stated is None:
        return
    operands, ops = _leaves(items) if len(items) > 1 else ((), "")
    calc = Found(stated, operands, ops, start=begin, end=end)
    calc.computed = stated if computed is None else computed
    calc.items = items
    calc.symbolic = symbolic
    calc.at = start
    calc.holds = symbolic or computed is None or same_value(computed, stated) or _rounded(computed, stated)
    reader.found.append(calc)


def find_calculations(text: str) -> list[Found]:
    """Finds the calculations of a text, in order.

    Args:
        text: Prose, with or without marks.

    Returns:
        The calculations; time is linear in the length of the text.
    """
    reader = _Reader(text, set(_DECLARED.findall(text)) if "et " in text else set())
    for match in _TOKEN.finditer(text):
        kind = match.lastindex
        if kind is None:
            continue
        start, end = match.span(kind)
        if kind == 5:
            said = match.group(5)
            value = float(said) if said.isdigit() and len(said) <= MAX_DIGITS else parse_number(said)
            if value is not None:
                reader.operand_token(value, start, end)
        elif kind == 9:
            if reader.items or reader.parts:
                reader.finish()
        elif kind == 8:
            if reader.operand:
                _word(reader, match.group(8), start, end)
        elif kind == 7:
            symbol = match.group(7)
            symbol = _OPS.get(symbol, symbol)
            if symbol == "=":
                reader.equals(start, end)
            elif symbol == "(":
                _open(reader, start, end)
            elif symbol == ")":
                _close(reader, end)
            elif reader.operand or symbol == "-":
                reader.operator(symbol, start, end)
        elif kind == 10:
            if reader.items or reader.parts or _ALGEBRA_AHEAD.match(text, end):
                _letter(reader, match.group(10), start, end)
        elif kind == 1:
            _mark(reader, match.group(1), start - 2, end + 2)
        elif kind == 6:
            value = parse_number(match.group(5))
            if value is not None:
                reader.operand_token(value / 100.0, match.start(5), end, percent=True)
        elif kind == 4:
            whole, top, bottom = map(float, match.group(2, 3, 4))
            if bottom:
                reader.operand_token(whole + top / bottom, match.start(2), end)
    reader.finish()
    return reader.found


def _open(reader: _Reader, start: int, end: int) -> None:
    if reader.operand:
        if start == reader.last_end and _OPERAND_AHEAD.match(reader.text, end):
            reader.items.append("*")  # 2(3 + 4)
        else:
            reader.finish()
    if not reader.items and not reader.parts:
        reader.start = start
    reader.items.append("(")
    reader.operand = False
    reader.depth += 1


def _close(reader: _Reader, end: int) -> None:
    if reader.depth > 0 and reader.operand:
        reader.items.append(")")
        reader.depth -= 1
        reader.last_end = end
    elif reader.depth > 0:
        while reader.items and reader.items[-1] != "(":
            reader.items.pop()
        if reader.items:
            reader.items.pop()
        reader.depth -= 1
        reader.operand = bool(reader.items) and isinstance(reader.items[-1], float)
    else:
        reader.finish()


def _word(reader: _Reader, word: str, start: int, end: int) -> None:
    op = _WORD_OPS.get(word)
    if op is not None:
        if reader.operand:
            reader.operator(op, start, end)
        return
    if word == "of":
        share = reader.percent or (len(reader.items) >= 3 and reader.items[-2] == "/")  # 20% of 25, 2/3 of 12
        if share and start - reader.last_end <= 2 and _NUMBER_AHEAD.match(reader.text, end):
            reader.operator("*", start, end)
        return
    worked = len(reader.items) > 2 and not reader.depth and start - reader.last_end <= MAX_GAP
    if worked and _NUMBER_AHEAD.match(reader.text, end):
        reader.equals(start, end)


def _letter(reader: _Reader, letter: str, start: int, end: int) -> None:
    text = reader.text
    ahead = _OPERAND_AHEAD.match(text, end)
    if (
        letter in "xX"
        and reader.operand
        and ahead is not None
        and (start > reader.last_end or text[end : end + 1].isdigit())
    ):
        following = text[ahead.end() - 1]
        if not following.isalpha() or letter == "x":
            reader.operator("*", start, end)
            return
    unit = letter not in "xyzn" and start - reader.last_end <= (letter in "mg")
    if unit and reader.operand and letter not in reader.declared:
        reader.last_end = end  # a unit: 1600g, 553 m
        return
    following_text = text[end : end + 2].lstrip()[:1]
    after_operator = (bool(reader.items) and not reader.operand) or (bool(reader.parts) and not reader.items)
    glued = reader.operand and start == reader.last_end
    if after_operator or glued or (following_text and following_text in "+*/=^-–−" and letter not in "aAI"):
        reader.operand_token(variable_value(letter), start, end, variable=True)
