"""Verification and back-tracking: which steps only check earlier ones, and which a later one takes back.

``16 - 3 = 12. Wait, that's 13.`` is one step with the result 13: the first try is ``retracted``, as is what was built
on it before the correction. Of a step with several calculations only these go: ``16 - 3 = 13, so 13 * 2 = 27. Wait, that's 26.`` keeps the 13. ``Let me check: 13 + 3 = 16`` finds nothing new and is a ``check``. "Wait, the 5 must be
added: 13 + 5 = 18" does find something new, and is a step like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlkd.quantities.numbers import parse_number, same_value
from rlkd.structure.reading.calculation import Found
from schemas.structure import CHECK, RETRACTED, Calculation, ReasoningStep

_WRONG = re.compile(
    r"\b(?:that|this|it|which)(?: is|(?:'|\u2019)s| was) (?:actually |clearly )?(?:wrong|incorrect|a mistake|an error|not (?:right|correct|it))\b"
    r"|\b(?:that|this|it) (?:isn(?:'|\u2019)t|is not|wasn(?:'|\u2019)t|can(?:'|\u2019)t be|cannot be|doesn(?:'|\u2019)t (?:look|seem)) (?:right|correct)\b"
    r"|\bi (?:made|see) (?:a|an|my) (?:mistake|error)|\bscratch that|\bi (?:forgot|misread|miscalculated|miscounted)\b"
    r"|\blet me (?:redo|start over|recalculate|re-?compute|re-?do|fix|correct|try again)\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:that(?:'|\u2019)s|that is|it(?:'|\u2019)s|it is|it should be|that should be|should be|i meant|makes)"
    r" (?:actually |really |only |just )?[$£€]?(-?\d{1,15}(?:[.,]\d{1,12})*)",
    re.IGNORECASE,
)
_BACK = 16
"""Steps before a correction among which the corrected one is looked for."""


def resolve_corrections(text: str, steps: list[ReasoningStep]) -> list[ReasoningStep]:
    """Gives steps that check or turn back their final kinds, and marks those that are taken back.

    Args:
        text: The path.
        steps: Its steps as read, of kinds ``step``, ``check`` and ``wait``; they are changed in place.

    Returns:
        The steps.
    """
    for i, step in enumerate(steps):
        if step.kind == "step":
            continue
        said = text[step.start : step.end][:400]
        turned = step.kind == "wait"
        wrong = turned and _WRONG.search(said) is not None
        if turned and not step.calculations:
            step.calculations = _value_instead(said, step.start, steps[:i])
        if step.calculations and _retract_same(steps, i):
            step.kind = "step"
            continue
        if wrong:
            _retract_last(steps, i)
        # What says that it checks may work out more on its way back to something known ("18 - 9 = 9, and 9 + 9 = 18").
        results = step.calculations if turned else step.calculations[-1:]
        step.kind = CHECK if (not wrong and _known(results, steps[:i])) or not results else "step"
    return steps


def _value_instead(said: str, start: int, earlier: Sequence[ReasoningStep]) -> tuple[Found, ...]:
    """For "that's 13" the last calculation with that result; nothing where the result is the same."""
    found = _INSTEAD.search(said)
    last = next((step.calculations[-1] for step in reversed(earlier) if step.calculations), None)
    value = parse_number(found.group(1).lstrip("-")) if found else None
    if (
        found is None
        or value is None
        or not isinstance(last, Found)
        or not last.items
        or len(last.operands) < 2
    ):
        return ()
    value = -value if found.group(1).startswith("-") else value
    if same_value(value, last.value):
        return ()
    at = start + found.start(1)
    return (
        Found(
            value,
            last.operands,
            last.operation,
            holds=same_value(last.computed, value),
            start=at,
            end=start + found.end(1),
            at=at,
            items=last.items,
            computed=last.computed,
        ),
    )


def _retract_same(steps: list[ReasoningStep], at: int) -> bool:
    """Takes back the step that did the same with another result, and what was built on it since."""
    ours = {
        (calc.operation, tuple(sorted(calc.operands))): calc.value
        for calc in steps[at].calculations
        if len(calc.operands) > 1
    }
    for k in range(at - 1, max(-1, at - 1 - _BACK), -1):
        if steps[k].kind != "step":
            continue
        for calc in steps[k].calculations:
            value = ours.get((calc.operation, tuple(sorted(calc.operands))))
            if value is not None and not same_value(value, calc.value):
                _retract(steps, k, at, calc)
                return True
    return False


def _retract(steps: list[ReasoningStep], first: int, until: int, wrong: Calculation) -> None:
    """Takes back a calculation of a step, and of that step and those up to another one what is built on it."""
    gone: list[float] = []
    for step in steps[first:until]:
        if step.kind != "step":
            continue
        kept: list[Calculation] = []
        for calc in step.calculations:
            if calc is wrong or any(x in gone for x in calc.operands):
                gone.append(calc.value)
            else:
                kept.append(calc)
        _keep(step, kept)


def _retract_last(steps: list[ReasoningStep], at: int) -> None:
    """Takes back the last step with calculations, but for what the steps behind the correction go on from.

    ``16-3-4 = 9, so 9*2 = 19. Wait, that's wrong. 9*2 = 18`` goes on from 9; where ``16-3-4 = 8, so 8*2 = 16`` is done again, nothing of it stays.
    """
    last = next((step for step in reversed(steps[:at]) if step.kind == "step" and step.calculations), None)
    if last is None:
        return
    later = {x for step in steps[at:] for calc in step.calculations for x in calc.operands}
    _keep(last, [calc for calc in last.calculations[:-1] if calc.value in later])


def _keep(step: ReasoningStep, kept: Sequence[Calculation]) -> None:
    """Leaves a step these of its calculations; without any it is taken back as a whole."""
    if kept:
        step.calculations = tuple(kept)
    elif step.calculations:
        step.kind = RETRACTED


def _known(results: Sequence[Calculation], earlier: Sequence[ReasoningStep]) -> bool:
    """Whether every result stands in earlier steps already."""
    known = {x for other in earlier for calc in other.calculations for x in (*calc.operands, calc.value)}
    return all(calc.value in known or any(same_value(calc.value, x) for x in known) for calc in results)
