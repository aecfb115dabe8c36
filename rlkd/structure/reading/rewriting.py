r"""Other ways to write a calculation, written as the plain one before it is read: units to a power, tables, named results.

``12 cm^2`` is 12 and not 144; ``| 16 - 3 | 13 |`` is ``16 - 3 = 13``; ``left = 16 - 3 = 13`` makes ``left * 2`` into ``13 * 2``. A plain
text has none of these, and what would find them is not entered for it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

from rlkd.structure.reading.calculation import Found

ENDS_IN_SIGN = re.compile(r"=[ \t]{0,4}\r?\n")
BEGINS_WITH_SIGN = re.compile(r"\n\s{0,8}&?\s?[=≈]")
"""What a text has an equation in that goes on in the next line; each begins with one sign, which a search can leap to."""
_CONTINUED = re.compile(
    r"(?<![=<>!])[=≈][ \t]{0,4}\r?\n\s{0,8}(?=[$£€(\\]|-?\d)|(?<!\\\\)(?<!\\\\ )(?<!=)\r?\n\s{0,8}&?\s?(?=[=≈](?!=))"
)
DEFINES = re.compile(r"=(?:(?<=[A-Za-z_*] =)|(?<=[A-Za-z_*]=))")
USES_NAME = re.compile(
    r"[*×+/÷−](?:(?<=[A-Za-z_].)|(?<=[A-Za-z_] .)| ?[$£€]?[A-Za-z]{2})|- (?:[A-Za-z]{2}|(?<=[A-Za-z_] - ))"
)
"""A word before an equals sign, and one beside an operator: a result may have a name."""
UNIT_SIGNS = ("^", "²", "³", "**", "\\mathrm", "/h", "/s")
"""What a unit to a power, or a speed, has."""


def join_continued(text: str) -> str:
    """Writes an equation in one line that goes on in the next one, but for the lines of LaTeX's own.

    ``16 - 3 - 4`` and ``= 9``, or ``16 - 3 - 4 =`` and ``9``, were a range and a number.
    """
    return _CONTINUED.sub(lambda match: re.sub(r"[\n\r]", " ", match[0]), text)


_POWER = r"(?: ?(?:\^|\*\*) ?(?:\{ ?-?[2-9] ?\}|-?[2-9](?!\d))|[²³⁴])"
_LONG = r"inch(?:es)?|feet|foot|yards?|(?:centi|deci|milli|kilo)?met(?:er|re)s?|miles?|units?|sec(?:ond)?s?|hours?"
_SHORT = r"cm|mm|km|dm|in|ft|yds?|mi"
_RATE = r"(?:[A-Za-z]{2,9}|[gmNJWLt])"
"""What stands before the slash: ``kg/m^3``."""
_SINGLE = re.compile(r"[ms] ?[\^*²³⁴]")
_POWERED_UNIT = re.compile(
    # a unit behind a number, with what it is counted by: 12 cm^2, 0.6 g/cm^3, 9.8 m/s^2
    rf"(?<=[\d)]) {{0,2}}(?:\\[,;:! ] ?)?(?:{_RATE} ?[/·] ?)?(?:{_LONG}|{_SHORT}|[ms]){_POWER}"
    rf"|(?<=[A-Za-z][A-Za-z])/ ?(?:{_LONG}|{_SHORT}|[ms]){_POWER}"  # dollars/m^2
    rf"|(?<=[A-Za-z])·s{_POWER}"
    rf"|(?<=per )(?:{_LONG}|{_SHORT}|[ms]){_POWER}"
    rf"|(?:(?<![A-Za-z\\])(?:{_LONG})|(?:(?<=square )|(?<=sq )|(?<=\bin ))(?:{_SHORT})){_POWER}"  # "square inches^2", "in cm^2"
)
_TEX_UNIT = re.compile(
    rf"\\(?:text|textrm|mbox|hbox)\s?\{{[^{{}}]{{1,30}}\}}{_POWER}"
    rf"|\\(?:mathrm|operatorname|rm)\s?\{{[ ~]?(?:(?:{_RATE}) ?[/·] ?)?(?:{_LONG}|{_SHORT}|[mshgL]|kg|mL|lbs?)(?:{_POWER})?[ ~]?\}}(?:{_POWER})?"
)
_SPEED = re.compile(rf"(?<=\d) ?(?:{_LONG}|{_SHORT}|m)/(?:hr?|s|sec|min)(?![A-Za-z^])")
_PLAIN_UNIT = re.compile(rf"(?<=\d) ?(?:{_SHORT}|[sh])(?![A-Za-z'’]| ?\^)(?! [a-z]*\d)")
"""The same units to no power beside them: ``4 cm`` in math was 4 times c times m, ``3 s`` behind ``9.8 m/s^2`` an unknown s."""
_GOES_ON = re.compile(
    r" ?[-+] ?\d+(?:\.\d+)?(?:[a-z](?! ?\^)|(?![\d.a-z]))|[a-z]| ?= ?\d+\b(?! ?[A-Za-z,.]\w)"
)
"""What follows an unknown to a power and no unit: ``2m^2 + 3m``, ``2m^2 = 8``."""


def without_units(text: str) -> str:
    """Writes blanks for units to a power, and for speeds: ``12 cm^2`` had the value 144, ``60 km/h * 3`` an unknown h."""
    unknown = {
        letter
        for letter in "ms"
        if re.search(rf"(?<![A-Za-z\d'’/\\{{])(?<!\d )(?<!\dk)(?<!per ){letter}(?![A-Za-z'’]|/|\}})", text)
    }
    glued_says_nothing = "$" in text or "\\" in text

    def blank(match: re.Match[str]) -> str:
        said = match.group()
        single = _SINGLE.match(said.lstrip(" "))
        if single and match.start() and text[match.start() - 1] in "0123456789)":
            glued = said[0] != " " or glued_says_nothing
            if said.lstrip(" ")[0] in unknown or (glued and _GOES_ON.match(text, match.end())):
                return said
        return " " * len(said)

    if "\\" in text:
        text = _TEX_UNIT.sub(lambda match: " " * len(match.group()), text)
    other = _POWERED_UNIT.sub(blank, text)
    if "/" in text:
        other = _SPEED.sub(lambda match: " " * len(match.group()), other)
    if other == text or (_PLAIN_UNIT.search(other) is None):
        return other
    return _PLAIN_UNIT.sub(lambda match: " " * len(match.group()), other)


_CELLS = re.compile(
    r"(\|[^|\n=]{0,60}\d[^|\n=\d]{0,24}[-+*/×÷−–·][ $£€(]{0,3}\d[^|\n=]{0,60})\|(?=[ $£€*]{0,4}\d[\d,.]* ?%?[^|\n=\d]{0,24}(?:\||$))",
    re.MULTILINE,
)


def state_cells(text: str) -> str:
    """Writes an equals sign between two cells of a table, of which the second is the result: ``| 16 - 3 | 13 |``."""
    return _CELLS.sub(r"\1=", text)


_PIECE = re.compile(r"[^\n.;]+(?:\.\d[^\n.;]*|\.(?!\s)[^\n.;]*)*[\n.;]*")
_DEFINED = re.compile(
    r"\W{0,6}(?:(?:so|then|now|thus|next|let|and|step \d{1,2}):?,? )?(?:the )?([A-Za-z][A-Za-z_]{1,24}(?: [A-Za-z_]{1,24}){0,3})(?:\*\*)? ?[=:](?!=)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[ *]{0,4}[$£€]?(-?\d[\d,]{0,20}(?:\.\d{1,12})?)(?![\d%/])(?!\.\d)")
_OPERATOR = re.compile(r"[-+*/×÷−^]")
_MAX_NAMES = 32


def read_named(text: str, read: Callable[[str], list[Found]]) -> list[Found] | None:
    """Reads a text whose named results are written as the numbers that they are; ``None`` where nothing is named and used.

    ``left = 16 - 3 - 4 = 9`` and ``money = left * 2 = 18`` were two calculations of which the second used nothing.

    Args:
        text: The text.
        read: What finds the calculations of the text without names.
    """
    names: dict[str, str] = {}
    used: re.Pattern[str] | None = None
    parts: list[str] = []
    new_at: list[int] = []
    old_at: list[int] = []
    length = at = 0

    def take(said: str, start: int) -> None:
        nonlocal length
        parts.append(said)
        new_at.append(length)
        old_at.append(start)
        length += len(said)

    for piece in _PIECE.finditer(text):
        begin = len(parts)
        for match in used.finditer(text, piece.start(), piece.end()) if used else ():
            if _is_operand(text, match, piece.start(), names):
                take(text[at : match.start()], at)
                take(names[" ".join(match.group().lower().split())], match.start())
                at = match.end()
        take(text[at : piece.end()], at)
        at = piece.end()
        said = "".join(parts[begin:])
        defined = _DEFINED.match(said)
        if defined and len(names) < _MAX_NAMES:
            rest = said[defined.end() :]
            before, _, last = rest.rpartition("=")
            value = _VALUE.match(last)
            if value and (before or not _OPERATOR.search(rest[value.end() :])):
                names[" ".join(defined.group(1).lower().split())] = value.group(1)
                used = _uses_of(names)
    if not any(new != old for new, old in zip(new_at, old_at, strict=True)) and "".join(parts) == text[:at]:
        return None
    take(text[at:], at)
    found = read("".join(parts))

    def back(position: int) -> int:
        k = bisect_right(new_at, position) - 1
        until = old_at[k + 1] if k + 1 < len(old_at) else len(text)
        return min(old_at[k] + position - new_at[k], until)

    for calc in found:
        calc.start, calc.end, calc.at = back(calc.start), back(calc.end), back(calc.at)
    return found


def _uses_of(names: dict[str, str]) -> re.Pattern[str]:
    """What finds names."""
    known = "|".join(
        re.escape(name).replace("\\ ", " {1,2}") for name in sorted(names, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w'’])(?:{known})(?![\w'’])", re.IGNORECASE)


_BEFORE = re.compile(r"(?P<operand>[\d)%]|[A-Za-z_][A-Za-z_ ]{0,60}?)(?: ?[*+×÷−/^] ?| [-–] |-)[$£€]?\Z")
_BEGINS = re.compile(
    r"(?:\A|[=:,(] ?|\b(?:is|are|so|then|get) |\A\W{1,6}|\A\W{0,6}(?:so|then|now|thus|next|the),? )[$£€]?\Z",
    re.IGNORECASE,
)
_AFTER = re.compile(r"(?: ?[*+×÷−/^] ?| [-–] )[$£€(]{0,2}(?P<operand>\d|[A-Za-z_][A-Za-z_ ]{0,60})")


def _is_operand(text: str, match: re.Match[str], start: int, names: dict[str, str]) -> bool:
    """Whether a name stands in a calculation with a number or another name: not as a unit (``9 eggs * 2``), nor beside what has none.

    ``(number of water cards / total) * 100`` stays as it is: ``96) * 100`` would be another calculation.
    """
    before = _BEFORE.search(text[max(start, match.start() - 64) : match.start()])
    if before:
        said = " " + before["operand"].lower()
        if not said[-1].isalpha() or any(said.endswith(f" {name}") for name in names):
            return True
    after = _AFTER.match(text, match.end())
    if after is None:
        return False
    said = after["operand"].lower()
    known = said[0].isdigit() or any(re.match(rf"{re.escape(name)}\b", said) for name in names)
    return known and _BEGINS.search(text[max(start, match.start() - 16) : match.start()]) is not None
