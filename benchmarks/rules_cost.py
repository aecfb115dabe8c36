"""What the structure reward costs by rules alone: completions a second on one core, and where the time goes; no model.

Usage: ``python benchmarks/rules_cost.py [--completions 4096]``
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections.abc import Callable

from rlkd.structure.backends.cached import CachedDecomposer
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import ScoreItem, StructureScorer

GROUP = 8
"""Completions of one problem."""


def prose(rng: random.Random, steps: int = 8) -> tuple[str, str]:
    """A word problem and a path of eight calculations in plain prose."""
    names = ["apples", "boxes", "coins", "pencils", "tickets", "miles", "pages", "eggs"]
    value = rng.randint(2, 20)
    problem, lines = [f"Mia starts with {value} {names[0]}."], []
    for name in (names[i % len(names)] for i in range(steps)):
        change, sign = rng.randint(2, 9), rng.choice("+*")
        new = value + change if sign == "+" else value * change
        problem.append(f"Then {change} more {name} are counted.")
        lines.append(f"Next we count the {name}: {value} {sign} {change} = {new} {name}.")
        value = new
    return " ".join(problem) + " How many are there?", " ".join(lines) + f" The answer is {value}."


def rules_part(count: int) -> dict[str, float]:
    """Completions a second on one core, by rules, and where the time goes."""
    rng = random.Random(1)
    drawn = [prose(rng) for _ in range(count // GROUP)]
    students = [prose(rng)[1] if rng.random() < 0.5 else path for _, path in drawn for _ in range(GROUP)]
    students = [text.replace("Next", f"Next ({i})", 1) for i, text in enumerate(students)]
    problems = [problem for problem, _ in drawn for _ in range(GROUP)]
    decomposer = RulesDecomposer()
    teachers = asyncio.run(decomposer.decompose([PathItem(problem, path) for problem, path in drawn]))
    items = [
        ScoreItem(PathItem(problems[i], text), (t,))
        for i, text in enumerate(students)
        if (t := teachers[i // GROUP])
    ]
    scorer = StructureScorer()
    figures: dict[str, float] = {}
    figures["one by one, nothing cached"] = _rate(
        len(items), lambda: [scorer.score_now(item) for item in items]
    )
    figures["one by one, warm caches"] = _rate(
        len(items), lambda: [scorer.score_now(item) for item in items], cold=False
    )
    figures["in one batch, nothing cached"] = _rate(
        len(items), lambda: asyncio.run(StructureScorer().score(items))
    )
    paths = [item.student for item in items]
    figures["decompose to structures, nothing cached"] = _rate(
        len(items), lambda: asyncio.run(decomposer.decompose(paths))
    )
    cached = CachedDecomposer(decomposer)
    asyncio.run(cached.decompose(paths))
    figures["decompose to structures, warm cache"] = _rate(
        len(items), lambda: asyncio.run(cached.decompose(paths)), cold=False
    )
    return figures | {f"share of time: {name}": share for name, share in _profile(scorer, items).items()}


def _rate(count: int, run: Callable[[], object], cold: bool = True) -> float:
    if cold:
        _forget()
    start = time.process_time()
    run()
    return count / (time.process_time() - start)


def _forget() -> None:
    """Empties every cache of the structure package, so that nothing is remembered from an earlier pass."""
    for name, module in list(sys.modules.items()):
        if name.startswith("rlkd."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _profile(scorer: StructureScorer, items: list[ScoreItem]) -> dict[str, float]:
    """Shares of ``score_now``'s time by part, measured by calling the parts alone."""
    from rlkd.structure.decomposers.rules import decompose_text
    from rlkd.structure.graph import PathGraph
    from rlkd.structure.reading.path import read_path

    _forget()
    times = [time.process_time()]
    for item in items:
        read_path(item.student.path, 50_000, 256)
    times.append(time.process_time())
    structures = [decompose_text(item.student.path, problem=item.student.problem) for item in items]
    times.append(time.process_time())
    for item, structure in zip(items, structures, strict=True):
        PathGraph(structure, item.student.problem)
    times.append(time.process_time())
    read, decomposed, graph = (b - a for a, b in itertools.pairwise(times))
    whole = len(items) / _rate(len(items), lambda: [scorer.score_now(item) for item in items])
    shares = {
        "reading the path": read / whole,
        "steps as data": max(0.0, decomposed - read) / whole,
        "dependency graph": graph / whole,
    }
    return shares | {"alignment and score": max(0.0, 1 - sum(shares.values()))}


def show(figures: dict[str, float]) -> None:
    """Prints the figures."""
    print("\nrules, 8 steps a path, one core")
    for name, value in figures.items():
        print(f"{name:44} {value:8.0f} /s" if value > 1 else f"{name:44} {value:8.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--completions", type=int, default=4096, help="completions that are scored")
    show(rules_part(parser.parse_args().completions))
