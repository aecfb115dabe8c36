"""How much of a text repeats itself, and how much of it copies the problem: signs of a student that plays the reward."""

from __future__ import annotations

_GRAM = 4
"""Words of a run that counts as copied: shorter ones occur in any two texts on one problem."""


def repeated_share(text: str) -> float:
    """Computes the share of a text's lines that stand in it before; 0 for a text without lines.

    A text of one line is cut at its full stops: loops of small students need no line break.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = [part.strip() for part in lines[0].split(". ") if part.strip()]
    return 1 - len(set(lines)) / len(lines) if lines else 0.0


def copied_share(text: str, question: str) -> float:
    """Computes the share of a text's runs of four words that stand in the problem's text as well.

    ``Tom has two big red apples`` has three runs; of ``Tom has two big pears`` one of two is copied: 0.5.
    """
    own, given = _runs(text), set(_runs(question))
    return sum(run in given for run in own) / len(own) if own else 0.0


def _runs(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + _GRAM]) for i in range(len(words) - _GRAM + 1)]
