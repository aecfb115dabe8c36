"""What the benchmarks share: options, and paths that end with their answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlkd.data.benchmarks import Item

_OPTION = re.compile(r"\s*\(?([A-Za-z0-9])\s*[).:]\s*(.*)", re.DOTALL)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def options(texts: Sequence[str], labels: Sequence[str] = LETTERS) -> dict[str, str]:
    """Labels and texts of options; a label that a text begins with (``A)21``) is taken from it."""
    found = [_OPTION.fullmatch(text) for text in texts]
    if all(match and match[1] == labels[i] for i, match in enumerate(found)):
        return {match[1]: match[2].strip() for match in found if match}
    return dict(zip(map(str, labels), (text.strip() for text in texts), strict=False))


def choice(question: str, choices: Mapping[str, str], answer: str, **more: Any) -> Item:
    """A multiple-choice problem, its options below the question."""
    listed = "\n".join(f"{label}) {text}" for label, text in choices.items())
    return Item(f"{question.strip()}\n{listed}", answer, choices=choices, **more)


def hub_choice(row: Mapping[str, Any]) -> list[Item]:
    """A row of the hub's usual form: ``question``, ``choices: {text, label}``, ``answerKey`` and perhaps ``id``."""
    choices = options(row["choices"]["text"], row["choices"]["label"])
    return [choice(row["question"], choices, row["answerKey"], id=row.get("id"))]


def label_of(text: str, choices: Mapping[str, str]) -> str:
    """The label of the option with that text.

    Raises:
        KeyError: There is none.
    """
    return {option.casefold(): label for label, option in choices.items()}[text.strip().casefold()]


def closed(path: str, answer: str) -> str:
    """A path that ends with its answer."""
    return f"{path.strip()}\nThe answer is {answer}." if path.strip() else ""


def shuffled(texts: Sequence[str], question: str) -> list[str]:
    """Options in an order that only depends on the question."""
    return sorted(texts, key=lambda text: hashlib.sha256(f"{question}\n{text}".encode()).hexdigest())


def passage(text: str) -> str:
    """A short name for a passage that several questions share."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]
