"""The structure of a reasoning path: its steps and what each depends on (paper, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict, model_validator

from schemas.base import Count, Schema

CHECK = "check"
"""Kind of a step that verifies earlier ones and finds nothing new."""
RETRACTED = "retracted"
"""Kind of a step that a later one takes back and stands in for."""


@dataclass(slots=True)
class Calculation:
    """One calculation that a path makes, as data: what judges and alignments compare, read off the text once.

    Like a step, it is checked where a :class:`Structure` is read from a file, not where the rules make it (a seventh of the time of a score).

    ``She sells 16 - 3 - 4 = 9 eggs`` is value 9, operands (16, 3, 4), operation ``-``, text ``16-3-4=9``.

    Attributes:
        value: The stated value (computed where none is stated), without the noise of floating point.
        operands: The numbers, and the stand-ins of variables, that it works from, signs dropped.
        operation: Its distinct operators, in order of appearance (``*-``).
        text: How it is shown to people; nothing reads it back.
        holds: Whether its arithmetic is right.
        percent: Whether the value was stated as a percentage (and is the fraction here).
        symbolic: Whether a variable takes part.
        equation_key: For a solution (``x = 3``) the value that equations equivalent to it have; else ``None``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    value: float
    operands: tuple[float, ...] = ()
    operation: str = ""
    text: str = ""
    holds: bool = True
    percent: bool = False
    symbolic: bool = False
    equation_key: float | None = None


@dataclass(slots=True)
class ReasoningStep:
    """One step of a path: why this comes next, the sub-problem, and its answer.

    Attributes:
        index: Position among the steps of the path, from 0.
        meta: Meta-reasoning: why this sub-problem comes next, without its answer; may be empty.
        sub_problem: The sub-problem, as one question or as the text that states it.
        answer: The sub-problem's answer: short, no reasoning; empty where the step states none.
        quantities: The quantities (as canonical text, e.g. ``"16"``) or premises that it uses.
        operation: The operation or relation (``+``, ``-``, ``*``, ``/``, ``and``, ...); may be empty.
        depends_on: Indices of earlier steps whose answers it uses, ascending.
        start: Where it starts in the source path, in code points.
        end: Where it ends (exclusive), in code points.
        kind: ``step``; ``check`` where it verifies earlier steps and finds nothing new; ``retracted`` where a later step takes
            it back and stands in its place.
        calculations: The calculations that it makes, in order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    index: Count
    meta: str = ""
    sub_problem: str = ""
    answer: str = ""
    quantities: tuple[str, ...] = ()
    operation: str = ""
    depends_on: tuple[int, ...] = ()
    start: Count = 0
    end: Count = 0
    kind: str = "step"
    calculations: tuple[Calculation, ...] = ()


class Structure(Schema):
    """The steps of one path.

    Attributes:
        steps: In the order of the path; ``steps[i].index == i``.
        conclusion: What the path concludes, where that is no number: ``yes``, ``(b)``, ``2002-07-28``; empty where it is one, or
            where it is the answer of the last step.
        stated: The stated answer, where it was cut off the text that was read.
        finding: What the steps themselves find for the problem's question, where the decomposer knows it: empty where no step comes to it,
            ``None`` where that is not known.
        decomposer: Name and version of what read it, for example ``rules@2``.
        path_sha256: Digest of the path's text.
        trace_id: The teacher trace that it was read from; empty for a student path.
        problem_id: The problem; empty where unknown.
    """

    steps: tuple[ReasoningStep, ...] = ()
    conclusion: str = ""
    stated: str = ""
    finding: str | None = None
    decomposer: str = ""
    path_sha256: str = ""
    trace_id: str = ""
    problem_id: str = ""

    @model_validator(mode="after")
    def _indices_and_dependencies(self) -> Structure:
        for i, step in enumerate(self.steps):
            if step.index != i:
                raise ValueError(f"step {i} has index {step.index}; indices must run 0, 1, 2, ...")
            if any(d >= i or d < 0 for d in step.depends_on):
                raise ValueError(f"step {i} depends on {step.depends_on}; only earlier steps may be named")
        return self
