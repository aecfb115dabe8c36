"""Hides the last step of a path, so that only the way there can speak.

With the end in view, equality of the last number alone tells right from wrong almost perfectly on GSM8K, and says
nothing about reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlkd.answers.gsm8k import MARK_START, STATED

_CALCULATION = re.compile(rf"{MARK_START}|\d[^\n=]*=[^\n=]*\d")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z$\\(\d])")


def drop_answer_lines(path: str, hidden: bool) -> str:
    """Drops lines that state the final answer and, where hidden, everything from the line with the last calculation on."""
    lines = [line for line in path.split("\n") if not STATED.match(line)]
    if hidden:
        found = [i for i, line in enumerate(lines) if _CALCULATION.search(line)]
        lines = lines[: found[-1]] if found else []
    return "\n".join(lines)


def hide_last_step(
    teachers: Sequence[str], student: str, domain: str = "math"
) -> tuple[tuple[str, ...], str]:
    """Drops the last step of every path of a pair, and a teacher of which nothing is left.

    In the built-in world the last step is the last line that works a quantity out. Elsewhere it is the line with the
    last calculation where a teacher calculates (in a path of one line, the sentence), and otherwise the last line or
    sentence. What comes after it goes too.

    Args:
        teachers: The teacher's paths, without a stated final answer.
        student: The student's path, likewise.
        domain: Reasoning domain.
    """
    from rlkd.worlds import world_names

    if domain in world_names():
        left = [_before_last_solution(path, domain) for path in teachers]
        return tuple(path for path in left if path.strip()), _before_last_solution(student, domain)
    calculates = any(_CALCULATION.search(path) for path in teachers)
    left = [_before_last(path, calculates) for path in teachers]
    return tuple(path for path in left if path.strip()), _before_last(student, calculates)


def _before_last(path: str, calculates: bool) -> str:
    lines = [line for line in path.split("\n") if line.strip() and not STATED.match(line)]
    parts, joint = (lines, "\n") if len(lines) > 1 else (_SENTENCE.split(lines[0]) if lines else [], " ")
    if not calculates:
        return joint.join(parts[:-1])
    found = [i for i, part in enumerate(parts) if _CALCULATION.search(part)]
    return joint.join(parts[: found[-1]]) if found else ""


def _before_last_solution(path: str, domain: str) -> str:
    from rlkd.worlds import get_world

    steps = get_world(domain).decompose(path).steps
    return path[: steps[-1].start].rstrip() if steps else ""
