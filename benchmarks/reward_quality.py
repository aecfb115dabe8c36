"""How well the structure reward tells right from wrong on real solutions, and what it notices.

Usage: ``python benchmarks/reward_quality.py [--half dev|report] [--json FILE] [--data FOLDER]``

Teacher: the reference solution of each GSM8K question. Students: the solutions of 4 language models. *Hidden*: both paths
are cut before the line with their last calculation, so that only the path can speak. Weights were chosen on ``dev``
(questions 1 to 330) only; ``report`` (331 to 660) is for reporting.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.answers.gsm8k import without_marks

sys.path.insert(0, str(Path(__file__).parent))

from decomposition_quality import decomposition_figures

from rlkd.qualification import changes as change
from rlkd.qualification.last_step import drop_answer_lines
from rlkd.qualification.measures import BASELINES, Resampler
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import PathItem
from rlkd.structure.reading.path import read_path
from rlkd.structure.scorer import ScoreItem, StructureScorer

RESAMPLES = 1000


@dataclass(frozen=True)
class Pair:
    """One model solution against the reference.

    Attributes:
        question: Index of the question.
        problem: Its text.
        teacher: The reference solution.
        student: The model's solution.
        right: Whether the model's answer is right.
    """

    question: int
    problem: str
    teacher: str
    student: str
    right: bool


def load_pairs(data: Path, half: str, hidden: bool, style: str) -> list[Pair]:
    """The pairs of one half in one style: ``marks``, ``plain`` (marks removed) or ``paragraph`` (and lines joined)."""
    rows = [
        json.loads(line) for line in (data / "gsm8k" / "model_solutions_dev.jsonl").open(encoding="utf-8")
    ]
    first, last = (0, 330) if half == "dev" else (330, 660)
    pairs: list[Pair] = []
    for index in range(first, last):
        row = rows[index]
        teacher = _style(drop_answer_lines(row["ground_truth"], hidden), style)
        if not teacher.strip():
            continue
        for solution in row.values():
            if isinstance(solution, dict):
                student = _style(drop_answer_lines(solution["solution"], hidden), style)
                pairs.append(Pair(index, row["question"], teacher, student, bool(solution["is_correct"])))
    return pairs


def scored(scorer: StructureScorer, item: ScoreItem) -> float | None:
    """Returns the structure score alone."""
    found = scorer.score_now(item)
    return None if found is None else found.structure


def _style(path: str, style: str) -> str:
    if style == "marks":
        return path
    plain = without_marks(path)
    return plain if style == "plain" else " ".join(line.rstrip() for line in plain.split("\n"))


# -- measures -----------------------------------------------------------------------------------------


def measures(pairs: list[Pair]) -> dict[str, list[float]]:
    """Every measure for every pair; a missing score counts as 0 here and is counted beside."""
    scorer = StructureScorer()
    teachers = {pair.teacher: decompose_text(pair.teacher, problem=pair.problem) for pair in pairs}
    found: dict[str, list[float]] = {"structure": [], "prefix": [], "missing": []}
    for pair in pairs:
        item = ScoreItem(PathItem(pair.problem, pair.student), (teachers[pair.teacher],))
        result = scorer.score_now(item)
        found["structure"].append(0.0 if result is None else result.structure)
        found["prefix"].append(0.0 if result is None else result.prefix)
        found["missing"].append(float(result is None))
    for name, measure in BASELINES.items():
        found[name] = [measure(pair.teacher, pair.student) for pair in pairs]
    return found


def with_intervals(pairs: list[Pair], found: dict[str, list[float]]) -> dict[str, tuple[float, float, float]]:
    """AUROC of every measure with its 95% bootstrap interval over questions (the 4 solutions of a question stay together)."""
    how = Resampler([str(pair.question) for pair in pairs], [pair.right for pair in pairs], RESAMPLES)
    made = {name: how.auroc(scores) for name, scores in found.items()}
    return {name: (value.value, value.low, value.high) for name, value in made.items()}


# -- tables -------------------------------------------------------------------------------------------


def auroc_table(data: Path, half: str) -> dict[str, Any]:
    """AUROC of every measure, hidden and full, in every style."""
    table: dict[str, Any] = {}
    for hidden in (True, False):
        for style in ("marks", "plain", "paragraph"):
            pairs = load_pairs(data, half, hidden, style)
            found = measures(pairs)
            none = [not read_path(p.teacher) or not read_path(p.student) for p in pairs if p.student.strip()]
            silent = [
                not any(s.calculations for s in read_path(p.student)) for p in pairs if p.student.strip()
            ]
            key = f"{'hidden' if hidden else 'full'}, {style}"
            table[key] = {
                "pairs": len(pairs),
                "right": sum(p.right for p in pairs),
                "missing": int(sum(found.pop("missing"))),
                "no_step": sum(none) / len(none),
                "no_calculation": sum(silent) / len(silent),
                "auroc": with_intervals(pairs, found),
            }
    return table


_CHECKED = "Let me check: {value} - {half} = {rest}, and {rest} + {half} = {value}."


def checked(path: str) -> str | None:
    """A path whose last result is verified at its end; ``None`` where it has no whole one."""
    values = [line.calc.value for line in change.lines_of(path) if line.calc is not None]
    if not values or values[-1] != int(values[-1]) or values[-1] < 4:
        return None
    value = int(values[-1])
    return f"{path}\n{_CHECKED.format(value=value, half=value // 2, rest=value - value // 2)}"


_FALLS, _STAYS, _NO_RISE = "falls", "unchanged within 0.02", "does not rise"
_AS_EXPECTED: dict[str, Callable[[float, float], bool]] = {
    _FALLS: lambda old, new: new < old - 1e-9,
    _STAYS: lambda old, new: abs(new - old) <= 0.02,
    _NO_RISE: lambda old, new: new <= old + 1e-9,
}
EXPECTED = {
    "dependent step scrambled": _FALLS,
    "independent steps swapped": _STAYS,
    "wrong value carried on": _FALLS,
    "irrelevant step inserted": _NO_RISE,
    "irrelevant step in a wrong path": _NO_RISE,
    "step repeated": _NO_RISE,
    "step repeated in a wrong path": _NO_RISE,
    "problem copied in": _NO_RISE,
    "result checked at the end": _STAYS,
    "teacher's last step only": _FALLS,
    "teacher's second half only": _FALLS,
    "teacher's first half only": _FALLS,
}


def _changed(pair: Pair, seen: set[int], rng: random.Random) -> list[tuple[str, str, str | None]]:
    """Every change of a pair: its name, the path, the path changed (or ``None``)."""
    student, quantities = pair.student, problem_quantities(pair.problem)
    if not pair.right:
        return [
            ("irrelevant step in a wrong path", student, change.insert_irrelevant(student, quantities, rng)),
            ("step repeated in a wrong path", student, change.repeat_step(student, rng)),
        ]
    found = [
        ("dependent step scrambled", student, change.scramble_dependent(student, quantities, rng)),
        ("independent steps swapped", student, change.swap_independent(student, rng)),
        ("wrong value carried on", student, change.wrong_value(student, rng)),
        ("irrelevant step inserted", student, change.insert_irrelevant(student, quantities, rng)),
        ("step repeated", student, change.repeat_step(student, rng)),
        ("problem copied in", student, change.copy_prompt(student, pair.problem)),
        ("result checked at the end", student, checked(student)),
    ]
    if pair.question not in seen:
        seen.add(pair.question)
        steps = [line.text for line in change.lines_of(pair.teacher) if line.calc is not None]
        first = "\n".join(steps[: len(steps) // 2]) if len(steps) > 2 else None
        found += [
            ("teacher's last step only", pair.teacher, change.last_step_only(pair.teacher)),
            ("teacher's second half only", pair.teacher, change.second_half_only(pair.teacher)),
            ("teacher's first half only", pair.teacher, first),
        ]
    return found


def sensitivity_table(data: Path, half: str, style: str) -> dict[str, Any]:
    """What happens to the score of full paths when they are changed: how often what should, and the mean score after."""
    rng = random.Random(0)
    scorer = StructureScorer()
    outcomes: dict[str, list[tuple[bool, float]]] = {name: [] for name in EXPECTED}
    seen: set[int] = set()
    for pair in load_pairs(data, half, False, style):
        teacher = (decompose_text(pair.teacher, problem=pair.problem),)
        for name, old, new in _changed(pair, seen, rng):
            if new is None:
                continue
            before = scored(scorer, ScoreItem(PathItem(pair.problem, old), teacher))
            after = scored(scorer, ScoreItem(PathItem(pair.problem, new), teacher))
            if before is not None and after is not None:
                outcomes[name].append((_AS_EXPECTED[EXPECTED[name]](before, after), after))
    return {
        name: {
            "expected": EXPECTED[name],
            "n": len(found),
            "share": sum(good for good, _ in found) / max(1, len(found)),
            "mean_after": sum(after for _, after in found) / max(1, len(found)),
        }
        for name, found in outcomes.items()
    }


def speed(data: Path) -> dict[str, float]:
    """Completions a second on one core: rules, structure only, nothing cached, paths of 8 steps."""
    rng = random.Random(0)
    scorer = StructureScorer()
    items: list[ScoreItem] = []
    for line in (data / "gsm8k" / "train.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        lines = without_marks(row["answer"]).split("\n")[:-1]
        if len(lines) != 8:
            continue
        teacher = (decompose_text("\n".join(lines), problem=row["question"]),)
        for k in range(12):
            student = list(lines)
            for _ in range(rng.randint(0, 3)):
                i = rng.randrange(8)
                student[i] = re.sub(r"\d+", lambda m: str(int(m.group()) + rng.randint(0, 3)), student[i])
            items.append(
                ScoreItem(
                    PathItem(row["question"], f"{student[0]} ({k})\n" + "\n".join(student[1:])), teacher
                )
            )
    best = 0.0
    for _ in range(3):
        fresh = [ScoreItem(PathItem(i.student.problem, i.student.path + " "), i.teachers) for i in items]
        begin = time.process_time()
        for item in fresh:
            scored(scorer, item)
        best = max(best, len(fresh) / (time.process_time() - begin))
    read = time.process_time()
    for item in items:
        read_path(item.student.path)
    read = time.process_time() - read
    return {
        "completions_per_second": best,
        "share_reading": read / (len(items) / best),
        "completions": float(len(items)),
    }


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    for key, block in results["auroc"].items():
        print(
            f"\n{key}: {block['pairs']} pairs, {block['right']} right, {block['missing']} missing, ", end=""
        )
        print(f"no step on one side {block['no_step']:.1%}, no calculation {block['no_calculation']:.1%}")
        for name, (value, low, high) in block["auroc"].items():
            print(f"  {name:22s} {value:.4f}  [{low:.4f}, {high:.4f}]")
    for style in ("marks", "plain"):
        print(f"\nsolutions changed ({style}):")
        for name, row in results["sensitivity"][style].items():
            print(
                f"  {name:32s} {row['expected']:22s} {row['share']:7.2%} of {row['n']:4d}, mean after {row['mean_after']:.3f}"
            )
    print("\ndecomposition against gold:")
    for name, row in results["decomposition"].items():
        print(f"  {name:34s} " + "  ".join(f"{k} {v:.4f}" for k, v in row.items()))
    print("\nspeed: " + "  ".join(f"{k} {v:.2f}" for k, v in results["speed"].items()))


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--half", choices=("dev", "report"), default="dev", help="questions 1 to 330, or 331 to 660"
    )
    parser.add_argument("--json", type=Path, help="also write the results here")
    default = os.environ.get("RLKD_DATA", str(Path(__file__).parents[1] / ".." / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with gsm8k/ and strategyqa/")
    options = parser.parse_args()
    if not (options.data / "gsm8k" / "model_solutions_dev.jsonl").is_file():
        print(
            f"{options.data}: no gsm8k/model_solutions_dev.jsonl there; set RLKD_DATA or --data",
            file=sys.stderr,
        )
        return 2
    results = {
        "half": options.half,
        "auroc": auroc_table(options.data, options.half),
        "sensitivity": {s: sensitivity_table(options.data, options.half, s) for s in ("marks", "plain")},
        "decomposition": decomposition_figures(options.data, options.half),
        "speed": speed(options.data),
    }
    show(results)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
