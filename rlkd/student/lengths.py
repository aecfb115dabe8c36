"""How long the texts of training are beside their limits: what a limit leaves out, and which limit would keep nearly all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

KEPT = 0.99
"""Share of the texts that a proposed limit keeps. With 192 tokens 28 of 200 GSM8K traces were left out without a word."""
_ROUND = 32
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class LengthFit:
    """Lengths of texts in tokens, and the limit that they are to keep.

    Attributes:
        lengths: Tokens of each text; not empty.
        limit: The longest that is kept.
        setting: Dotted name of the limit.
    """

    lengths: Sequence[int]
    limit: int
    setting: str

    @property
    def cut(self) -> int:
        """Counts the texts over the limit."""
        return sum(length > self.limit for length in self.lengths)

    @property
    def proposed(self) -> int:
        """Proposes the least multiple of 32 that keeps 99% of the texts.

        Example:
            Of 200 texts, two of which have more than 300 tokens and none of the others more than 250: 256.
        """
        ranked = sorted(self.lengths)
        least = ranked[math.ceil(KEPT * len(ranked)) - 1]
        return math.ceil(least / _ROUND) * _ROUND

    def histogram(self, bins: int = 8) -> str:
        """Draws the lengths from 0 to the longest as one bar for each of ``bins`` equal parts; an empty part is a space."""
        width = max(1, math.ceil((max(self.lengths) + 1) / bins))
        counts = [0] * bins
        for length in self.lengths:
            counts[length // width] += 1
        most = max(counts)
        bars = (" " if not n else _BARS[math.ceil(n / most * len(_BARS)) - 1] for n in counts)
        return f"0 |{''.join(bars)}| {width * bins}"

    def text(self) -> str:
        """Says it in one line."""
        average = sum(self.lengths) / len(self.lengths)
        said = f"{average:.0f} tokens on average, {max(self.lengths)} at most (limit {self.limit}) {self.histogram()}"
        if not self.cut:
            return said
        kept = sum(length <= self.proposed for length in self.lengths)
        advice = f"; {self.setting}={self.proposed} would keep {kept}" if self.proposed > self.limit else ""
        return f"{said}; {self.cut} of {len(self.lengths)} are too long and left out of training{advice}"
