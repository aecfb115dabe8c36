"""A rewriting that keeps the meaning, made without a model, the same every time.

What changes: common words become their synonyms (``buys`` to ``purchases``), connectives become others of the same
sense (``So`` to ``Therefore``), sentences that start plainly get a connective, ``*`` and ``/`` between numbers become
``×`` and ``÷``, and whole numbers from 1,000 on gain or lose their thousands separators. What stays: every quantity, every calculation, the
order of steps, names, calculator marks, and all that stands in LaTeX.
"""

from __future__ import annotations

import re

from rlkd.answers.gsm8k import MARKS

_SYNONYMS = {
    "buys": "purchases",
    "buy": "purchase",
    "bought": "purchased",
    "needs": "requires",
    "need": "require",
    "needed": "required",
    "begins": "starts",
    "starts": "begins",
    "started": "began",
    "kids": "children",
    "children": "kids",
    "mom": "mother",
    "dad": "father",
    "big": "large",
    "small": "little",
    "every": "each",
    "altogether": "in total",
    "in total": "altogether",
    "so": "therefore",
    "therefore": "so",
    "thus": "hence",
    "hence": "thus",
    "because": "since",
    "finally": "at last",
}
_WORDS = re.compile(r"\b(" + "|".join(sorted(_SYNONYMS, key=len, reverse=True)) + r")\b", re.IGNORECASE)
_SPACED = re.compile(r"(?<=[\d)]) ([*/]) (?=[\d($])")
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_UNGROUPED = re.compile(r"(?<![\d.,])\d{4,9}(?![\d,])")
_KEPT = re.compile(
    rf"({MARKS.pattern}|" + r"\$[^$\n]*\\[^$\n]*\$|\\\([^\n]*?\\\)|\\\[.*?\\\]|\$\$.*?\$\$)", re.DOTALL
)
_PLAIN_START = re.compile(r"(?:He|She|It|They|The|There|This|That|These|Those|In|On|At|We)\b")
_OPENERS = ("First", "Next", "Then", "After that")


def paraphrase(path: str) -> str | None:
    """Says the same in other words; ``None`` where nothing could be changed."""
    lines = path.split("\n")
    out: list[str] = []
    opened = 0
    for line in lines:
        pieces = _KEPT.split(line)
        text = "".join(piece if i % 2 else _reworded(piece) for i, piece in enumerate(pieces))
        if _PLAIN_START.match(text):
            opener = _OPENERS[0 if opened == 0 else 1 + (opened - 1) % 3]
            text = f"{opener}, {text[0].lower()}{text[1:]}"
            opened += 1
        out.append(text)
    changed = "\n".join(out)
    return changed if changed != path else None


def _reworded(text: str) -> str:
    text = _WORDS.sub(_synonym, text)
    text = _SPACED.sub(lambda m: " × " if m[1] == "*" else " ÷ ", text)
    if _GROUPED.search(text):
        return _GROUPED.sub(lambda m: m[0].replace(",", ""), text)
    return _UNGROUPED.sub(_with_separators, text)


def _synonym(match: re.Match[str]) -> str:
    word = match[0]
    other = _SYNONYMS[word.lower()]
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _with_separators(match: re.Match[str]) -> str:
    """Years stay as they are written."""
    value = int(match[0])
    return match[0] if 1900 <= value <= 2100 or match[0].startswith("0") else f"{value:,}"
