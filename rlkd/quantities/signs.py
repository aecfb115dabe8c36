"""Unicode variants of digits, signs and spaces, put into plain ones without a change of meaning.

People, keyboards and models write the same path in many signs: ``１２ ∗ ５ ＝ ６０``, ``12 × 5 = 60``. What reads
numbers and formulas knows the plain signs only and stands on this module. Meaning is kept, never flattened: ``10³`` is
``10^3`` and not 103, ``1¾`` is ``1 3/4``, ``x₁`` is ``x_1``. Letters of other alphabets stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

_DIGITS = "0123456789"
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙₓᵢⱼₖ", "0123456789+-=()nxijk", strict=True))
_SAME = {
    "∗": "*", "×": "*", "·": "*", "∙": "*", "⋅": "*", "✕": "*", "✖": "*", "⨯": "*", "＊": "*", "⁎": "*",
    "−": "-", "–": "-", "—": "-", "‒": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "➖": "-",
    "＋": "+", "﹢": "+", "➕": "+", "÷": "/", "⁄": "/", "∕": "/", "／": "/", "➗": "/",
    "＝": "=", "﹦": "=", "꞊": "=", "＜": "<", "＞": ">", "≦": "≤", "≧": "≥", "⩽": "≤", "⩾": "≥",
    "％": "%", "﹪": "%", "٪": "%", "＄": "$", "﹩": "$", "￡": "£", "￥": "¥", "＾": "^", "ˆ": "^", "！": "!", "？": "?",
    "，": ",", "﹐": ",", "٬": ",", "．": ".", "﹒": ".", "。": ".", "٫": ".", "：": ":", "﹕": ":", "∶": ":", "；": ";",
    "（": "(", "）": ")", "﹙": "(", "﹚": ")", "［": "[", "］": "]", "｛": "{", "｝": "}", "｜": "|", "∣": "|", "＼": "\\",
    "＿": "_", "＃": "#", "＆": "&", "＠": "@", "～": "~", "’": "'", "‘": "'", "′": "'", "＇": "'", "“": '"', "”": '"',
    "″": '"', "＂": '"', "º": "°", "˚": "°", "µ": "μ", "\u2126": "Ω", "ϵ": "ε", "∆": "Δ",
    "…": "...", "⋯": "...", "≅": "≈", "℃": "°C", "℉": "°F",
}  # fmt: skip
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t\x0b\x0c"
_NOTHING = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff\ufe0e\ufe0f"
_LINES = {"\r\n": "\n", "\r": "\n", "\u0085": "\n", "\u2028": "\n", "\u2029": "\n"}


def _one(char: str) -> str:
    """What stands for one character (not a superscript, subscript or fraction)."""
    if char in _SAME:
        return _SAME[char]
    kind = unicodedata.category(char)
    if kind == "Nd":  # decimal digits of every script: ١٢, １２, 𝟏𝟐
        return _DIGITS[unicodedata.digit(char)]
    plain = unicodedata.normalize("NFKC", char)
    if kind == "Nl":  # Roman numerals: Ⅳ
        return plain if plain.isascii() else char
    if kind in ("Lu", "Ll", "Sm") and (0xFF21 <= ord(char) <= 0xFF5A or 0x1D400 <= ord(char) <= 0x1D7CB):
        return plain  # letters that only look different: ｘ, 𝑥, 𝐱 (but not ℝ, ℓ, accents)
    return char


def _fraction(char: str) -> str | None:
    """``3/4`` for ``¾``; ``None`` for what is no fraction."""
    whole = unicodedata.normalize("NFKC", char)
    top, slash, bottom = whole.partition("⁄")
    return f"{top}/{bottom}" if slash and top.isdigit() and bottom.isdigit() else None


_ODD = re.compile(
    rf"(?P<up>[{''.join(map(re.escape, _SUPERSCRIPTS))}]+)"
    rf"|(?P<down>[{''.join(map(re.escape, _SUBSCRIPTS))}]+)"
    r"|(?P<line>\r\n?|[\u0085\u2028\u2029])"
    rf"|(?P<space>[{_SPACES}])"
    rf"|(?P<nothing>[{_NOTHING}])"
    r"|(?P<other>[^\x00-\x7f])"
)
PLAIN = re.compile(r"[\x20-\x7e\n]*\Z")
"""A text that is in plain signs already, as nearly all are."""


def _replacement(match: re.Match[str], text: str) -> str:
    found = match[0]
    if match["up"]:
        inner = "".join(_SUPERSCRIPTS[char] for char in found)
        return _raised("^", inner) if match.start() and not text[match.start() - 1].isspace() else inner
    if match["down"]:
        return _raised("_", "".join(_SUBSCRIPTS[char] for char in found))
    if match["line"]:
        return _LINES[found]
    if match["space"]:
        return " "
    if match["nothing"]:
        return ""
    fraction = _fraction(found)
    if fraction is None:
        return _one(found)
    before = text[match.start() - 1] if match.start() else ""
    return f" {fraction}" if before.isdigit() else fraction


def _raised(sign: str, inner: str) -> str:
    """``^2`` for one character, ``^(-2)`` and ``_(10)`` for more."""
    inner = inner.removeprefix("+") or inner
    return f"{sign}{inner}" if len(inner) == 1 else f"{sign}({inner})"


def plain_signs(text: str) -> str:
    """Puts Unicode variants of digits, signs and spaces into plain ones.

    Args:
        text: Any text.

    Returns:
        The text in plain signs. Putting it through again changes nothing. Time is linear in the text.

    Example:
        >>> plain_signs("１２ ∗ ５ ＝ ６０, 10³, 1¾")
        '12 * 5 = 60, 10^3, 1 3/4'
    """
    if PLAIN.match(text):
        return text
    return _ODD.sub(lambda match: _replacement(match, text), text)


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text in plain signs that can point into the original.

    Attributes:
        text: The text in plain signs.
        starts: Where the replaced stretches begin in ``text``, ascending.
        shifts: For each of them ``(end in text, start in original, end in original)``.
    """

    text: str
    starts: tuple[int, ...] = ()
    shifts: tuple[tuple[int, int, int], ...] = ()

    def offset(self, position: int) -> int:
        """Where a position of ``text`` stands in the original; inside a replaced stretch, where that begins."""
        index = bisect_right(self.starts, position) - 1
        if index < 0:
            return position
        end, start, stop = self.shifts[index]
        return stop + position - end if position >= end else start

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that ``text[start:end]`` stands for; never less than it covers."""
        first = self.offset(start)
        if end <= start:
            return first, first
        index = bisect_right(self.starts, end - 1) - 1
        if index >= 0 and end - 1 < self.shifts[index][0]:
            return first, self.shifts[index][2]
        return first, self.offset(end - 1) + 1


def plain_text(text: str) -> PlainText:
    """Puts a text into plain signs as :func:`plain_signs` does, and remembers where everything stood.

    Example:
        >>> plain = plain_text("10³ = 1000")
        >>> plain.text, plain.span(0, 4)
        ('10^3 = 1000', (0, 3))
    """
    if PLAIN.match(text):
        return PlainText(text)
    parts: list[str] = []
    starts: list[int] = []
    shifts: list[tuple[int, int, int]] = []
    last = length = 0
    for match in _ODD.finditer(text):
        new = _replacement(match, text)
        if new == match[0]:
            continue
        parts += [text[last : match.start()], new]
        length += match.start() - last
        starts.append(length)
        length += len(new)
        shifts.append((length, match.start(), match.end()))
        last = match.end()
    parts.append(text[last:])
    return PlainText("".join(parts), tuple(starts), tuple(shifts))
