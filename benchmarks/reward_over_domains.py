"""How well the structure reward tells right from wrong on nine sets of solutions of language models, and gold from corrupted logic.

Usage: ``python benchmarks/reward_over_domains.py [--data FOLDER] [--teachers 1 4] [--no-conclusions] [--logic] [--judge rules embedding] [--rows 300]``

FOLDER holds ``model_traces/NAME.jsonl`` (rows ``{id, question, traces: [{model, form, right, text}]}``) and, for ``--logic``,
``prontoqa/`` and ``prosqa/`` with gold ``steps``. Teachers are right solutions of different models, in file order; students the other
solutions (with one teacher: of other models; at most 8 a problem, 1,500 a set). Rules were made on the part ``tune`` of the problems,
``check`` is the other part (a hash of the id). ``--no-conclusions`` leaves out what paths in words conclude. ``--judge embedding`` compares sentences by ``builtin:minilm-l6`` beside the rules; ``rules embedding`` has a row of
each for every set, over the same pairs.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlkd.qualification.measures import baseline
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.factory import make_judge
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import ScoreItem, StructureScorer
from schemas.config.structure import CacheConfig, EmbeddingJudgeConfig, RulesJudgeConfig

SETS = ("svamp", "asdiv", "multiarith", "gsm8k", "date", "aqua", "clutrr", "sports", "strategyqa")
ROWS, SOLUTIONS, BATCH = 1500, 8, 64
JUDGES = {"rules": RulesJudgeConfig, "embedding": EmbeddingJudgeConfig}


def pairs_of(file: Path, teachers: int) -> Iterator[tuple[dict[str, Any], list[str], dict[str, Any]]]:
    """Yields problem, teacher paths and student solution of every pair."""
    for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        traces = [t for t in row["traces"] if t["form"] != "NL+SL" and t["text"].strip()]
        chosen: dict[str, str] = {}
        for trace in traces:
            if trace["right"] and len(chosen) < teachers:
                chosen.setdefault(trace["model"], trace["text"])
        for trace in traces[:SOLUTIONS] if chosen else ():
            if trace["text"] not in chosen.values() and not (teachers == 1 and trace["model"] in chosen):
                yield row, list(chosen.values()), trace


def auroc(right: np.ndarray, scores: np.ndarray) -> float:
    """Returns the chance that a right solution scores above a wrong one."""
    good, bad = scores[right], np.sort(scores[~right])
    below, upto = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((below + upto).mean() / 2 / len(bad)) if len(good) and len(bad) else float("nan")


def read(path: str, problem: str, conclusions: bool) -> Any:
    """Reads a teacher's path."""
    structure = decompose_text(path, problem=problem)
    return structure if conclusions else structure.model_copy(update={"conclusion": ""})


def measure_set(file: Path, teachers: int, conclusions: bool, judge: str = "rules", rows: int = ROWS) -> str:
    """Scores a set and returns its row of the table."""
    # In memory alone: a cache on the disk would make the next run cheaper than it is.
    scorer = StructureScorer(judge=make_judge(JUDGES[judge](), CacheConfig(enabled=False)))
    first_use = ScoreItem(PathItem("", "Ann is fond of tea."), (decompose_text("Ann likes tea."),))
    asyncio.run(scorer.score([first_use]))  # a model is loaded before the clock starts
    spent = time.process_time()
    scores, right, tune, numbers, words = [], [], [], [], []
    pairs = list(pairs_of(file, teachers))[:rows]
    items = [
        ScoreItem(
            PathItem(row["question"], student["text"]),
            tuple(read(path, row["question"], conclusions) for path in paths),
        )
        for row, paths, student in pairs
    ]

    async def score_all() -> list[Any]:
        batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
        return [found for batch in batches for found in await scorer.score(batch)]

    for (row, _, student), found in zip(pairs, asyncio.run(score_all()), strict=True):
        scores.append(np.nan if found is None else found.structure)
        right.append(student["right"])
        tune.append(int(hashlib.sha256(f"check{row['id']}".encode()).hexdigest(), 16) % 2 == 0)
    spent = time.process_time() - spent
    for _, paths, student in pairs:
        numbers.append(baseline("unordered numbers", paths, student["text"]))
        words.append(baseline("same words", paths, student["text"]))
    y, x, first = np.array(right), np.array(scores), np.array(tune)
    kept = ~np.isnan(x)
    parts = [auroc(y[kept & part], x[kept & part]) for part in (first, ~first, kept)]
    others = [auroc(y, np.array(other)) for other in (numbers, words)]
    zero = (x[kept & y] == 0).mean()
    figures = " | ".join(f"{value:.3f}" for value in (*parts, *others))
    name = file.stem if judge == "rules" else f"{file.stem}, {judge}"
    return f"| {name} | {kept.sum()} ({y.sum()} right) | {figures} | {zero:.1%} | {(~kept).sum()} | {spent:.1f} |"


def corrupted(steps: list[str], problem: str, draw: random.Random) -> dict[str, list[str]]:
    """Returns gold steps with one left out, denied, or another rule of the problem in its place; and without the last."""
    at = draw.randrange(len(steps))
    other = [s.strip() + "." for s in problem.split(".") if s.strip() and "?" not in s and ": " not in s]
    other = [rule for rule in other if rule not in steps]
    step = steps[at]
    verb = " are " if " are " in step else " is "
    denied = step.replace(" not ", " ") if " not " in step else step.replace(verb, f"{verb}not ", 1)
    found = {
        "left out": steps[:at] + steps[at + 1 :],
        "denied": [*steps[:at], denied, *steps[at + 1 :]],
        "without the last": steps[:-1],
    }
    return found | ({"another rule": [*steps[:at], draw.choice(other), *steps[at + 1 :]]} if other else {})


def measure_logic(file: Path, rows: int = 300) -> None:
    """Prints the AUROC of gold steps against each corruption of them."""
    draw, scorer = random.Random(0), StructureScorer()
    read_rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[float]] = {}
    for row in draw.sample(read_rows, min(rows, len(read_rows))):
        gold, problem = row["steps"], row["question"]
        structure = decompose_text(" ".join(gold), problem=problem)
        for kind, steps in ({"gold": gold} | corrupted(gold, problem, draw)).items():
            score = scorer.score_now(ScoreItem(PathItem(problem, "\n".join(steps)), (structure,)))
            found.setdefault(kind, []).append(0.0 if score is None else score.structure)
    gold_scores = found.pop("gold")
    for kind, scores in found.items():
        y = np.array([True] * len(gold_scores) + [False] * len(scores))
        x = np.array([*gold_scores, *scores])
        print(f"| {file.parent.name} | {kind} | {auroc(y, x):.3f} | {np.mean(scores):.2f} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=Path, default=os.environ.get("RLKD_DATA", root / "shared" / "data"))
    parser.add_argument("--teachers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--no-conclusions", action="store_true")
    parser.add_argument("--logic", action="store_true")
    parser.add_argument("--judge", nargs="+", choices=sorted(JUDGES), default=["rules"])
    parser.add_argument("--rows", type=int, default=ROWS, help="pairs of each set")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    chosen = parser.parse_args()
    data = Path(chosen.data)
    if chosen.logic:
        print("| set | corruption | AUROC | mean score |\n|---|---|---|---|")
        measure_logic(data / "prontoqa" / "prontoqa.jsonl")
        measure_logic(data / "prosqa" / "valid.jsonl")
        return
    for teachers in chosen.teachers:
        print(f"\nUp to {teachers} teacher(s)\n")
        print(
            "| set | pairs | tune | check | all | unordered numbers | same words | right at 0 | without score | CPU s |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, judge in itertools.product(chosen.sets, chosen.judge):
            file = data / "model_traces" / f"{name}.jsonl"
            print(
                measure_set(file, teachers, not chosen.no_conclusions, judge, chosen.rows),
                flush=True,
            )


if __name__ == "__main__":
    main()
