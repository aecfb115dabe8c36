"""A teacher of your own: ``traces: {teacher: {type: python, object: "own_teacher:SumTeacher"}}``.

It gets a problem and writes paths; each is verified against the reference answer before it may teach.
"""

from __future__ import annotations

import re

from schemas.problem import Problem


class SumTeacher:
    """Adds the numbers of a question from left to right.

    Args:
        close: How the answer is stated; anything that the answer reader knows will do.
    """

    name = "sums"

    def __init__(self, close: str = "The answer is {}.") -> None:
        self.close = close

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Writes one path, and none for a question with fewer than two numbers."""
        numbers = [int(text) for text in re.findall(r"\d+", problem.question)]
        if len(numbers) < 2:
            return []
        lines, total = [], numbers[0]
        for number in numbers[1:]:
            lines.append(f"{total} + {number} = {total + number}")
            total += number
        return [("\n".join([*lines, self.close.format(total)]), self.name)]
