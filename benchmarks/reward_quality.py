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

sys.path.insert(0, str(Path(__file__).parent))

from decomposition_quality import decomposition_figures

from rlkd.qualification import changes as change
from rlkd.qualification.hiding import cut
from rlkd.qualification.measures import BASELINES, Resampler
from rlkd.structure.quantities import problem_quantities
from rlkd.structure.reading import read_path
from rlkd.structure.rules import decompose_text
from rlkd.structure.score import ScoreItem, StructureScorer

_MARK = re.compile(r"<<[^>]*>>")
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
    rows = [json.loads(line) for line in (data / "gsm8k" / "model_solutions_dev.jsonl").open(encoding="utf-8")]
    first, last = (0, 330) if half == "dev" else (330, 660)
    pairs: list[Pair] = []
    for index in range(first, last):
        row = rows[index]
        teacher = _style(cut(row["ground_truth"], hidden), style)
        if not teacher.strip():
            continue
        for solution in row.values():
            if isinstance(solution, dict):
                student = _style(cut(solution["solution"], hidden), style)
                pairs.append(Pair(index, row["question"], teacher, student, bool(solution["is_correct"])))
    return pairs


def _style(path: str, style: str) -> str:
    if style == "marks":
        return path
    plain = _MARK.sub("", path)
    return plain if style == "plain" else " ".join(line.rstrip() for line in plain.split("\n"))


# -- measures -----------------------------------------------------------------------------------------


def measures(pairs: list[Pair]) -> dict[str, list[float]]:
    """Every measure for every pair; a missing score counts as 0 here and is counted beside."""
    scorer = StructureScorer()
    teachers = {pair.teacher: decompose_text(pair.teacher, problem=pair.problem) for pair in pairs}
    found: dict[str, list[float]] = {"structure": [], "prefix": [], "missing": []}
    for pair in pairs:
        item = ScoreItem(pair.problem, (teachers[pair.teacher],), pair.student)
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
            silent = [not any(s.calcs for s in read_path(p.student)) for p in pairs if p.student.strip()]
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


def sensitivity_table(data: Path, half: str, style: str) -> dict[str, Any]:
    """What happens to the score of right solutions (full paths) when they are changed."""
    rng = random.Random(0)
    scorer = StructureScorer()
    checks: dict[str, tuple[str, Callable[[float, float], bool]]] = {
        "dependent step scrambled": ("falls", lambda old, new: new < old - 1e-9),
        "independent steps swapped": ("unchanged within 0.02", lambda old, new: abs(new - old) <= 0.02),
        "wrong value carried on": ("falls", lambda old, new: new < old - 1e-9),
        "irrelevant step inserted": ("does not rise", lambda old, new: new <= old + 1e-9),
        "step repeated": ("does not rise", lambda old, new: new <= old + 1e-9),
        "problem copied in": ("does not rise", lambda old, new: new <= old + 1e-9),
    }
    outcomes: dict[str, list[bool]] = {name: [] for name in checks}
    for pair in load_pairs(data, half, False, style):
        if not pair.right:
            continue
        teacher = (decompose_text(pair.teacher, problem=pair.problem),)
        before = scorer.quick_score(ScoreItem(pair.problem, teacher, pair.student))
        changed = {
            "dependent step scrambled": change.scramble_dependent(pair.student, problem_quantities(pair.problem), rng),
            "independent steps swapped": change.swap_independent(pair.student, rng),
            "wrong value carried on": change.wrong_value(pair.student, rng),
            "irrelevant step inserted": change.insert_irrelevant(pair.student, rng),
            "step repeated": change.repeat_step(pair.student, rng),
            "problem copied in": change.copy_prompt(pair.student, pair.problem),
        }
        for name, student in changed.items():
            after = None if student is None else scorer.quick_score(ScoreItem(pair.problem, teacher, student))
            if before is not None and after is not None:
                outcomes[name].append(checks[name][1](before, after))
    return {
        name: {"expected": checks[name][0], "n": len(found), "share": sum(found) / max(1, len(found))}
        for name, found in outcomes.items()
    }


def speed(data: Path) -> dict[str, float]:
    """Completions a second on one core: rules, structure only, nothing cached, paths of 8 steps."""
    rng = random.Random(0)
    scorer = StructureScorer()
    items: list[ScoreItem] = []
    for line in (data / "gsm8k" / "train.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        lines = _MARK.sub("", row["answer"]).split("\n")[:-1]
        if len(lines) != 8:
            continue
        teacher = (decompose_text("\n".join(lines), problem=row["question"]),)
        for k in range(12):
            student = list(lines)
            for _ in range(rng.randint(0, 3)):
                i = rng.randrange(8)
                student[i] = re.sub(r"\d+", lambda m: str(int(m.group()) + rng.randint(0, 3)), student[i])
            items.append(ScoreItem(row["question"], teacher, f"{student[0]} ({k})\n" + "\n".join(student[1:])))
    best = 0.0
    for _ in range(3):
        fresh = [ScoreItem(i.problem, i.teachers, i.student_path + " ") for i in items]
        begin = time.process_time()
        for item in fresh:
            scorer.quick_score(item)
        best = max(best, len(fresh) / (time.process_time() - begin))
    read = time.process_time()
    for item in items:
        read_path(item.student_path)
    read = time.process_time() - read
    return {"completions_per_second": best, "share_reading": read / (len(items) / best), "completions": float(len(items))}


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    for key, block in results["auroc"].items():
        print(f"\n{key}: {block['pairs']} pairs, {block['right']} right, {block['missing']} missing, ", end="")
        print(f"no step on one side {block['no_step']:.1%}, no calculation {block['no_calculation']:.1%}")
        for name, (value, low, high) in block["auroc"].items():
            print(f"  {name:22s} {value:.4f}  [{low:.4f}, {high:.4f}]")
    for style in ("marks", "plain"):
        print(f"\nright solutions changed ({style}):")
        for name, row in results["sensitivity"][style].items():
            print(f"  {name:28s} {row['expected']:22s} {row['share']:7.2%} of {row['n']}")
    print("\ndecomposition against gold:")
    for name, row in results["decomposition"].items():
        print(f"  {name:34s} " + "  ".join(f"{k} {v:.4f}" for k, v in row.items()))
    print("\nspeed: " + "  ".join(f"{k} {v:.2f}" for k, v in results["speed"].items()))


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("dev", "report"), default="dev", help="questions 1 to 330, or 331 to 660")
    parser.add_argument("--json", type=Path, help="also write the results here")
    default = os.environ.get("RLKD_DATA", str(Path(__file__).parents[1] / ".." / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with gsm8k/ and strategyqa/")
    options = parser.parse_args()
    if not (options.data / "gsm8k" / "model_solutions_dev.jsonl").is_file():
        print(f"{options.data}: no gsm8k/model_solutions_dev.jsonl there; set RLKD_DATA or --data", file=sys.stderr)
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
