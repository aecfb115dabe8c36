"""Parts of your own, each named in a configuration by ``type: python``; nothing else has to be written or edited.

    rlkd check examples/own_parts.yaml

Put a file like this beside your configuration, or install it as a package. The code counts toward the identity of the
stages that use it: edit it, and the next run makes them again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from rlkd.rewards.components import Rollout
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.worlds import Op, World
from schemas.structure import ReasoningStep, Structure

# -- a component of the reward: a number in [0, 1] for one completion, None where there is none --------


def brevity(rollout: Rollout, words: int = 100) -> float | None:
    """1 for reasoning of at most ``words`` words, less for longer reasoning, missing where there is none."""
    found = len(rollout.parsed.path.split())
    return min(1.0, words / found) if found else None


# -- a judge: compares two steps ------------------------------------------------------------------------


class WordingJudge:
    """Takes two steps for the same where their words are alike."""

    def __init__(self, exponent: float = 1.0) -> None:
        self.exponent = exponent
        self.name = f"wording@1:{exponent:g}"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; ``None`` where the judge failed."""
        return [self._verdict(pair.teacher_step, pair.student_step) for pair in pairs]

    def _verdict(self, teacher: ReasoningStep, student: ReasoningStep) -> PairVerdict:
        alike = SequenceMatcher(None, teacher.sub_problem, student.sub_problem).ratio() ** self.exponent
        return PairVerdict(
            p_intent=alike, p_sub_problem=alike, p_answer=float(teacher.answer == student.answer)
        )


# -- a decomposer: a path -> its steps --------------------------------------------------------------------


class SentenceDecomposer:
    """Takes every sentence for a step; its last number is the answer, and a step uses the answers it repeats."""

    name = "sentences@1"

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order; ``None`` where the decomposer failed."""
        return [self._read(item.path) for item in items]

    def _read(self, path: str) -> Structure:
        steps: list[ReasoningStep] = []
        for match in re.finditer(r"[^.\n]+(?:\.\d[^.\n]*)*", path):
            numbers = re.findall(r"\d+(?:\.\d+)?", match[0])
            if numbers:
                *used, answer = numbers
                steps.append(
                    ReasoningStep(
                        index=len(steps),
                        sub_problem=match[0].strip(),
                        answer=answer,
                        quantities=tuple(used),
                        depends_on=tuple(step.index for step in steps if step.answer in used),
                        start=match.start(),
                        end=match.end(),
                    )
                )
        return Structure(steps=tuple(steps), decomposer=self.name)


# -- a world: a domain that problems are drawn from ----------------------------------------------------


def _more(values: tuple[str, ...], constant: str) -> str | None:
    return str(int(values[0]) + int(constant))


def _together(values: tuple[str, ...], _constant: str) -> str | None:
    return str(int(values[0]) + int(values[1]))


ORCHARD = World(
    name="orchard",
    given="{a} picked {v} apples.",
    question="How many apples did {a} pick?",
    ops={
        "more": Op(
            "more", 1, "{a} picked {k} apples more than {b}.", "{b} {x} and {k} more", _more, ("1", "2", "3")
        ),
        "together": Op(
            "together",
            2,
            "{a} picked as many apples as {b} and {c} together.",
            "{b} {x} with {c} {y}",
            _together,
        ),
    },
)
