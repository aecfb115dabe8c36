"""Measures the answer checker on pairs of reference and completion: right ones rejected, wrong ones accepted, and the cost.

    RLKD_DATA=../shared/data python benchmarks/answer_checker.py

Beside ours stand the verdicts of math-verify alone on the same statements. A third of the pairs (by a hash of their id) is the
held-out part: rules are made on the other two thirds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlkd.answers.conventions import read_any
from rlkd.answers.equal import judge_answer

Row = dict[str, Any]
HOSTILE = {
    "a megabyte of digits": "9" * 10**6,
    "a tower of powers": "9^{9^{9^{9}}}",
    "nested braces": "{" * 150 + "1" + "}" * 150,
    "nested roots": r"\sqrt{" * 60 + "2" + "}" * 60,
    "a factorial of a factorial": "((9!)!)!",
    "a long sum": "+".join("x" * 1 for _ in range(190)),
    "a large power of a sum": "(x+y+z+1)^{9999}",
    "brackets without end": "([{" * 120,
}


def is_held_out(row: Row) -> bool:
    """Whether a pair belongs to the held-out third."""
    return int(hashlib.sha256(str(row["id"]).encode()).hexdigest(), 16) % 3 == 0


def ours(row: Row) -> tuple[bool | None, str]:
    """Our verdict on a pair, and why it is undecided where it is."""
    answer = read_any(row["student"]).answer
    if answer is None:
        return False, ""
    verdict = judge_answer(row["answer"], answer)
    return verdict.right, verdict.undecided


def math_verify_alone(row: Row) -> tuple[bool | None, str]:
    """The library's verdict on a pair, its own extraction included."""
    from math_verify import parse, verify

    gold = parse(f"${row['answer']}$", parsing_timeout=None)
    return bool(verify(gold, parse(row["student"], parsing_timeout=None), timeout_seconds=None)), ""


def shares(
    rows: list[Row], judge: Callable[[Row], tuple[bool | None, str]]
) -> tuple[str, Counter[str], Counter[str]]:
    """Both shares as a line, the faults by kind, and the undecided pairs by reason."""
    faults: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
    wrong = {True: 0, False: 0}
    for row in rows:
        accepted, why = judge(row)
        if accepted is None:
            undecided[why] += 1
        if (accepted is True) != row["right"]:
            wrong[row["right"]] += 1
            faults[f"{row['kind']}, {'right rejected' if row['right'] else 'wrong accepted'}"] += 1
    counts = Counter(row["right"] for row in rows)
    text = ", ".join(
        f"{name} {wrong[right]} of {counts[right]} ({wrong[right] / max(1, counts[right]):.1%})"
        for right, name in ((True, "right rejected"), (False, "wrong accepted"))
    )
    return text, faults, undecided


def cost(rows: list[Row]) -> str:
    """Processor time of a comparison, nothing remembered, by what the reference is; the library's beside them."""
    from math_verify import parse, verify

    from rlkd.answers import equal, formula, reading
    from rlkd.quantities import amounts

    times: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        answer = read_any(row["student"]).answer
        if answer is None:
            continue
        for cached in (equal._judge, formula.read_formula, reading._whole, amounts.read_amount):
            cached.cache_clear()
        start = time.process_time()
        judge_answer(row["answer"], answer)
        times["number" if row["answer"].replace(",", "").replace(".", "").isdigit() else "other"].append(
            time.process_time() - start
        )
        start = time.process_time()
        verify(
            parse(f"${row['answer']}$", parsing_timeout=None),
            parse(f"${answer}$", parsing_timeout=None),
            timeout_seconds=None,
        )
        times["math-verify, both"].append(time.process_time() - start)
    return "; ".join(
        f"{name} median {1e6 * statistics.median(values):.0f} us, mean {1e6 * statistics.mean(values):.0f} us"
        for name, values in times.items()
    )


def hostile() -> list[str]:
    """What hostile answers cost, as reference and as answer."""
    lines = []
    for name, text in HOSTILE.items():
        start = time.process_time()
        verdicts = [
            judge_answer("7", text).right,
            judge_answer("x+1", text).right,
            judge_answer(text, "7").right,
        ]
        lines.append(f"  {name:<28} {1e3 * (time.process_time() - start):7.1f} ms, verdicts {verdicts}")
    return lines


def main() -> None:
    """Prints both shares by part and kind, and the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs",
        type=Path,
        default=Path(os.environ.get("RLKD_DATA", "../shared/data")) / "answers/pairs.jsonl",
    )
    arguments = parser.parse_args()
    if not arguments.pairs.is_file():
        raise SystemExit(f"{arguments.pairs} is not there; name a file of pairs with --pairs")
    rows = [json.loads(line) for line in arguments.pairs.read_text(encoding="utf-8").splitlines()]
    for part, chosen in (
        ("development part", [row for row in rows if not is_held_out(row)]),
        ("held-out part", [row for row in rows if is_held_out(row)]),
    ):
        for name, judge in (("rlkd", ours), ("math-verify alone", math_verify_alone)):
            text, faults, undecided = shares(chosen, judge)
            print(f"{part}, {name}: {text}")
            if undecided:
                print(f"  undecided: {dict(undecided)}")
            for kind, count in faults.most_common(40):
                print(f"  {count:3d} {kind}")
    print(f"cost of a comparison: {cost(rows)}")
    print("hostile answers:")
    print("\n".join(hostile()))


if __name__ == "__main__":
    main()
