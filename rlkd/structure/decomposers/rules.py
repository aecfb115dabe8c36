"""The ``rules`` decomposer: reads the steps of a path without a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import cast

from rlkd.answers.gsm8k import MARK_END
from rlkd.quantities.numbers import canonical
from rlkd.quantities.signs import PLAIN, plain_signs, plain_text
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graph import graph_of, step_dependencies
from rlkd.structure.interfaces import PathItem
from rlkd.structure.reading.calculation import Found, written
from rlkd.structure.reading.path import MAX_CHARS, MAX_STEPS, read_path, step_texts
from rlkd.structure.reading.words.claims import CLAIM_STOP, THEREFORE, premises_of
from rlkd.structure.reading.words.conclusions import WORDED, read_conclusion
from rlkd.structure.reading.words.dates import HAS_DATE
from rlkd.structure.reading.words.implied import add_implied
from schemas.config.structure import CacheConfig, RulesDecomposerConfig
from schemas.structure import ReasoningStep, Structure

VERSION = "rules@6"
_END = 200
"""Characters at the end of a path that calculates in which an answer that is no number would stand."""
_UNIT = re.compile(r" ?([A-Za-z]{2,20})")
_RESULT = re.compile(r" *[$£€]?-?\d[\d,]*(?:\.\d+)?\s?%?")


def decompose_text(
    path: str,
    problem: str = "",
    max_chars: int = MAX_CHARS,
    max_steps: int = MAX_STEPS,
) -> Structure:
    """Reads the steps of a path.

    Args:
        path: The reasoning text.
        problem: The problem's text; its quantities tell a result from a given number.
        max_chars: Characters that are read.
        max_steps: Steps that are read.

    Returns:
        The structure; without steps where the path has none. Its texts are in plain signs (``１２ ∗ ５`` is ``12 * 5``), its
        spans point into the path as it is.
    """
    text = path[:max_chars]
    plain = None if PLAIN.match(text) else plain_text(text)
    text = text if plain is None else plain.text
    problem = problem if PLAIN.match(problem) else plain_signs(problem)
    steps = read_path(text, len(text), max_steps)
    said: list[str] = []
    for i, step in enumerate(steps):
        calcs = cast(tuple[Found, ...], step.calculations)
        step.index = i
        step.meta, step.sub_problem, rest = step_texts(text, step, problem)
        said.append(rest)
        step.answer = _answer_of(text, calcs[-1]) if calcs else rest
        step.quantities = tuple(dict.fromkeys(quantity for calc in calcs for quantity in calc.quantities()))
        step.operation = (
            calcs[0].operation
            if len(calcs) == 1
            else "".join(dict.fromkeys("".join(calc.operation for calc in calcs)))
        )
        step.calculations = tuple(calc.finished() for calc in calcs)
    worded = not any(step.calculations for step in steps)
    ended = worded or WORDED.search(text, max(0, len(text) - _END))
    conclusion = read_conclusion(text) if ended and steps else ""
    if worded and _may_imply(text, conclusion):
        add_implied(steps, problem)
    _link(steps, said, problem)
    if plain is not None:
        for step in steps:
            step.start, step.end = plain.span(step.start, step.end)
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return Structure.model_construct(
        steps=tuple(steps), conclusion=conclusion, decomposer=VERSION, path_sha256=digest
    )


def _may_imply(text: str, conclusion: str) -> bool:
    """Whether the sentences of a path in words may imply calculations: it concludes no verdict, date, relation or name, and names no date.

    A stated answer that was cut off the path is not asked: "Tom has three apples. He buys two. So he has five apples." was worth 0 without
    an answer and 0.99 before "#### 9". The days of 05/30/2021 and 05/31/2021 are no numbers: with dates read so AUROC on them was 0.82, not 0.96.
    """
    return conclusion.startswith("(") if conclusion else HAS_DATE.search(text) is None


def _link(steps: Sequence[ReasoningStep], said: Sequence[str], problem: str) -> None:
    """Fills in which earlier steps each uses; in a path in words the claims that it follows from."""
    if any(step.calculations for step in steps):
        graph = graph_of(steps, problem_quantities(problem))
        for step, depends in zip(steps, step_dependencies(graph, len(steps)), strict=True):
            step.depends_on = tuple(depends)
        return
    for step, depends in zip(steps, premises_of(said, CLAIM_STOP), strict=True):
        step.depends_on = tuple(depends)
        if depends:
            step.quantities, step.operation = tuple(said[k] for k in depends), THEREFORE


def _answer_of(path: str, calc: Found) -> str:
    """Returns the result of a step's last calculation with its unit."""
    if calc.source and calc.symbolic:
        return calc.source
    if calc.percent:
        value = f"{canonical(calc.value * 100)}%"
    else:
        value = written(calc.value) if calc.value % 1.0 == 0 else canonical(calc.value)
    at = calc.end
    if path.startswith(MARK_END, at - len(MARK_END)):
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
            decompose_text(item.path, item.problem, self.config.max_chars, self.config.max_steps)
            for item in items
        ]


def build(config: RulesDecomposerConfig, cache: CacheConfig) -> RulesDecomposer:
    """Builds the decomposer; reading again is cheaper than a cache."""
    return RulesDecomposer(config)
