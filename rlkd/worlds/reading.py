"""Reading paths back: steps and their dependencies, the stated answer, and whether steps are right."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.worlds.domain import Domain
from rlkd.worlds.graph import Graph
from rlkd.worlds.paths import NOTHING, gap_line
from schemas.structure import ReasoningStep, Structure

_VERSION = 2
_SENTENCE = re.compile(r"[^.\n]+")
_PLAN = re.compile(r"\s*(To find (\w+), I need (\w+)(?: and (\w+))?)\s*\Z")
_SOLVE = re.compile(r"\s*(So (\w+): (.+?) is (\w+))\s*\Z")
_GAP = re.compile(r"\s*(So (\w+): .+ is missing)\s*\Z")
_ANSWER = re.compile(r"The answer is (\w+)\b")


@dataclass(frozen=True)
class Line:
    """One sentence that could be read: a plan (no ``value``), a solution, or a gap (an input is missing)."""

    text: str
    name: str
    inputs: tuple[str, ...]
    start: int
    end: int
    op: str = ""
    values: tuple[str, ...] = ()
    constant: str = ""
    value: str = ""
    gap: bool = False


def read_lines(world: Domain, path: str) -> list[Line]:
    """The plans, solutions and gaps of a path, in order; anything else is skipped."""
    lines: list[Line] = []
    for sentence in _SENTENCE.finditer(path):
        plan = _PLAN.match(sentence[0])
        if plan:
            inputs = tuple(i for i in plan.group(3, 4) if i and i != NOTHING)
            start = sentence.start() + plan.start(1)
            lines.append(Line(plan[1], plan[2], inputs, start, sentence.start() + plan.end(1)))
            continue
        gap = _GAP.match(sentence[0])
        if gap:
            start, end = sentence.start() + gap.start(1), sentence.start() + gap.end(1)
            lines.append(Line(gap[1], gap[2], (), start, end, gap=True))
            continue
        solve = _SOLVE.match(sentence[0])
        if not solve:
            continue
        for op in world.ops.values():
            match = op.pattern.fullmatch(solve[3])
            if match:
                names, values, constant = op.operands(match)
                start, end = sentence.start() + solve.start(1), sentence.start() + solve.end(1)
                lines.append(Line(solve[1], solve[2], names, start, end, op.name, values, constant, solve[4]))
                break
    return lines


def decompose(world: Domain, path: str, problem: str = "") -> Structure:
    """The structure of a path: one step for each solution, with the plan before it as its meta-reasoning, and the stated word.

    A step depends on the latest earlier steps that found its inputs. A quantity that is solved again
    is a step of kind ``check``; noticing that an input is missing is no step.
    """
    steps: list[ReasoningStep] = []
    plans: dict[str, str] = {}
    found: dict[str, int] = {}
    for line in read_lines(world, path):
        if line.gap:
            continue
        if not line.value:
            plans[line.name] = line.text
            continue
        constant = (line.constant,) if line.constant else ()
        steps.append(
            ReasoningStep(
                index=len(steps),
                meta=plans.get(line.name, ""),
                sub_problem=world.question.format(a=line.name),
                answer=line.value,
                quantities=(*line.inputs, *line.values, *constant),
                operation=line.op,
                depends_on=tuple(sorted({found[i] for i in line.inputs if i in found})),
                start=line.start,
                end=line.end,
                kind="check" if line.name in found else "step",
            )
        )
        found[line.name] = len(steps) - 1
    return Structure(
        steps=tuple(steps),
        conclusion="" if world.numeric else read_answer(path) or "",
        finding=_finding(steps, problem),
        decomposer=f"world:{world.name}@{_VERSION}",
        path_sha256=hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def _finding(steps: Sequence[ReasoningStep], problem: str) -> str | None:
    """What the last step finds that answers the problem's question."""
    if not problem:
        return None
    asked = problem.rstrip()
    return next((step.answer for step in reversed(steps) if asked.endswith(step.sub_problem)), "")


def read_answer(path: str) -> str | None:
    """The last stated final answer of a path, or ``None``."""
    found = _ANSWER.findall(path)
    return found[-1] if found else None


def check_steps(world: Domain, graph: Graph, path: str) -> tuple[int, int]:
    """How many plans, solutions and gaps are right, and how many there are."""
    nodes = graph.by_name()
    known = {n.name: n.value for n in graph.nodes if not n.op}
    right = total = 0
    for line in read_lines(world, path):
        total += 1
        node = nodes.get(line.name)
        good = node is not None and sorted(line.inputs) == sorted(node.inputs)
        if line.gap:
            unknown = node is not None and any(i not in known for i in node.inputs)
            good = unknown and node is not None and gap_line(world, node, known) == f"{line.text}."
        if line.value:
            good = good and node is not None and (line.op, line.inputs) == (node.op, node.inputs)
            good = good and line.constant == node.constant if node is not None else False
            good = good and all(known.get(i) == v for i, v in zip(line.inputs, line.values, strict=True))
            good = good and all(v in world.values for v in line.values)
            good = good and world.ops[line.op].compute(line.values, line.constant) == line.value
            known[line.name] = line.value
        right += good
    return right, total
