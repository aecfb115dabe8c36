r"""Finds the calculations of a text in LaTeX: equations, chains, values stated in math mode.

Numbers are compared as numbers. An expression with variables is compared through its value at fixed stand-ins, and an
equation through the ratio of ``left - right`` at two of them, so that ``x^2+5x+6`` equals ``(x+2)(x+3)`` and
``2x+4=10`` equals ``x+2=5``, without computer algebra. Time is linear in the text.
"""

from __future__ import annotations

import math
import re

from rlkd.structure.arithmetic import ExpressionError, Item, evaluate
from rlkd.structure.calc import Calc, same_value, variable_value
from rlkd.structure.calculations import find_calculations

MAX_REGION = 2_000
"""Characters of a stretch of math that are read."""

_LATEX = re.compile(
    r"\\[A-Za-z(\[]"
    r"|(?<![\w$\\])\$(?=[^$\n]{0,80}[\^_=])(?:\w(?!\w\w)|[^\w$\n]){1,80}\$(?![\d<])"  # $x = 3$, but not $9 * 2 = $18
)
_REGION = re.compile(
    r"(?<!\\)\$\$([^$]{1,2000})\$\$|(?<!\\)\$([^$\n]{1,1000})(?<!\\)\$|\\\[((?:[^\\]|\\(?![\[\]])){1,2000})\\\]"
    r"|\\\(((?:[^\\]|\\(?![()])){1,1000})\\\)"
    r"|\\begin\{(?:align|equation|gather|eqnarray|aligned|multline)\*?\}((?:[^\\]|\\(?!end\b|begin\{[aegm])){1,2000})\\end\{"
)
_TOKEN = re.compile(
    r"(\d{1,3}(?:(?:,|\{,\}|\\,|\\!,\\!|,\\!)\d{3}){1,5}(?!\d)(?:\.\d{1,20})?|\d{1,24}(?:\.\d{1,20})?|\.\d{1,20})"  # 1
    r"|\\([A-Za-z]{1,20})\*?"  # 2 command
    r"|([A-Za-z](?:_(?:[0-9A-Za-z]|\{[^{}]{1,12}\}))?'{0,3})"  # 3 variable
    r"|(\\\\)|(\\[%$])|\\[,;:! ]|(<=|>=|[-+*/^=(){}\[\]|,;!&<>~:.])"  # 4 new line, 5 sign, 6 operator
)
_SKIP = frozenset(
    ["left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle", "quad", "qquad", "limits", "nolimits", "hspace", "vspace", "mathrm", "mathbf", "mathit", "operatorname", "rm", "bf", "it", "phantom"]
)
_TEXT = frozenset(["text", "textbf", "textit", "mbox", "textrm", "hbox"])
_TIMES = frozenset(("cdot", "times", "ast"))
_RELATIONS = frozenset(["approx", "equiv", "leq", "le", "geq", "ge", "neq", "ne", "lt", "gt", "sim", "cong"])
_BREAKS = frozenset(["implies", "Rightarrow", "rightarrow", "to", "iff", "Longrightarrow", "longrightarrow", "therefore", "because", "and", "or", "qquad"])
_BRACED = re.compile(r"\s{0,4}\{([^{}]{0,200})\}")
_SECOND_POINT = 0.7548776662466927
_TUPLE = 1.6180339887498949


class _Unreadable(ValueError):
    """The math is no expression that can be read."""


def has_latex(text: str) -> bool:
    """Whether a text is written in LaTeX."""
    return ("\\" in text or "$" in text) and _LATEX.search(text[:20_000]) is not None


def find_latex_calculations(text: str) -> list[Calc]:
    """Finds the calculations of a text with stretches of LaTeX math; outside of them it is read as prose."""
    found: list[Calc] = []
    rest: list[str] = []
    last = 0
    for match in _REGION.finditer(text):
        group = match.lastindex or 0
        body, start = match.group(group), match.start(group)
        if group == 2 and not _is_math(body):
            continue  # dollars in prose
        found += _region_calculations(body[:MAX_REGION], start)
        rest.append(text[last : match.start()])
        rest.append(" " * (match.end() - match.start()))
        last = match.end()
    rest.append(text[last:])
    outside = "".join(rest)
    found += [calc for calc in find_calculations(outside.replace("\\$", " $")) if calc.operands or calc.symbolic]
    found.sort(key=lambda calc: calc.eq)
    return found


def _is_math(body: str) -> bool:
    """Whether text between two dollar signs is math, not prose between two prices."""
    if body[:1].isspace() and body[-1:].isspace():
        return False
    return re.search(r"[A-Za-z]{3,} [A-Za-z]{2,}", body) is None or "\\" in body


def _region_calculations(body: str, base: int) -> list[Calc]:
    """Calculations of one stretch of math: chains of expressions joined by relations."""
    found: list[Calc] = []
    chain: list[tuple[list[Item], list[Item], bool]] = []
    ops = ""
    start, carried = 0, False
    for part, begin, end, joint in _split(body):
        items, second, symbolic = _translate(part)
        if not items and joint == "=" and not chain and found and carried:
            chain = [([found[-1].value], [found[-1].value], False)]  # "&= 5" goes on from the line above
        if items:
            if not chain:
                start = begin + len(part) - len(part.lstrip())
            chain.append((items, second, symbolic))
        if joint == "<":
            ops = "<"
        if joint == "":
            calc = _calculation(chain, body[start:end], base + start, base + end, ops)
            if calc is not None and not calc.operands and "\\boxed" in body[start:end]:
                calc = None  # the stated final answer
            if calc is not None:
                found.append(calc)
            carried = calc is not None and not calc.symbolic
            chain, ops = [], ""
    return found


def _split(body: str) -> list[tuple[str, int, int, str]]:
    """Cuts math into expressions: ``(text, start, end, joint)``; the joint is ``=``, ``<`` or nothing (the end)."""
    parts: list[tuple[str, int, int, str]] = []
    depth = begin = 0
    tokens = list(_TOKEN.finditer(body))
    for k, match in enumerate(tokens):
        command, sign = match.group(2), match.group(6)
        joint: str | None = None
        if sign is not None:
            if sign in "({[":
                depth += 1
            elif sign in ")}]":
                depth = max(0, depth - 1)
            elif depth == 0:
                if sign == "=":
                    joint = "="
                elif sign in ("<", ">", "<=", ">="):
                    joint = "<"
                elif sign in ",;:" or (sign == "." and k == len(tokens) - 1):
                    joint = ""
        elif command in _RELATIONS:
            joint = "=" if command in ("approx", "equiv", "sim", "cong") else "<"
        elif command in _BREAKS and depth == 0:
            joint = ""
        elif match.group(4) is not None and depth == 0:
            following = re.compile(r"\s{0,8}&?\s{0,8}(?:=|\\(?:approx|equiv))").match(body, match.end())
            joint = None if following else ""
        if joint is not None:
            parts.append((body[begin : match.start()], begin, match.start(), joint))
            begin = match.end()
    parts.append((body[begin:], begin, len(body), ""))
    return parts


def _calculation(
    chain: list[tuple[list[Item], list[Item], bool]], source: str, start: int, end: int, ops: str
) -> Calc | None:
    values: list[tuple[list[Item], float, float, bool]] = []
    for items, second, symbolic in chain:
        try:
            values.append((items, evaluate(items), evaluate(second) if symbolic else 0.0, symbolic))
        except ExpressionError:
            continue
    if not values:
        return None
    first, last = values[0], values[-1]
    if len(values) == 1:
        if first[3] or _TUPLE in first[0]:
            return None  # an expression that is only named, a pair
        return _make(start, end, first[1], first, ops, stated=_size(first[0]) == 1)
    numeric = [v for v in values if not v[3]]
    if numeric and (len(numeric) > 1 or len(values) > 2 or all(_size(v[0]) == 1 for v in values)):
        worked = next((v for v in values if not v[3] and _size(v[0]) > 1), None)
        calc = _make(start, end, numeric[-1][1], worked or numeric[-1], ops, stated=True)
        calc.symbolic = worked is None and len(numeric) < len(values)
        if calc.symbolic and len(values) == 2:
            calc.alias = _fingerprint(first, last)
            calc.source = source.strip()
        return calc
    calc = _make(start, end, _fingerprint(first, last), first, ops + "=", stated=True)
    calc.symbolic = True
    calc.source = source.strip()
    return calc


def _size(items: list[Item]) -> int:
    return sum(isinstance(x, float) for x in items)


def _make(start: int, end: int, value: float, worked: tuple[list[Item], float, float, bool], ops: str, stated: bool) -> Calc:
    items = worked[0]
    operands = tuple(x for x in items if isinstance(x, float)) if _size(items) > 1 else ()
    signs = "".join(dict.fromkeys(x for x in items if isinstance(x, str) and x not in "()"))
    calc = Calc(start, end, value, operands, signs + ops)
    calc.items = items if operands else []
    calc.computed = worked[1]
    calc.stated = stated
    calc.eq = start
    calc.holds = same_value(worked[1], value) or bool(ops)
    return calc


def _fingerprint(left: tuple[list[Item], float, float, bool], right: tuple[list[Item], float, float, bool]) -> float:
    """A whole number that equal equations share, whatever their scale and form."""
    a = left[1] - right[1]
    b = (left[2] if left[3] else left[1]) - (right[2] if right[3] else right[1])
    if abs(a) < 1e-9 * max(1.0, abs(left[1])):  # an identity: its expression counts
        ratio = left[1] or 1.0
    elif abs(b) < 1e-12:
        ratio = a
    else:
        ratio = a / b
    exponent = math.floor(math.log10(abs(ratio))) if ratio else 0
    return float(round(ratio / 10.0**exponent * 1e6)) + exponent * 1e8


def _translate(text: str) -> tuple[list[Item], list[Item], bool]:
    """Turns math into a flat expression, twice: with the first and with the second stand-ins for variables."""
    if not text.strip():
        return [], [], False
    try:
        items = _Translator(text).run()
    except _Unreadable:
        return [], [], False
    symbolic = any(isinstance(x, _Variable) for x in items)
    first = [x.first if isinstance(x, _Variable) else x for x in items]
    second = [x.second if isinstance(x, _Variable) else x for x in items] if symbolic else first
    return first, second, symbolic


class _Variable:
    __slots__ = ("first", "second")

    def __init__(self, name: str) -> None:
        seed = sum(ord(c) * (31**i) for i, c in enumerate(name[:8]))
        self.first = variable_value(name) if len(name) == 1 else 1.0 + (seed * 0.618033988749895) % 1.0 * 7.3 + 0.0234567
        self.second = 2.0 + (seed * _SECOND_POINT) % 1.0 * 5.1 + 0.0345678


class _Translator:
    """One pass over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_TOKEN.finditer(text))
        self.text = text
        self.items: list[Item | _Variable] = []
        self.at = 0
        if len(self.tokens) > 160:
            raise _Unreadable

    def run(self) -> list[Item | _Variable]:
        while self.at < len(self.tokens):
            self.token()
        while self.items and isinstance(self.items[-1], str) and self.items[-1] != ")":
            self.items.pop()
        return self.items

    def token(self) -> None:
        match = self.tokens[self.at]
        self.at += 1
        number, command, variable, sign = match.group(1), match.group(2), match.group(3), match.group(6)
        if number is not None:
            value = float(re.sub(r"[^\d.]", "", number))
            self.items.append(value)
        elif variable is not None:
            self.items.append(_Variable(variable))
        elif command is not None:
            self.command(command)
        elif match.group(5) == "\\%":
            self.items += ["/", 100.0]
        elif sign is not None:
            self.sign(sign)

    def sign(self, sign: str) -> None:
        if sign in "([{":
            self.items.append("(")
        elif sign in ")]}":
            if self.items and self.items[-1] == "(":
                self.items.pop()
            else:
                self.items.append(")")
        elif sign in "+-*/^":
            self.items.append(sign)
        elif sign == ",":
            self.items += ["+", _TUPLE, "*"]
        elif sign == "!":
            self.factorial()
        elif sign in "|<>:":
            raise _Unreadable

    def factorial(self) -> None:
        last = self.items[-1] if self.items else None
        if not isinstance(last, float) or last != int(last) or not 0 <= last <= 20:
            raise _Unreadable
        self.items[-1] = float(math.factorial(int(last)))

    def command(self, name: str) -> None:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            self.items.append("(")
            self.argument()
            self.items.append("/")
            self.argument()
            self.items.append(")")
        elif name in ("binom", "dbinom", "tbinom"):
            self.binomial()
        elif name == "sqrt":
            self.root()
        elif name in _TIMES:
            self.items.append("*")
        elif name == "div":
            self.items.append("/")
        elif name in ("lfloor", "lceil", "lbrace", "langle"):
            self.items.append("(")
        elif name in ("rfloor", "rceil", "rbrace", "rangle"):
            self.sign(")")
        elif name == "pi":
            self.items.append(_Variable("pi"))
        elif name in _TEXT:
            self.skip_group()
        elif name in ("circ", "degree", "ldots", "dots", "cdots"):
            if name.endswith("dots"):
                raise _Unreadable
            if self.items and self.items[-1] == "^":
                self.items.pop()
            elif len(self.items) > 1 and self.items[-2:] == ["^", "("]:
                del self.items[-2:]
                self.at += 1
        elif name in ("boxed", "fbox"):
            pass
        elif name not in _SKIP:
            self.items.append(_Variable(name))

    def argument(self) -> None:
        """One argument of a command, in parentheses: a group, a digit, a letter or a command."""
        if self.at >= len(self.tokens):
            raise _Unreadable
        match = self.tokens[self.at]
        number = match.group(1)
        if match.group(6) == "{":
            self.at += 1
            self.items.append("(")
            depth = 1
            while self.at < len(self.tokens):
                sign = self.tokens[self.at].group(6)
                depth += (sign == "{") - (sign == "}")
                if depth == 0:
                    break
                self.token()
            self.at += 1
            if self.items[-1] == "(":
                raise _Unreadable
            self.items.append(")")
        elif number is not None and len(number) > 1 and number.isdigit():
            self.items.append(float(number[0]))  # \frac12
            rest = _TOKEN.match(number[1:])
            if rest is None:
                raise _Unreadable
            self.tokens[self.at] = rest
        else:
            self.token()

    def binomial(self) -> None:
        begin = len(self.items)
        self.argument()
        top = self.items[begin:]
        del self.items[begin:]
        self.argument()
        bottom = self.items[begin:]
        del self.items[begin:]
        numbers = [[x for x in part if not isinstance(x, str)] for part in (top, bottom)]
        if any(len(part) != 1 or not isinstance(part[0], float) for part in numbers):
            raise _Unreadable
        n, k = (int(part[0]) for part in numbers)  # type: ignore[arg-type]
        if not 0 <= k <= n <= 1000:
            raise _Unreadable
        self.items.append(float(math.comb(n, k)))

    def root(self) -> None:
        degree = 2.0
        if self.at + 2 < len(self.tokens) and self.tokens[self.at].group(6) == "[":
            number = self.tokens[self.at + 1].group(1)
            if number is None or self.tokens[self.at + 2].group(6) != "]":
                raise _Unreadable
            degree = float(number)
            self.at += 3
        self.items.append("(")
        self.argument()
        self.items += ["^", "(", 1.0, "/", degree, ")", ")"]

    def skip_group(self) -> None:
        if self.at < len(self.tokens) and self.tokens[self.at].group(6) == "{":
            end = self.tokens[self.at].end()
            closing = self.text.find("}", end)
            while self.at < len(self.tokens) and self.tokens[self.at].start() <= closing:
                self.at += 1
