r"""Calculations of one stretch of math: chains of expressions joined by ``=``, congruences and inequalities.

Plain text (``3x - 12 = 2x + 7``) and LaTeX are read alike. Equal equations have equal values, whatever their form and
whatever their only variable is called. An inequality has the value of its equation, moved by its direction. The modulus
of a congruence is left out: texts state it once and then leave it out.
"""

from __future__ import annotations

import math
import re
import zlib

from rlkd.quantities.latex import RELATIONS
from rlkd.quantities.numbers import same_value
from rlkd.structure.reading.calculation import Found
from rlkd.structure.reading.formulas.expression import TOKEN, TUPLE, Expression

_JOINT_OF = {"≤": "<", "≥": ">", "<": "<", ">": ">", "≠": "#", "≈": "="}
_JOINTS = {name: _JOINT_OF[sign] for name, sign in RELATIONS.items()} | {"equiv": "=", "cong": "="}
_SIGNS = {"=": "=", "<": "<", "<=": "<", ">": ">", ">=": ">"}
_BREAKS = frozenset(
    [
        "implies",
        "Rightarrow",
        "rightarrow",
        "to",
        "iff",
        "Longrightarrow",
        "longrightarrow",
        "therefore",
        "because",
        "and",
        "or",
        "qquad",
    ]
)
_MODULUS = re.compile(
    r"\\pmod\s{0,3}(?:\{[^{}]{1,12}\}|\w{1,9})|\((?:\\text\{)?\s?\\?[pb]?mod\s?\}?\s{0,3}\{?[^{}()]{1,12}\}?\s?\)|\\mod\s{0,3}(?:\{[^{}]{1,12}\}|\w{1,9})\s{0,3}\Z"
)
_GOES_ON = re.compile(r"\s{0,8}&?\s{0,8}(?:=|\\(?:approx|equiv))")
_NAMED = re.compile(
    r"\s{0,4}(?:\\(gcd|lcm|log|ln|lg|sin|cos|tan|cot|sec|csc|sum|prod|max|min|deg|det|Pr)(?![A-Za-z])|\\(?:tau|phi|varphi|sigma)\s?\("
    r"|(?:m\s?)?\\(?:angle|overline|widehat|triangle|measuredangle)(?![A-Za-z])|\\(?:operatorname|mathrm|text)\s?\{([A-Za-z ]{1,24})\}|[A-Za-z](?:_\{?\w\}?)?\s?\(|[A-Z]{2,3}(?![A-Za-z])|\[[A-Z]{2,5}\])"
)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?")
_UNKNOWN = re.compile(r"(?<![A-Za-z\\])[a-z](?![A-Za-z])")


def read_math(body: str, base: int) -> list[Found]:
    """The calculations of one stretch of math, in order.

    Args:
        body: The math, in LaTeX or plain.
        base: Added to every span.
    """
    found: list[Found] = []
    chain: list[Expression] = []
    joints: list[str] = []
    start, carried = 0, False
    plain = _MODULUS.sub(lambda match: " " * len(match.group()), body) if "mod" in body else body
    for text, begin, end, joint in _split(plain):
        part = Expression(text)
        if not part.items and joint == "=" and not chain and found and carried:
            chain, joints = [Expression(repr(found[-1].value))], []  # "&= 5" goes on from the line above
            joints.append(joint)
            start = begin
        elif part.items:
            if not chain:
                start = begin + len(text) - len(text.lstrip())
            chain.append(part)
            joints.append(joint)
        if joint == "":
            calcs = _of_chain(chain, joints, body[start:end], base + start, base + end)
            calcs = [
                calc for calc in calcs if calc.operands or "\\boxed" not in body[start:end]
            ]  # else it states the answer
            found += calcs
            carried = bool(calcs) and not calcs[-1].symbolic
            chain, joints = [], []
    return found


def _split(body: str) -> list[tuple[str, int, int, str]]:
    """Cuts math into expressions: ``(text, start, end, joint)``; the joint is ``=``, ``<``, ``>``, ``#`` or nothing (the end)."""
    parts: list[tuple[str, int, int, str]] = []
    depth = begin = 0
    tokens = list(TOKEN.finditer(body))
    for k, match in enumerate(tokens):
        kind = match.lastindex
        joint: str | None = None
        if kind == 6:
            sign = match.group()
            if sign in "({[":
                depth += 1
            elif sign in ")}]":
                depth = max(0, depth - 1)
            elif depth == 0:
                joint = _SIGNS.get(sign)
                if sign in ",;:" or (sign == "." and k == len(tokens) - 1):
                    joint = ""
        elif kind == 2:
            command = match.group(2)
            if command in _JOINTS:
                joint = _JOINTS[command]
            elif command in _BREAKS and depth == 0:
                joint = ""
        elif kind == 4 and depth == 0:
            joint = None if _GOES_ON.match(body, match.end()) else ""
        if joint is not None:
            parts.append((body[begin : match.start()], begin, match.start(), joint))
            begin = match.end()
    parts.append((body[begin:], begin, len(body), ""))
    return parts


def _of_chain(chain: list[Expression], joints: list[str], source: str, start: int, end: int) -> list[Found]:
    """The calculations of a chain: one for each run of equals, one for each inequality in variables."""
    names = set().union(*(part.names for part in chain))
    if len(names) == 1 and names != {"x"} and len(next(iter(names))) == 1:
        chain = [part.renamed(next(iter(names))) for part in chain]
    found: list[Found] = []
    run: list[Expression] = []
    inequality = any(joint in ("<", ">", "#") for joint in joints[:-1])
    for k, part in enumerate(chain):
        run.append(part)
        if k == len(chain) - 1 or joints[k] != "=":
            text = " = ".join(part.text for part in run) if inequality else source
            calc = None if inequality and len(run) == 1 else _of_equals(run, text, start, end)
            found += [calc] if calc is not None else []
            if k < len(chain) - 1:
                unequal = _of_inequality(part, chain[k + 1], joints[k], start, end)
                found += [unequal] if unequal is not None else []
            run = []
    return found


def _of_inequality(left: Expression, right: Expression, joint: str, start: int, end: int) -> Found | None:
    if not (left.names or right.names) or left.value is None or right.value is None:
        return None
    direction = 0 if joint == "#" else (1 if joint == "<" else -1) * (1 if left.value < right.value else -1)
    relation = r"\neq" if joint == "#" else joint
    return Found(
        _fingerprint(left, right) + 0.5 + 0.25 * direction,
        left.operands(),
        left.operators() + "<",
        symbolic=True,
        start=start,
        end=end,
        at=start,
        source=f"{left.text.strip()} {relation} {right.text.strip()}",
    )


def _of_equals(chain: list[Expression], source: str, start: int, end: int) -> Found | None:
    values = [part for part in chain if part.value is not None]
    if not values:
        return _as_text(source, start, end) if len(chain) > 1 else None
    first, last = values[0], values[-1]
    if len(values) == 1:
        if first.names or TUPLE in first.items:
            return None  # an expression that is only named, a pair
        return _make(start, end, first, first, source, stated=not first.worked())
    named = _name_of(first) if first.names and not last.names else None
    numeric = [part for part in values if not part.names]
    if numeric and (
        named or len(numeric) > 1 or len(values) > 2 or not any(part.worked() for part in values)
    ):
        worked = next((part for part in values if not part.names and part.worked()), None)
        calc = _make(start, end, numeric[-1], worked or numeric[-1], source, stated=True)
        calc.symbolic = worked is None and len(numeric) < len(values) and not named
        if calc.symbolic and len(values) == 2:
            calc.equation_key = _fingerprint(first, last)
            calc.source = source.strip()
        elif named and worked is None and (named.group(1) or named.group(2)):
            calc.operands = tuple(float(x) for x in _NUMBER.findall(first.text)[:8])
            calc.operation = named.group(1) or named.group(2)
            calc.source = source.strip()
        elif (
            worked is None
            and len(numeric) > 1
            and numeric[0] is not numeric[-1]
            and not same_value(numeric[0].value or 0.0, calc.value)
        ):
            calc.operands, calc.operation = (numeric[0].value or 0.0,), "%"  # 7 = 2, modulo 5
            calc.source = source.strip()
        return calc
    calc = _make(start, end, first, first, source, stated=True)
    calc.value = _fingerprint(first, last)
    calc.operation += "="
    calc.holds = calc.symbolic = True
    calc.source = source.strip()
    return calc


def _name_of(part: Expression) -> re.Match[str] | None:
    r"""What a text names a number with (``P(A)``, ``\\gcd(12, 18)``, ``AB``); nothing where an unknown takes part."""
    found = _NAMED.match(part.text)
    if found is None:
        return None
    first = found.group().strip()[:1]
    for name in part.names:
        function, _, argument = name.partition(" ")  # "log _2x" is a function of an unknown
        if _UNKNOWN.search(argument) or (len(function) == 1 and function.islower() and function != first):
            return None
    return found


def _as_text(source: str, start: int, end: int) -> Found:
    """An equation between what cannot be worked out (``7^{2023} = 2^{2023}``): the same text is the same equation."""
    plain = re.sub(r"[\s{}&]|\\[,;:! ]|\\(?:left|right)", "", source)
    value = float(zlib.crc32(plain.encode("utf-8", "surrogatepass"))) + 1e12
    return Found(value, (), "=", symbolic=True, start=start, end=end, at=start, source=source.strip())


def _make(
    start: int, end: int, stated_as: Expression, worked: Expression, source: str, stated: bool
) -> Found:
    value = stated_as.value or 0.0
    operands = worked.operands() if worked.worked() else ()
    calc = Found(value, operands, worked.operators(), start=start, end=end, at=start)
    calc.items = worked.items if operands else []
    if operands and (worked.of_function() or "%" in calc.operation):
        calc.source = source.strip()  # functions cannot be written down from the items
    calc.computed = worked.value or 0.0
    calc.stated = stated
    calc.holds = same_value(calc.computed, value)
    return calc


def _fingerprint(left: Expression, right: Expression) -> float:
    """A whole number that equal equations share, whatever their scale and form."""
    a = (left.value or 0.0) - (right.value or 0.0)
    b = (left.second_value or 0.0) - (right.second_value or 0.0)
    if abs(a) < 1e-9 * max(1.0, abs(left.value or 0.0)):  # an identity: its expression counts
        ratio = left.value or 1.0
    elif abs(b) < 1e-12:
        ratio = a
    else:
        ratio = a / b
    exponent = math.floor(math.log10(abs(ratio))) if ratio else 0
    return float(round(ratio / 10.0**exponent * 1e6)) + exponent * 1e8
