"""What the report of an experiment shows of single cells: pass@k, domains, outputs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkd.evaluation.stats import pass_at_k
from rlkd.io import read_rows
from schemas.evaluation import ProblemOutput
from schemas.experiment import Example

MOST_K = (1, 2, 4, 8, 16, 32, 64)


def final_outputs(evaluation: Path, checkpoint: str) -> list[ProblemOutput]:
    """Reads the outputs of a run's last checkpoint, of all splits."""
    rows = read_rows(evaluation / "outputs.jsonl", ProblemOutput)
    return [row for row in rows if row.checkpoint == checkpoint]


def cell_scores(rows: Sequence[ProblemOutput]) -> dict[str, float]:
    """Computes the shares that a cell shows beside its metrics, by split: ``test/truncated``, ``test/pass@8``.

    pass@k is over the problems with at least k judged samples, for the ks up to 64 that there are.
    """
    found: dict[str, float] = {}
    for split in dict.fromkeys(row.split for row in rows):
        mine = [row for row in rows if row.split == split]
        found[f"{split}/truncated"] = sum(row.finish_reason == "length" for row in mine) / len(mine)
        for k in MOST_K:
            passes = [pass_at_k(row.samples, row.correct_samples, k) for row in mine if row.samples >= k]
            if passes:
                found[f"{split}/pass@{k}"] = sum(passes) / len(passes)
    return found


def by_domain(rows: Sequence[ProblemOutput], split: str) -> dict[str, float]:
    """Computes the accuracy in each domain of a split."""
    found: dict[str, list[bool]] = {}
    for row in rows:
        if row.split == split and row.correct is not None:
            found.setdefault(row.domain, []).append(row.correct)
    return {name: sum(values) / len(values) for name, values in sorted(found.items())}


def examples(
    a: tuple[str, Sequence[ProblemOutput]],
    b: tuple[str, Sequence[ProblemOutput]],
    questions: Mapping[str, str],
    split: str,
    each: int = 2,
) -> list[Example]:
    """Picks problems that one method alone gets right, with both completions; the first ones by the problems' ids.

    Args:
        a: A method and its outputs.
        b: Another and its.
        questions: Texts of the problems, by id.
        split: The split.
        each: Problems of each kind.
    """
    theirs = {row.problem_id: row for row in b[1] if row.split == split}
    found: list[Example] = []
    for winner in (a[0], b[0]):
        picked = 0
        for row in sorted(a[1], key=lambda row: row.problem_id):
            other = theirs.get(row.problem_id)
            if row.split != split or other is None or row.correct is None or other.correct is None:
                continue
            if row.correct == other.correct or row.correct != (winner == a[0]) or picked == each:
                continue
            picked += 1
            found.append(
                Example(
                    a=a[0],
                    b=b[0],
                    problem_id=row.problem_id,
                    question=questions.get(row.problem_id, ""),
                    winner=winner,
                    a_text=row.completion,
                    b_text=other.completion,
                    a_cut=row.finish_reason == "length",
                    b_cut=other.finish_reason == "length",
                )
            )
    return found
