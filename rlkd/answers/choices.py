"""Compares an answer with the options of a multiple-choice problem: the label or the text of the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rlkd.answers.equal import answers_equal

_LABEL = re.compile(
    r"(?:(?:the )?(?:correct )?(?:answer|option|choice)(?: is)?\s*:?\s*)?[(\[]?([A-Za-z0-9])(?:[)\].:]+|(?=\s*$))\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)


def choice_equal(
    reference: str, answer: str, choices: Mapping[str, str], timeout_s: float = 5.0
) -> bool | None:
    """Whether an answer names the right option: ``B``, ``(B)``, ``B) 21``, ``Option B`` or ``21``.

    An answer that is just a label counts as that option, else the text of an option does: of the options
    ``{A: 3, B: 4, C: 1}``, ``1`` is C. A label with the text of another option is wrong.

    Args:
        reference: The right label.
        answer: The student's answer.
        choices: Label to text.
        timeout_s: Longest time of a symbolic comparison, in seconds.

    Returns:
        The verdict; ``None`` where it could not be reached in time.
    """
    text = answer.strip().strip("*$ ").rstrip(".").strip()
    labels = {label.casefold(): label for label in choices}
    if text.casefold() in labels:
        return labels[text.casefold()] == reference
    named = [label for label, option in choices.items() if _plain(option) == _plain(text)]
    if named:
        return reference in named
    found = _LABEL.fullmatch(text)
    if found:
        label = labels.get(found[1].casefold())
        rest = found[2].strip()
        if label is not None and (not rest or _plain(rest) == _plain(choices[label])):
            return label == reference
    others = [option for label, option in choices.items() if label != reference]
    verdict = answers_equal(choices[reference], text, timeout_s)
    if verdict and any(answers_equal(option, text, timeout_s) for option in others):
        return False  # it fits several options, so it names none
    return verdict


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()
