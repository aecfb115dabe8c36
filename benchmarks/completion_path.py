"""How far one plain completion travels: files entered, functions called and changes of file while it is rewarded.

Usage: ``python benchmarks/completion_path.py [--list]``

The completion is read, its outcome, format and structure are measured, they are combined, and the ledger's row is made. Only
the project's own files (``rlkd/`` and ``schemas/``) count. Everything is warm: a completion was rewarded before, and this one is
the next, of the same problem.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from rlkd.rewards.scoring import RewardModel
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.scorer import StructureScorer
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "Ducks lay 16 eggs. She eats three and bakes with four. She sells the rest for $2 each. What does she earn?"
TEACHER = "She sells 16 - 3 - 4 = 9 eggs.\nShe makes 9 * 2 = $18."
STUDENT = "She uses 3 + 4 = 7 eggs.\nThat leaves 16 - 7 = 9.\nSo she makes 2 x 9 = 18 dollars.\nAnswer: {}"


class Trail:
    """Follows the calls of a piece of work.

    Attributes:
        functions: Calls by (file, function).
        changes: How often a call led into another file than the one before.
    """

    def __init__(self) -> None:
        self.functions: Counter[tuple[str, str]] = Counter()
        self.changes = 0
        self._last = ""
        self._homes = tuple(str(ROOT / room) for room in ("rlkd", "schemas"))

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Counts a call (``sys.setprofile``); comprehensions and class bodies are part of what holds them."""
        code = frame.f_code
        if event != "call" or code.co_name.startswith("<") or not code.co_filename.startswith(self._homes):
            return
        self.functions[code.co_filename, code.co_qualname] += 1
        self.changes += code.co_filename != self._last
        self._last = code.co_filename

    @property
    def files(self) -> list[str]:
        """The files entered."""
        return sorted({file.removeprefix(f"{ROOT}/") for file, _ in self.functions})


def follow() -> tuple[Trail, RewardRecord]:
    """Rewards two completions and returns the trail of the second, with its row."""
    problem = Problem(id="eggs", question=QUESTION, answer="18", domain="math")
    model = RewardModel(
        rewards=RewardsConfig(),
        student=StudentConfig.model_validate({"model": {"type": "checkpoint", "path": "unused"}}),
        scorer=StructureScorer(),
        problems={problem.id: problem},
        teachers={problem.id: [decompose_text(TEACHER, problem=QUESTION)]},
    )

    def completion(answer: str) -> Completion:
        return Completion(problem_id=problem.id, text=STUDENT.format(answer), tokens=40, finish_reason="stop")

    trail = Trail()
    asyncio.run(model.score([completion("18 ")], 0))
    second = [completion("18")]
    coroutine = model.score(second, 0)

    async def followed() -> list[RewardRecord]:
        sys.setprofile(trail)
        try:
            return await coroutine
        finally:
            sys.setprofile(None)

    [row] = asyncio.run(followed())
    return trail, row


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="also name every file and its functions")
    options = parser.parse_args()
    trail, row = follow()
    print(f"reward {row.reward}, structure {row.components['structure']}")
    print(f"files {len(trail.files)}, functions {len(trail.functions)}, changes of file {trail.changes}")
    if options.list:
        for file in trail.files:
            names = [f"{name} x{n}" for (f, name), n in trail.functions.items() if f.endswith(f"/{file}")]
            print(f"{file}: {', '.join(names)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
