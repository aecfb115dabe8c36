"""The ``rules`` decomposer: reads the steps of a path without a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from rlkd.quantities.numbers import canonical
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graphs.views import Prepared, View, prepare_raw
from rlkd.structure.interfaces import PathItem
from rlkd.structure.reading.path import MAX_CHARS, MAX_STEPS, RawStep, read_path
from schemas.config.structure import CacheConfig, RulesDecomposerConfig
from schemas.structure import ReasoningStep, Structure

VERSION = "rules@2"
_UNIT = re.compile(r" ?([A-Za-z]{2,20})")
_RESULT = re.compile(r" *[$£€]?-?\d[\d,]*(?:\.\d+)?\s?%?")


def decompose_text(
    path: str, domain: str = "math", problem: str = "", max_chars: int = MAX_CHARS, max_steps: int = MAX_STEPS
) -> Structure:
    """Reads the steps of a path.

    Args:
        path: The reasoning text.
        domain: Accepted for symmetry with other decomposers; the rules read every domain alike.
        problem: The problem's text; its quantities tell a result from a given number.
        max_chars: Characters that are read.
        max_steps: Steps that are read.

    Returns:
        The structure; without steps where the path has none.
    """
    raw = read_path(path, max_chars, max_steps)
    prepared = prepare_raw(path, raw, problem_quantities(problem), problem)
    return Structure(
        steps=describe_steps(path, raw, prepared),
        decomposer=VERSION,
        path_sha256=hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def describe_steps(path: str, raw: Sequence[RawStep], prepared: Prepared) -> tuple[ReasoningStep, ...]:
    """The full form of the steps that were read.

    Args:
        path: The path that they were read from.
        raw: The steps.
        prepared: The same steps, prepared with the problem's text.
    """
    both = zip(raw, prepared.views, prepared.depends, strict=True)
    return tuple(_describe(path, step, view, depends) for step, view, depends in both)


def _describe(path: str, step: RawStep, view: View, depends: list[int]) -> ReasoningStep:
    answer = answer_of(path, step, view)
    if not step.calcs:
        return ReasoningStep(
            index=view.index, meta=view.meta, sub_problem=view.text, answer=answer,
            quantities=view.quantities, operation=view.operation, depends_on=tuple(depends), start=step.start, end=step.end, kind=step.kind,
        )  # fmt: skip
    operands = tuple(dict.fromkeys(q for c in step.calcs for q in c.quantities()))
    return ReasoningStep(
        index=view.index,
        meta=view.meta,
        sub_problem=view.text,
        answer=answer,
        quantities=operands,
        operation="".join(dict.fromkeys("".join(c.ops for c in step.calcs))),
        depends_on=tuple(depends),
        start=step.start,
        end=step.end,
        kind=step.kind,
        calculations=tuple(c.render() for c in step.calcs),
    )


def answer_of(path: str, step: RawStep, view: View) -> str:
    """What a step that was read answers: the result of its last calculation with its unit, or what it claims."""
    if not step.calcs:
        return view.answer
    calc = step.calcs[-1]
    if calc.source and calc.symbolic:
        return calc.source
    value = f"{canonical(calc.value * 100)}%" if calc.percent else canonical(calc.value)
    at = calc.end
    if path.startswith(">>", at - 2):
        repeated = _RESULT.match(path, at)
        at = repeated.end() if repeated else at
    unit = _UNIT.match(path, at)
    return f"{value} {unit.group(1)}" if unit else value


class RulesDecomposer:
    """Reads steps by rules; never missing."""

    name = VERSION

    def __init__(self, config: RulesDecomposerConfig | None = None) -> None:
        self.config = config or RulesDecomposerConfig()

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order."""
        return [
            decompose_text(item.path, item.domain, item.problem, self.config.max_chars, self.config.max_steps)
            for item in items
        ]


def build(config: RulesDecomposerConfig, cache: CacheConfig) -> RulesDecomposer:
    """Builds the decomposer; reading again is cheaper than a cache."""
    return RulesDecomposer(config)
