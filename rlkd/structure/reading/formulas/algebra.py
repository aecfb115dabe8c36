"""Algebra and signs beyond the four operations in plain text: ``3x - 12 = 2x + 7``, ``9² = 81``, ``√16 = 4``, ``5! = 120``.

They are read as the same in LaTeX is, so that a path in plain text can follow one in LaTeX.
"""

from __future__ import annotations

import re

from rlkd.answers.gsm8k import MARK_START
from rlkd.structure.reading.calculation import Found
from rlkd.structure.reading.formulas.equations import read_math

_SPECIAL = re.compile(r"[²³⁴√≤≥≠≡]|\d!(?= ?[-=*/+)^×·])|\bsqrt\b|\d ?[<>]=? ?\d|[a-z] ?[<>]=? ?\d|\bC\(\d")
_RUN = re.compile(
    r"(?:(?<=[\d)])!(?= ?[-=*/+)^×·])|[-+*/^=()²³⁴√×·÷≤≥≠≡<>]|\d[\d,]{0,20}(?:\.\d{1,12})?|\bsqrt\b|\bC(?=\(\d)|(?<![A-Za-z'])[A-Za-z](?![A-Za-z'])| (?=[-+*/^=()√×·÷≤≥≠≡<>\d]|sqrt|[a-z](?![A-Za-z']))|, (?=\d{1,3}\))){3,300}"
)
_SIGNS = (
    ("²", "^2"), ("³", "^3"), ("⁴", "^4"), ("sqrt", r"\sqrt "), ("√", r"\sqrt "), ("×", r"\cdot "), ("·", r"\cdot "),
    ("÷", "/"), ("≤", r"\leq "), ("≥", r"\geq "), ("≠", r"\neq "), ("≡", r"\equiv "), ("*", r"\cdot "),
)  # fmt: skip
_UNKNOWN = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_POWERED = re.compile(r"(?<![A-Za-z])[a-z]\^\d")
_ROOT = re.compile(r"√ ?(\d{1,12}(?:\.\d{1,9})?)")
_CHOOSE = re.compile(r"\bC\((\d{1,4}), ?(\d{1,4})\)")


def read_special(text: str) -> tuple[str, list[Found]]:
    """Reads the stretches with signs beyond the four operations: powers, roots, factorials, inequalities.

    Returns:
        The text with blanks in their place, and their calculations in order.
    """
    found: list[Found] = []
    if _SPECIAL.search(text) is None:
        return text, found
    rest: list[str] = []
    last = 0
    for match in _RUN.finditer(text):
        said = match.group()
        if _SPECIAL.search(said) is None:
            continue
        calcs = _read(said, match.start(), match.end())
        if not calcs:
            continue
        found += calcs
        rest += [text[last : match.start()], " " * len(said)]
        last = match.end()
    return "".join([*rest, text[last:]]), found


def read_equations(text: str, calcs: list[Found]) -> list[Found]:
    """Reads the equations in variables among a text's calculations as those in LaTeX are read, where any is more than a name."""
    if not any(_is_algebra(text[calc.start : calc.end]) for calc in calcs if calc.symbolic):
        return calcs
    found: list[Found] = []
    for calc in calcs:
        found += _as_algebra(text, calc) if calc.symbolic else [calc]
    return sorted(found, key=lambda calc: calc.at)


def _is_algebra(said: str) -> bool:
    """Whether an equation has unknowns on both sides, or to a power; in word problems ``x + 20 = 50`` names the 50."""
    left, _, right = said.rpartition("=")
    return _POWERED.search(said) is not None or (
        _UNKNOWN.search(left) is not None and _UNKNOWN.search(right) is not None
    )


def _as_algebra(text: str, calc: Found) -> list[Found]:
    """An equation in variables, read as in LaTeX; as it was found where that says nothing."""
    said = text[calc.start : calc.end]
    if MARK_START in said or "$" in said or calc.end - calc.start > 300:
        return [calc]
    return _read(said, calc.start, calc.end) or [calc]


def _read(said: str, start: int, end: int) -> list[Found]:
    math = _CHOOSE.sub(r"\\binom{\1}{\2}", said) if "C(" in said else said
    math = _ROOT.sub(r"sqrt(\1)", math) if "√" in math else math
    for sign, command in _SIGNS:
        math = math.replace(sign, command)
    calcs = [calc for calc in read_math(math, 0) if calc.operands or calc.symbolic]
    for calc in calcs:
        calc.start, calc.end, calc.at = start, end, start
    return calcs
