"""Which problems RL practises on, with whose teachers, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlkd.data.drawn import Pair
from rlkd.errors import DataError
from rlkd.io import iter_rows
from rlkd.student.prompts import PromptBook
from schemas.problem import Problem
from schemas.structure import Structure


def read_structures(folder: Path) -> dict[str, Structure]:
    """Teacher structures by trace id."""
    return {row.trace_id: row for row in iter_rows(folder / "structures.jsonl", Structure)}


@dataclass(frozen=True)
class Practice:
    """What RL works on.

    Attributes:
        problems: Problems with at least one usable teacher path.
        teachers: Structures of their teacher paths, by problem id.
        long_prompts: Problems skipped because their prompt exceeds ``student.max_prompt_tokens``.
        without_structure: Problems skipped because no teacher path of theirs has a step.
        paths: Their teacher paths as text, by problem id.
    """

    problems: list[Problem]
    teachers: dict[str, list[Structure]]
    long_prompts: int
    without_structure: int
    paths: dict[str, list[str]] = field(default_factory=dict)


def choose_problems(book: PromptBook, pairs: Sequence[Pair], structures: dict[str, Structure]) -> Practice:
    """The problems of the drawn traces that can be practised on.

    Raises:
        DataError: None is left.
    """
    problems: dict[str, Problem] = {}
    teachers: dict[str, list[Structure]] = {}
    paths: dict[str, list[str]] = {}
    for problem, trace in pairs:
        problems[problem.id] = problem
        paths.setdefault(problem.id, []).append(trace.path)
        structure = structures.get(trace.id)
        if structure is not None and structure.steps:
            teachers.setdefault(problem.id, []).append(structure)
    taught = [problem for problem in problems.values() if problem.id in teachers]
    kept = [problem for problem in taught if book.fits(book.encode(problem.question))]
    if not kept:
        raise DataError(
            f"no problem is left to practise on: of {len(problems)}, {len(problems) - len(taught)} have no teacher path with a step and "
            f"{len(taught) - len(kept)} a prompt over student.max_prompt_tokens ({book.student.max_prompt_tokens})"
        )
    return Practice(kept, teachers, len(taught) - len(kept), len(problems) - len(taught), paths)


def shuffle_teachers(practice: Practice, seed: int) -> Practice:
    """Gives every problem the teachers of another one: each is used once, none by its own problem.

    Raises:
        DataError: There is only one problem.
    """
    ids = [problem.id for problem in practice.problems]
    if len(ids) < 2:
        raise DataError("rl.shuffle_teachers needs at least two problems to practise on; set it to false")
    random.Random(f"teachers/{seed}").shuffle(ids)
    others = dict(zip(ids, [*ids[1:], ids[0]], strict=True))
    return replace(
        practice,
        teachers={own: practice.teachers[other] for own, other in others.items()},
        paths={own: practice.paths[other] for own, other in others.items()},
    )


def problem_order(count: int, per_round: int, rounds: int, seed: int) -> list[int]:
    """Indices of the problems in the order of practice: one shuffled pass after another.

    A round never holds a problem twice while there are enough of them; what does not fill a round at the
    end of a pass waits for the next. A pure function of its arguments, so that a resumed run goes on where
    it stopped.
    """
    rng = random.Random(f"order/{seed}")
    order: list[int] = []
    whole = count - count % per_round if count >= per_round else count
    while len(order) < per_round * rounds:
        once = list(range(count))
        rng.shuffle(once)
        order.extend(once[:whole])
    return order[: per_round * rounds]
