"""Calculations that go without saying: "There were 3 raccoons. 2 went home, so now there is only 1 left."

Only in a path that makes no calculation in signs or words, and that concludes nothing else than a number. A sentence whose last number is new, and
that one operation makes of two numbers that the problem or the path stated before, found it by that operation. A number that
none makes is no result: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.quantities.numbers import canonical, same_value
from rlkd.quantities.stated import problem_quantities
from schemas.structure import CHECK, RETRACTED, Calculation, ReasoningStep

_LATEST = 8
"""Numbers of a kind (the path's, the problem's) that are tried, the latest first; more would meet by chance."""


def add_implied(steps: Sequence[ReasoningStep], problem: str) -> None:
    """Fills in the calculations that the steps of a path imply, in place.

    Args:
        steps: Steps of a path without calculations.
        problem: The problem's text.
    """
    given = list(problem_quantities(problem))
    said: list[float] = []
    for step in steps:
        numbers = problem_quantities(step.answer)
        if not numbers or step.kind in (CHECK, RETRACTED):
            continue
        *before, value = numbers
        known = [*said, *before]
        if value not in given and value not in known:
            found = _made_of(value, known[-_LATEST:][::-1], given[:_LATEST])
            if found is not None:
                step.calculations = (found,)
                step.answer = canonical(value)
                step.quantities = tuple(canonical(x) for x in found.operands)
                step.operation = found.operation
        said += numbers


def _made_of(value: float, said: Sequence[float], given: Sequence[float]) -> Calculation | None:
    """Returns the operation on two of the numbers that gives a value; numbers of the path before those of the problem."""
    pool = [*said, *given]
    for i, a in enumerate(pool):
        for b in pool[i + 1 :]:
            for x, op, y, result in (
                (a, "+", b, a + b),
                (a, "*", b, a * b),
                (max(a, b), "-", min(a, b), abs(a - b)),
                (a, "/", b, a / b if b else 0.0),
                (b, "/", a, b / a if a else 0.0),
            ):
                if same_value(result, value) and 1.0 not in ((x, y) if op in "*/" else ()):
                    text = f"{canonical(x)}{op}{canonical(y)}={canonical(value)}"
                    return Calculation(value, (x, y), op, text)
    return None
