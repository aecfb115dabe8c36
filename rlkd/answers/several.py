"""Compares an answer with several references by CoQA's official evaluation: normalised exact match and word F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, without punctuation, articles and extra spaces, in the order of the official script."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer is one of the references after normalisation, else 0."""
    return max(float(normalise(answer) == normalise(reference)) for reference in references)


def word_f1(answer: str, references: Sequence[str]) -> float:
    """The best word F1 of the answer with any of the references, in [0, 1]."""
    return max(_f1(answer, reference) for reference in references)


def leave_one_out(
    score: Callable[[str, Sequence[str]], float], answer: str, references: Sequence[str]
) -> float:
    """The official score with several references: the mean over leaving each one out, as people are scored too."""
    if len(references) == 1:
        return score(answer, references)
    rests = [[*references[:i], *references[i + 1 :]] for i in range(len(references))]
    return sum(score(answer, rest) for rest in rests) / len(rests)


def _f1(answer: str, reference: str) -> float:
    ours, theirs = normalise(answer).split(), normalise(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)
