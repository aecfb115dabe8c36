"""The ``rules`` decomposer: reads the steps of a path without a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from rlkd.quantities.numbers import canonical
from rlkd.quantities.signs import plain_signs, plain_text
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graphs.graph import build_graph, step_dependencies
from rlkd.structure.interfaces import PathItem
from rlkd.structure.reading.claims import CLAIM_STOP, THEREFORE, premises_of
from rlkd.structure.reading.path import MAX_CHARS, MAX_STEPS, RawStep, read_path, step_texts
from schemas.config.structure import CacheConfig, RulesDecomposerConfig
from schemas.structure import CHECK, RETRACTED, Calculation, ReasoningStep, Structure

VERSION = "rules@3"
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
        The structure; without steps where the path has none. Its texts are in plain signs (``１２ ∗ ５`` is ``12 * 5``), its
        spans point into the path as it is.
    """
    plain = plain_text(path[:max_chars])
    text = plain.text
    problem = plain_signs(problem)
    raw = read_path(text, len(text), max_steps)
    made = [tuple(calc.finished() for calc in step.calcs) for step in raw]
    texts = [step_texts(text, step, problem) for step in raw]
    depends, premises = _dependencies(raw, made, [said for _, _, said in texts], problem)
    spans = [plain.span(step.start, step.end) for step in raw]
    steps = tuple(
        ReasoningStep(
            index=i,
            meta=meta,
            sub_problem=sub_problem,
            answer=_answer_of(text, step) if step.calcs else said,
            quantities=premises[i] or _quantities(step),
            operation=THEREFORE if premises[i] else _operation(step),
            depends_on=tuple(depends[i]),
            start=span[0],
            end=span[1],
            kind=step.kind,
            calculations=made[i],
        )
        for i, (step, (meta, sub_problem, said), span) in enumerate(zip(raw, texts, spans, strict=True))
    )
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return Structure(steps=steps, decomposer=VERSION, path_sha256=digest)


def _dependencies(
    raw: Sequence[RawStep], made: Sequence[Sequence[Calculation]], texts: Sequence[str], problem: str
) -> tuple[Sequence[Sequence[int]], Sequence[tuple[str, ...]]]:
    """Returns for each step the earlier ones that it uses; in a path in words with the claims that it follows from."""
    finding = [
        (i, calculation)
        for i, step in enumerate(raw)
        if step.kind not in (CHECK, RETRACTED)
        for calculation in made[i]
    ]
    if any(made):
        graph = build_graph(finding, problem_quantities(problem))
        return step_dependencies(graph, len(raw)), [()] * len(raw)
    depends = premises_of(texts, CLAIM_STOP)
    return depends, [tuple(texts[k] for k in own) for own in depends]


def _quantities(step: RawStep) -> tuple[str, ...]:
    """Returns what a step's calculations work from, each once."""
    if not step.calcs:
        return ()
    return tuple(dict.fromkeys(quantity for calc in step.calcs for quantity in calc.quantities()))


def _operation(step: RawStep) -> str:
    """Returns the distinct operators of a step's calculations, in order."""
    if len(step.calcs) == 1:
        return step.calcs[0].ops
    return "".join(dict.fromkeys("".join(calc.ops for calc in step.calcs)))


def _answer_of(path: str, step: RawStep) -> str:
    """Returns the result of a step's last calculation with its unit."""
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
