"""Draws how a real student path is aligned with a real teacher path.

Usage: ``python benchmarks/alignment_picture.py [--data FOLDER] [--out docs/img]``
"""

from __future__ import annotations

import argparse
import json
import os
import textwrap
from pathlib import Path
from typing import Any

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.graph import PathGraph
from rlkd.structure.interfaces import Sample
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.matching.alignments import StructureAlignment
from rlkd.structure.scorer import run_now, score_paths

EXAMPLES = ((249, "175b_verification"), (81, "175b_verification"), (193, "6b_verification"))
"""Questions and models that are drawn: one that follows, one in other steps, one that leaves the path."""
_COLORS = {
    "followed": "#2a9d8f",
    "merged or split": "#8ab17d",
    "out of order or other result": "#e9c46a",
    "alone": "#e76f51",
}


def _prepared(path: str, problem: str) -> PathGraph:
    return PathGraph(decompose_text(path, problem=problem), problem)


def _label(prepared: PathGraph, index: int, path: str) -> str:
    step = prepared.steps[index]
    calcs = "\n".join(calculation.text for calculation in step.calculations)
    text = textwrap.fill(path[step.start : step.end].split("<<")[0].rstrip(" =$"), 44)
    return f"{text.splitlines()[0]} ...\n{calcs}" if len(text.splitlines()) > 1 else f"{text}\n{calcs}"


def draw_alignment(axis: Any, problem: str, teacher: str, student: str, right: bool) -> None:
    """Two columns of steps, lines between those that are aligned."""
    ours, theirs = _prepared(teacher, problem), _prepared(student, problem)
    alignment = StructureAlignment()
    asked = run_now(alignment.ask(RulesJudge(), [Sample([ours], theirs, problem, "math")]))[0]
    matching = alignment.compare(ours, theirs, asked[0] if asked else {}).matching
    sides = (
        (ours, teacher, 0.0, matching.covered, set(matching.pairs)),
        (theirs, student, 1.0, matching.explained, set(matching.pairs.values())),
    )
    rows = max(len(ours.steps), len(theirs.steps))
    places: dict[tuple[int, int], float] = {}
    for side, (prepared, path, x, credits, matched) in enumerate(sides):
        count = len(prepared.steps)
        for view in prepared.steps:
            units = [i for i, node in enumerate(prepared.graph.nodes) if node.step == view.index]
            kind = "alone"
            if any(i in matched and credits[i] >= 0.5 for i in units):
                kind = "followed"
            elif any(i in matched for i in units):
                kind = "out of order or other result"
            elif any(credits[i] > 0 for i in units):
                kind = "merged or split"
            y = rows - (view.index + 0.5) * rows / count
            places[side, view.index] = y
            axis.text(
                x, y, _label(prepared, view.index, path).replace("$", r"\$"), ha="center", va="center", fontsize=7.5,
                bbox={"boxstyle": "round,pad=0.4", "facecolor": _COLORS[kind], "alpha": 0.55, "edgecolor": "#333333"},
            )  # fmt: skip
    for t, s in matching.pairs.items():
        a, b = places[0, ours.graph.nodes[t].step], places[1, theirs.graph.nodes[s].step]
        axis.plot([0.29, 0.71], [a, b], color="#264653", lw=1.5)
    found = score_paths(problem, [teacher], student)
    score = 0.0 if found is None else found.structure
    prefix = 0.0 if found is None else found.prefix
    verdict = "right" if right else "wrong"
    axis.set_title(
        f"structure {score:.2f}   (paper's rule {prefix:.2f})   final answer {verdict}", fontsize=9
    )
    axis.set_xlim(-0.42, 1.42)
    axis.set_ylim(0, rows + 0.2)
    axis.text(0, rows + 0.05, "teacher", ha="center", fontsize=9, weight="bold")
    axis.text(1, rows + 0.05, "student", ha="center", fontsize=9, weight="bold")
    axis.axis("off")


def alignment_figure(data: Path, target: Path) -> None:
    """The examples, one below the other."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [
        json.loads(line) for line in (data / "gsm8k" / "model_solutions_dev.jsonl").open(encoding="utf-8")
    ]
    figure, axes = plt.subplots(len(EXAMPLES), 1, figsize=(9.5, 4.1 * len(EXAMPLES)))
    for axis, (index, model) in zip(axes, EXAMPLES, strict=True):
        row = rows[index]
        draw_alignment(
            axis, row["question"], row["ground_truth"], row[model]["solution"], row[model]["is_correct"]
        )
    handles = [plt.Rectangle((0, 0), 1, 1, color=color, alpha=0.55) for color in _COLORS.values()]
    figure.legend(handles, list(_COLORS), loc="lower center", ncol=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(target, dpi=110)
    plt.close(figure)


def main() -> int:
    """Draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(__file__).parents[1]
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("RLKD_DATA", str(root.parent / "shared" / "data")))
    )
    parser.add_argument("--out", type=Path, default=root / "docs" / "img")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    alignment_figure(options.data, options.out / "alignment.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
