"""A judge that is wrong, or silent, as often as it is told: how much does noise in the reward cost?"""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.io import sha256_text
from rlkd.structure.interfaces import Judge, PairVerdict, StepPair
from rlkd.structure.judges import build_judge
from schemas.config.structure import CacheConfig, NoisyJudgeConfig

_STEPS = 1 << 32


class NoisyJudge:
    """Flips a share of another judge's answers, and leaves out a share of the samples. The same pair always comes out the same.

    Each of a verdict's three answers is flipped by itself (p becomes 1 - p). A fault takes a whole sample, as a server that
    does not answer does: its score is missing, not low.

    Args:
        judge: The judge.
        flip: Share of the answers that are flipped.
        missing: Share of the samples without verdicts.
        seed: Another seed flips others.

    Attributes:
        name: The judge and its noise.
    """

    def __init__(self, judge: Judge, flip: float, missing: float, seed: int = 0) -> None:
        self.inner, self.flip, self.missing, self.seed = judge, flip, missing, seed
        self.name = f"noisy({judge.name},{flip:g},{missing:g},{seed})"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; see :class:`~rlkd.structure.interfaces.Judge`."""
        paths: dict[int, list[str]] = {}
        for pair in pairs:
            paths.setdefault(pair.sample, [pair.problem]).append(_text(pair))
        silent = {
            sample for sample, texts in paths.items() if self._draw("\n".join(texts), "fault") < self.missing
        }
        verdicts = await self.inner.judge(pairs)
        return [
            None if verdict is None or pair.sample in silent else self._flipped(pair, verdict)
            for pair, verdict in zip(pairs, verdicts, strict=True)
        ]

    def _flipped(self, pair: StepPair, verdict: PairVerdict) -> PairVerdict:
        text = f"{pair.problem}\n{_text(pair)}"
        return PairVerdict(
            *(
                1 - p if self._draw(text, name) < self.flip else p
                for name, p in zip(PairVerdict._fields, verdict, strict=True)
            )
        )

    def _draw(self, text: str, what: str) -> float:
        """A number in [0, 1) that depends on a text alone."""
        return int(sha256_text(f"{self.seed}/{what}/{text}")[:8], 16) / _STEPS


def _text(pair: StepPair) -> str:
    sides = (pair.teacher_step, pair.student_step)
    return " | ".join(f"{step.index} {step.sub_problem} {step.answer}" for step in sides)


def build(config: NoisyJudgeConfig, cache: CacheConfig) -> NoisyJudge:
    """Builds the judge of ``type: noisy``."""
    return NoisyJudge(build_judge(config.judge, cache), config.flip, config.missing, config.seed)
