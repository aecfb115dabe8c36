"""How often an added step raises the structure score by chance: random pairs of short paths on few small numbers.

Usage: ``python benchmarks/added_steps.py [--pairs 40000] [--seed 1]``

The step that is added gives no result of either path. The numbers are so few that steps meet by chance, which is what
this looks for; it prints how many of the pairs that could be made rise, and the largest rises.
"""

from __future__ import annotations

import argparse
import random
import sys

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import ScoreItem, StructureScorer

Step = tuple[int, str, int, int]
NUMBERS = [2, 3, 4, 5, 6, 7, 10, 12, 20]


def scored(scorer: StructureScorer, item: ScoreItem) -> float | None:
    """Returns the structure score alone."""
    found = scorer.score_now(item)
    return None if found is None else found.structure


def make_path(rng: random.Random, most: int, numbers: list[int], operators: str) -> list[Step]:
    """Steps on the given numbers and earlier results."""
    known = list(numbers)
    steps: list[Step] = []
    for _ in range(rng.randint(1, most)):
        a, b = rng.choice(known), rng.choice(known)
        op = rng.choice(operators)
        if op == "/" and (b == 0 or a % b):
            continue
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[op]
        if 0 < value < 5000:
            steps.append((a, op, b, value))
            known.append(value)
    return steps


def written(steps: list[Step]) -> str:
    """The steps as a path."""
    return "\n".join(f"{a} {op} {b} = {value} things" for a, op, b, value in steps)


def rises(pairs: int, seed: int) -> tuple[int, list[tuple[float, float, str, str, str]]]:
    """Pairs that were compared, and those whose score rose: ``(before, after, teacher, student, with the step)``."""
    rng, scorer = random.Random(seed), StructureScorer()
    compared, found = 0, []
    for _ in range(pairs):
        given = rng.sample(NUMBERS, 4)
        operators = rng.choice(["+*", "+-", "+-*", "+-*/"])
        teacher = make_path(rng, 5, given, operators)
        if not teacher:
            continue
        if rng.random() < 0.5:
            student = make_path(rng, 5, given, operators)
        else:
            student = list(teacher)
            for _ in range(rng.randint(0, 2)):
                if student:
                    student.pop(rng.randrange(len(student)))
            for step in make_path(rng, 2, given, operators):
                student.insert(rng.randint(0, len(student)), step)
        if not student:
            continue
        problem = rng.choice(
            [
                "",
                f"He has {', '.join(map(str, given))} things.",
                f"He has {', '.join(map(str, given[:2]))} things.",
            ]
        )
        teachers = (decompose_text(written(teacher), problem=problem),)
        before = scored(scorer, ScoreItem(PathItem(problem, written(student)), teachers))
        if before is None:
            continue
        pool = (
            [*NUMBERS, 1, 8, 9, *given] if rng.random() < 0.6 else [*NUMBERS, *(step[3] for step in student)]
        )
        a, b, op = rng.choice(pool), rng.choice(pool), rng.choice("+*")
        value = a + b if op == "+" else a * b
        if value in {step[3] for step in (*teacher, *student)}:
            continue
        at = rng.randint(0, len(student))
        padded = written([*student[:at], (a, op, b, value), *student[at:]])
        after = scored(scorer, ScoreItem(PathItem(problem, padded), teachers))
        compared += 1
        if after is not None and after > before + 1e-9:
            found.append((before, after, written(teacher), written(student), padded))
    return compared, found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    compared, found = rises(args.pairs, args.seed)
    print(f"{len(found)} of {compared} pairs rise ({len(found) / max(1, compared):.2%})")
    for before, after, *texts in sorted(found, key=lambda row: row[0] - row[1])[:5]:
        print(
            f"{before:.3f} -> {after:.3f}: "
            + " | ".join(text.replace(" things", "").replace("\n", "; ") for text in texts)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
