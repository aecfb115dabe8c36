"""The ``rules`` decomposer against gold decompositions: GSM8K's socratic solutions, StrategyQA's facts and questions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from rlkd.answers.gsm8k import MARK_END, MARK_START, without_marks
from rlkd.quantities.numbers import same_value
from rlkd.structure.reading.calculation import Found
from rlkd.structure.reading.path import read_path
from rlkd.structure.reading.words.claims import content_words

_GOLD_VALUE = re.compile(rf"{MARK_START}[^<>]*=(-?[\d.,]+)[^<>=]*{MARK_END}")


def decomposition_figures(data: Path, half: str) -> dict[str, dict[str, float]]:
    """Boundary and answer F1 on one half of each set."""
    return {
        "socratic, lines kept": _socratic(data, half, "\n"),
        "socratic, joined": _socratic(data, half, " "),
        "StrategyQA facts, one paragraph": _strategyqa(data, half, " "),
        "StrategyQA facts, lines kept": _strategyqa(data, half, "\n"),
    }


def _half(rows: list[Any], half: str) -> list[Any]:
    middle = len(rows) // 2
    return rows[:middle] if half == "dev" else rows[middle:]


def _f1(hits: int, found: int, gold: int) -> float:
    return 2 * hits / (found + gold) if found + gold else 1.0


def _socratic(data: Path, half: str, joint: str) -> dict[str, float]:
    text = (data / "gsm8k" / "test_socratic.jsonl").read_text(encoding="utf-8")
    hits = found = gold = answer_hits = answers_found = answers_gold = 0
    for row in _half([json.loads(line) for line in text.splitlines()], half):
        lines = [line.split(" ** ", 1)[1] for line in row["answer"].split("\n") if " ** " in line]
        values = [_GOLD_VALUE.search(line) for line in lines]
        plain = [without_marks(line) for line in lines]
        path = joint.join(plain)
        starts: list[int] = []
        position = 0
        for line in plain:
            starts.append(position + len(line) - len(line.lstrip()))
            position += len(line) + len(joint)
        steps = read_path(path)
        got = {step.start for step in steps}
        hits, found, gold = hits + len(got & set(starts)), found + len(got), gold + len(starts)
        for k, value in enumerate(values):
            if value is None:
                continue
            end = starts[k + 1] if k + 1 < len(starts) else len(path) + 1
            last = [[c for c in step.calculations if starts[k] <= cast(Found, c).at < end] for step in steps]
            stated = [calcs[-1].value for calcs in last if calcs]
            target = float(value.group(1).replace(",", ""))
            answers_gold += 1
            answers_found += len(stated)
            answer_hits += any(same_value(v, target) or same_value(v * 100, target) for v in stated)
    return {
        "boundaries F1": _f1(hits, found, gold),
        "answers F1": _f1(answer_hits, answers_found, answers_gold),
    }


def _strategyqa(data: Path, half: str, joint: str) -> dict[str, float]:
    """Facts as the path: are they told apart, and how many gold sub-questions share content words with some step?"""
    rows = json.loads((data / "strategyqa" / "dev.json").read_text(encoding="utf-8"))
    hits = found = gold = asked = questions = 0
    for row in _half(rows, half):
        facts = [fact.strip().rstrip(".") + "." for fact in row["facts"] if fact.strip()]
        path = joint.join(facts)
        starts = set()
        position = 0
        for fact in facts:
            starts.add(position)
            position += len(fact) + len(joint)
        steps = read_path(path)
        got = {step.start for step in steps}
        hits, found, gold = hits + len(got & starts), found + len(got), gold + len(starts)
        words = [content_words(path[step.start : step.end]) for step in steps]
        for question in row["decomposition"]:
            own = content_words(question)
            questions += 1
            asked += any(len(own & step) >= 2 for step in words)
    return {
        "boundaries F1": _f1(hits, found, gold),
        "questions answered by a step": asked / max(1, questions),
    }
