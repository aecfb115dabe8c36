r"""Finds the calculations of a text in LaTeX: equations, chains, values stated in math mode.

Numbers are compared as numbers. An expression with variables is compared through its value at fixed stand-ins, and an
equation through the ratio of ``left - right`` at two of them, so that ``x^2+5x+6`` equals ``(x+2)(x+3)`` and
``2x+4=10`` equals ``x+2=5``, without computer algebra. Time is linear in the text.
"""

from __future__ import annotations

import re

from rlkd.structure.reading.calculation import Found
from rlkd.structure.reading.formulas.equations import read_math
from rlkd.structure.reading.inline_arithmetic import find_calculations

MAX_REGION = 2_000
"""Characters of a stretch of math that are read."""

_COMMAND = re.compile(r"\\[A-Za-z(\[]")
_DOLLARS = re.compile(r"\$(?<![\w$\\]\$)(?=[^$\n]{0,80}[\^_=])(?:\w(?!\w\w)|[^\w$\n]){1,80}\$(?![\d<])")
"""``$x = 3$``, but not ``$9 * 2 = $18``. It begins with the sign itself, which a search can leap to."""
_REGION = re.compile(
    r"(?<!\\)\$\$([^$]{1,2000})\$\$|(?<!\\)\$([^$\n]{1,1000})(?<!\\)\$|\\\[((?:[^\\]|\\(?![\[\]])){1,2000})\\\]"
    r"|\\\(((?:[^\\]|\\(?![()])){1,1000})\\\)"
    r"|\\begin\{(?:align|equation|gather|eqnarray|aligned|multline)\*?\}((?:[^\\]|\\(?!end\b|begin\{[aegm])){1,2000})\\end\{"
)
_NUMBER = r"\d[\d,]{0,20}(?:\.\d{1,12})?"
_AMOUNT = re.compile(rf"\s{{0,2}}(?:\\: ?{_NUMBER}|(?:\\: ?)?{_NUMBER} ?\\%)\s{{0,2}}")
"""Money or a percentage between dollar signs, ``\\:`` being the escaped one: a number of the prose around it."""
_WHOLE = re.compile(rf"(?<=\\% of )\$ ?({_NUMBER}) ?\$|(?<=\\%\$ of )\$ ?({_NUMBER}) ?\$")
"""What a percentage is taken of: ``25\\% of $80$``."""
_BARE = re.compile(
    r"(?:\\(?:[dt]?frac|times|cdot|div|sqrt|left|right|pi)(?![A-Za-z])|\\[,;!%]|[\d+\-*/^=(){}., ]){2,300}"
)
"""Math without dollars around it: ``\\frac12 * 8 = 4``."""


def has_latex(text: str) -> bool:
    """Whether a text is written in LaTeX."""
    text = text[:20_000]
    return ("\\" in text and _COMMAND.search(text) is not None) or (
        "$" in text and _DOLLARS.search(text) is not None
    )


def find_latex_calculations(text: str) -> list[Found]:
    """Finds the calculations of a text with stretches of LaTeX math; outside of them it is read as prose."""
    found: list[Found] = []
    rest: list[str] = []
    last = 0
    # An escaped dollar sign is no delimiter: "$$(16 - 3) \\times \\$2 = \\$26$$" was no math, and "of $\\$80$, which is $" was.
    text = text.replace("\\$", "\\:")
    if "\\% of $" in text or "\\%$ of $" in text:
        text = _WHOLE.sub(lambda match: match[0].replace("$", " "), text)
    for match in _REGION.finditer(text):
        group = match.lastindex or 0
        body, start = match.group(group), match.start(group)
        if group == 2 and ("\\%" in body or "\\:" in body) and _AMOUNT.fullmatch(body):
            rest += [text[last : match.start()], f" {body} "]
            last = match.end()
            continue
        if group == 2 and not _is_math(body):
            continue  # dollars in prose
        found += read_math(body[:MAX_REGION], start)
        rest.append(text[last : match.start()])
        rest.append(" " * (match.end() - match.start()))
        last = match.end()
    rest.append(text[last:])
    outside = _read_bare("".join(rest), found)
    outside = outside.replace("\\:", " $").replace("\\%", " %")
    found += [calc for calc in find_calculations(outside) if calc.operands or calc.symbolic]
    found.sort(key=lambda calc: calc.at)
    return found


def _read_bare(text: str, found: list[Found]) -> str:
    """Reads stretches of commands without dollars around them, and returns the text with blanks in their place."""
    rest: list[str] = []
    last = 0
    for match in _BARE.finditer(text):
        said = match.group()
        if "\\" not in said or "=" not in said:
            continue
        start = match.start() + len(said) - len(said.lstrip(" .,"))
        calcs = read_math(text[start : match.end()].rstrip(" .,"), start)
        if calcs:
            found += calcs
            rest += [text[last : match.start()], " " * len(said)]
            last = match.end()
    return "".join([*rest, text[last:]])


def _is_math(body: str) -> bool:
    """Whether text between two dollar signs is math, not prose between two prices."""
    if body[:1].isspace() and body[-1:].isspace():
        return False
    return re.search(r"[A-Za-z]{3,} [A-Za-z]{2,}", body) is None or "\\" in body
