"""How much of a text repeats itself, and how much of it copies the problem: signs of a student that plays the reward."""

from __future__ import annotations

import re

_LINE = re.compile(r"[^\n]+")
_SENTENCE = re.compile(r"[^\n]+?(?:\.(?=\s|\Z)|\Z|(?=\n))")
_GRAM = 4
"""Words of a run that counts as copied: shorter ones occur in any two texts on one problem."""


def repeated_share(text: str) -> float:
    """Computes the share of a text's lines that stand in it before; 0 for a text without lines."""
    lines = _lines(text)
    return len(repeated_spans(text)) / len(lines) if lines else 0.0


def repeated_spans(text: str) -> list[tuple[int, int]]:
    """Finds the lines that stand in a text before, as places in it.

    Of the three lines a, b, a that is the last one, ``[(4, 5)]``.
    """
    seen: set[str] = set()
    found = []
    for start, end in _lines(text):
        line = text[start:end].strip().rstrip(".")
        if line in seen:
            found.append((start, end))
        seen.add(line)
    return found


def _lines(text: str) -> list[tuple[int, int]]:
    """Places of the lines that say something; of a text of one line the sentences: loops of small students need no line break."""
    places = [m.span() for m in _LINE.finditer(text) if m.group().strip()]
    if len(places) == 1:
        places = [m.span() for m in _SENTENCE.finditer(text) if m.group().strip()]
    return places


def copied_share(text: str, question: str) -> float:
    """Computes the share of a text's runs of four words that stand in the problem's text as well.

    ``Tom has two big red apples`` has three runs; of ``Tom has two big pears`` one of two is copied: 0.5.
    """
    own, given = _runs(text), set(_runs(question))
    return sum(run in given for run in own) / len(own) if own else 0.0


def _runs(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + _GRAM]) for i in range(len(words) - _GRAM + 1)]
