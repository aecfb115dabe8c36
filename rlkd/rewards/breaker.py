"""Stops a run when too many scores are missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rlkd.errors import MissingScoreError


class CircuitBreaker:
    """Stops a run when too many scores are missing, instead of training on what is left.

    Args:
        max_share: Share of missing scores that is borne.
        window: Scores that are looked back on.
        minimum: Scores that must be there before it may trip.

    Attributes:
        seen: Scores recorded in all.
        missing: Missing ones among them.
    """

    def __init__(self, max_share: float = 0.1, window: int = 512, minimum: int = 16) -> None:
        self.max_share = max_share
        self.minimum = minimum
        self.seen = 0
        self.missing = 0
        self._last: deque[bool] = deque(maxlen=max(window, minimum))

    def record(self, present: Sequence[bool], why: str = "") -> None:
        """Counts scores that are there (true) or missing (false).

        Args:
            present: One flag per score.
            why: The most frequent fault, for the message.

        Raises:
            MissingScoreError: More than ``max_share`` of the last ones are missing.
        """
        self.seen += len(present)
        self.missing += len(present) - sum(present)
        self._last.extend(present)
        lost = len(self._last) - sum(self._last)
        if len(self._last) >= self.minimum and lost > self.max_share * len(self._last):
            reason = f" ({why})" if why else ""
            raise MissingScoreError(
                f"{lost} of the last {len(self._last)} scores are missing, more than the allowed {self.max_share:.0%}{reason}; "
                "see to the model that decomposes or judges, then run the same command again"
            )
