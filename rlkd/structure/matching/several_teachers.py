"""Several teacher paths as one graph of sub-problems: any branch that a teacher takes counts.

The paper's idea is that a path is one walk through a tree of sub-problems, and that a teacher could have taken others
(section 1). Where two teacher paths come to the same sub-problem in different ways, a student may take either way, each
time anew: the walks through the merged graph are as good references as the teachers' own paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rlkd.structure.graph import PathGraph
from rlkd.structure.interfaces import StepRef, Walk
from rlkd.structure.judges.rules import judge_steps
from schemas.structure import ReasoningStep, Structure

MAX_WALKS = 16
"""Walks that are kept beside the teachers' own paths; the number of all walks can grow without bound."""
_MAX_TRIED = 512
_SAME = 0.5
"""Probability from which two steps of different teachers are the same sub-problem with the same answer."""


def other_walks(teachers: Sequence[PathGraph]) -> list[Walk]:
    """Returns the walks through the merged graph of several teacher paths that none of them took.

    They do not depend on a student, so that nothing a student adds can bring a better reference into being. Whether
    two teachers came to the same sub-problem is for the rules to say, whatever judges the student: no model is asked.

    Args:
        teachers: The teacher paths.

    Returns:
        At most ``MAX_WALKS``; none where the paths share no sub-problem that they come to in different ways.
    """
    merged = _Merged(teachers)
    own = {frozenset(merged.way[k, i] for i in range(len(t.steps))) for k, t in enumerate(teachers)}
    found: list[Walk] = []
    for base in range(len(teachers)):
        for chosen in merged.walks(base):
            ways = frozenset(merged.way[place] for place in chosen.values())
            order = merged.order(chosen)
            if ways in own or order is None:
                continue
            own.add(ways)
            found.append(_walk(order, teachers, merged))
            if len(found) == MAX_WALKS:
                return found
    return found


class _Merged:
    """The graph: sub-problems, and the ways in which the teachers come to each.

    Attributes:
        node: The sub-problem of each step.
        members: The steps of each sub-problem, at most one a teacher.
        way: How a step comes to its sub-problem; equal for two steps that do so in the same way.
    """

    def __init__(self, teachers: Sequence[PathGraph]) -> None:
        self.teachers = teachers
        self.node: dict[StepRef, int] = {}
        self.members: list[list[StepRef]] = []
        for k, teacher in enumerate(teachers):
            for i, step in enumerate(teacher.steps):
                node = self._find(k, step)
                self.node[k, i] = node
                self.members[node].append((k, i))
        self.before = {place: self._before(*place) for place in self.node}
        self.way = {place: self._way(place) for place in self.node}

    def _find(self, k: int, step: ReasoningStep) -> int:
        for node, members in enumerate(self.members):
            first, index = members[0]
            if first != k and all(teacher != k for teacher, _ in members):
                verdict = judge_steps(
                    self.teachers[first].steps[index], step, problem=self.teachers[first].problem
                )
                if min(verdict.p_intent, verdict.p_sub_problem, verdict.p_answer) >= _SAME:
                    return node
        self.members.append([])
        return len(self.members) - 1

    def _before(self, k: int, i: int) -> list[StepRef]:
        """The steps that a step uses; in a path that shows no dependencies, the step before it."""
        depends = self.teachers[k].depends
        if any(depends):
            return [(k, d) for d in depends[i]]
        return [(k, i - 1)] if i else []

    def _way(self, place: StepRef) -> tuple[object, ...]:
        k, i = place
        step = self.teachers[k].steps[i]
        used = frozenset(self.node[before] for before in self.before[place])
        calculations = tuple((c.operation, tuple(sorted(c.operands))) for c in step.calculations)
        return self.node[place], used, calculations

    def walks(self, base: int) -> Iterator[dict[int, StepRef]]:
        """Ways to reach what a teacher's path ends in: for each sub-problem on the way, the step that solves it."""
        used = {place for i in range(len(self.teachers[base].steps)) for place in self.before[base, i]}
        ends = [self.node[base, i] for i in range(len(self.teachers[base].steps)) if (base, i) not in used]
        states: list[tuple[dict[int, StepRef], list[int]]] = [({}, ends)]
        for _ in range(_MAX_TRIED):
            if not states:
                return
            chosen, open_ = states.pop()
            open_ = [node for node in open_ if node not in chosen]
            if not open_:
                yield chosen
                continue
            node, rest = open_[-1], open_[:-1]
            ways: dict[tuple[object, ...], StepRef] = {}
            for place in self.members[node]:
                ways.setdefault(self.way[place], place)
            for place in reversed(ways.values()):
                states.append(({**chosen, node: place}, rest + [self.node[b] for b in self.before[place]]))

    def order(self, chosen: dict[int, StepRef]) -> list[StepRef] | None:
        """The chosen steps, each after those that it uses; ``None`` where they go round in a circle."""
        ordered: list[StepRef] = []
        state: dict[int, bool] = {}  # false while a sub-problem is under way, true when it is in its place

        def visit(node: int) -> bool:
            if node in state:
                return state[node]
            state[node] = False
            if not all(visit(self.node[b]) for b in self.before[chosen[node]]):
                return False
            state[node] = True
            ordered.append(chosen[node])
            return True

        for node in sorted(chosen, key=lambda node: (chosen[node][1], chosen[node][0])):
            if not visit(node):
                return None
        return ordered


def _walk(order: list[StepRef], teachers: Sequence[PathGraph], merged: _Merged) -> Walk:
    index = {merged.node[place]: i for i, place in enumerate(order)}
    steps: list[ReasoningStep] = []
    for i, (k, step) in enumerate(order):
        depends = tuple(sorted(index[merged.node[k, d]] for d in teachers[k].depends[step]))
        steps.append(replace(teachers[k].steps[step], index=i, depends_on=depends))
    last = teachers[order[-1][0]].stated
    path = Structure(steps=tuple(steps), conclusion=last.conclusion, finding=last.finding)
    return Walk(PathGraph(path, teachers[0].problem), tuple(order))
