"""Disjoint splits of world problems: train, validation, test, and a deeper test."""

from __future__ import annotations

import random
from typing import get_args

from rlkd.errors import WorldError
from rlkd.worlds.registry import get_world, register_worlds
from schemas.config.world import WorldSettings
from schemas.problem import Problem, Split

_TRIES_PER_PROBLEM = 50


def make_splits(settings: WorldSettings, seed: int) -> dict[Split, list[Problem]]:
    """Draw every split; no graph occurs twice, within a split or across splits.

    Train, validation and test share their difficulty; ``ood`` has deeper graphs. Each split has its
    own random stream, so that changing the size of one changes no problem of those drawn before it.

    Args:
        settings: Domains, difficulty and sizes.
        seed: The same seed gives the same problems.

    Raises:
        WorldError: If the settings cannot be met, or allow too few different problems.
    """
    register_worlds(settings)
    worlds = [(get_world(name), share) for name, share in sorted(settings.domains.items()) if share > 0]
    sizes: dict[Split, int] = {
        "test": settings.n_test,
        "ood": settings.n_ood,
        "validation": settings.n_validation,
        "train": settings.n_train,
    }
    seen: set[str] = set()
    splits: dict[Split, list[Problem]] = {}
    for split, size in sizes.items():
        rng = random.Random(f"{seed}:{split}")
        steps = settings.ood_steps if split == "ood" else settings.steps
        problems: list[Problem] = []
        for _ in range(size * _TRIES_PER_PROBLEM):
            if len(problems) == size:
                break
            world = rng.choices([w for w, _ in worlds], [share for _, share in worlds])[0]
            graph = world.generate(rng, settings, rng.randint(steps.min, steps.max))
            if graph.key() not in seen:
                seen.add(graph.key())
                problems.append(world.to_problem(graph, split))
        if len(problems) < size:
            raise WorldError(
                f"the world's settings allow too few different problems: {split} needs {size} and only "
                f"{len(problems)} new ones were found; ask for fewer, or for more steps or distractors"
            )
        splits[split] = problems
    return {split: splits[split] for split in get_args(Split)}
