"""The changed forms of a right path, and what a good score makes of each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from rlkd.qualification import changes
from rlkd.qualification.paraphrase import paraphrase
from rlkd.qualification.world_changes import WorldChanges
from rlkd.quantities.stated import problem_quantities
from schemas.qualification import ChangeName, Expected, LabelledPair

_EPSILON = 1e-9

EXPECTED: Mapping[ChangeName, Expected] = {
    "paraphrased": "stays",
    "steps_swapped": "stays",
    "step_scrambled": "falls",
    "irrelevant_inserted": "does not rise",
    "irrelevant_in_wrong": "does not rise",
    "step_repeated": "does not rise",
    "path_repeated": "does not rise",
    "problem_copied": "does not rise",
    "judge_addressed": "does not rise",
    "value_wrong": "falls",
    "end_wrong": "falls",
    "last_step_only": "falls",
    "second_half_only": "falls",
    "empty": "is 0",
}
"""What a good score does under each change."""
OF_TEACHER: frozenset[ChangeName] = frozenset({"end_wrong", "last_step_only", "second_half_only"})
"""Changes that are made to the teacher's own path."""


@dataclass(frozen=True)
class Variant:
    """One change of one path.

    Attributes:
        name: The change.
        before: The path.
        after: The path, changed.
    """

    name: ChangeName
    before: str
    after: str


def as_expected(expected: Expected, before: float, after: float, same: float) -> bool:
    """Tells whether a score did what it should.

    Args:
        expected: What it should do.
        before: Score of the path.
        after: Score of the changed path.
        same: Difference up to which a score stays.
    """
    if expected == "falls":
        return after < before - _EPSILON
    if expected == "stays":
        return abs(after - before) <= same + _EPSILON
    if expected == "does not rise":
        return after <= before + _EPSILON
    return after <= _EPSILON


def variants(pair: LabelledPair, rng: random.Random) -> list[Variant]:
    """Makes every change that can be made to a right path; those of ``OF_TEACHER`` are made to the teacher's own path,
    ``judge_addressed`` and ``irrelevant_in_wrong`` to one with a wrong value.

    Args:
        pair: A pair whose student's path is right.
        rng: Where a change has a choice (which step, which value).
    """
    from rlkd.worlds import world_names

    path, teacher = pair.student, pair.teachers[0]
    if pair.domain in world_names():
        found = _in_world(pair, rng)
    else:
        found = {
            "paraphrased": paraphrase(path),
            "steps_swapped": changes.swap_independent(path, rng),
            "step_scrambled": changes.scramble_dependent(path, problem_quantities(pair.problem), rng),
            "irrelevant_inserted": changes.insert_irrelevant(path, problem_quantities(pair.problem), rng),
            "step_repeated": changes.repeat_step(path, rng),
            "value_wrong": changes.wrong_value(path, rng),
            "end_wrong": changes.wrong_end(teacher, rng),
            "last_step_only": changes.last_step_only(teacher),
            "second_half_only": changes.second_half_only(teacher),
        }
    found["path_repeated"] = changes.repeat_path(path)
    found["problem_copied"] = changes.copy_prompt(path, pair.problem)
    found["empty"] = ""
    # A right path can hardly rise: what is said to the judge is said in one that has gone wrong, where there is one.
    lost = found["value_wrong"] or path
    found["judge_addressed"] = changes.address_judge(lost)
    if found["value_wrong"] is not None:
        found["irrelevant_in_wrong"] = _padded(pair, lost, rng)
    before = {**dict.fromkeys(OF_TEACHER, teacher), "judge_addressed": lost, "irrelevant_in_wrong": lost}
    return [
        Variant(name, before.get(name, path), changed)
        for name in EXPECTED
        if (changed := found.get(name)) is not None
    ]


def _padded(pair: LabelledPair, path: str, rng: random.Random) -> str | None:
    from rlkd.worlds import world_names

    if pair.domain in world_names():
        return WorldChanges(pair.domain).insert_irrelevant(path, pair.problem, rng)
    return changes.insert_irrelevant(path, problem_quantities(pair.problem), rng)


def _in_world(pair: LabelledPair, rng: random.Random) -> dict[ChangeName, str | None]:
    world, path = WorldChanges(pair.domain), pair.student
    return {
        "paraphrased": world.paraphrase(path),
        "steps_swapped": world.swap_independent(path, rng),
        "step_scrambled": world.scramble_dependent(path, rng),
        "irrelevant_inserted": world.insert_irrelevant(path, pair.problem, rng),
        "step_repeated": world.repeat_step(path, rng),
        "value_wrong": world.wrong_value(path, rng),
        "end_wrong": world.wrong_end(pair.teachers[0], rng),
        "last_step_only": world.last_step_only(pair.teachers[0]),
        "second_half_only": world.second_half_only(pair.teachers[0]),
    }
