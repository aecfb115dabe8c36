"""What ``rlkd check`` finds, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlkd.errors import RLKDError

if TYPE_CHECKING:
    from rlkd.estimates import Costs


@dataclass
class Findings:
    """What the checks found, in order.

    Attributes:
        rows: (what, verdict, details); the verdict is ``ok``, ``note`` or ``wrong``.
        prompt_tokens: Lengths of some prompts.
        trace_tokens: Lengths of the traces that came with them.
        costs: What the run is estimated to cost, where its student is known.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    prompt_tokens: list[float] = field(default_factory=list)
    trace_tokens: list[float] = field(default_factory=list)
    costs: Costs | None = None

    @property
    def wrong(self) -> list[str]:
        """What must be mended before a run."""
        return [details for _, verdict, details in self.rows if verdict == "wrong"]

    def add(self, what: str, details: str, verdict: str = "ok") -> None:
        """Adds one more line."""
        self.rows.append((what, verdict, details))

    @contextmanager
    def checking(self, what: str) -> Iterator[None]:
        """Runs a check, whose user errors become findings."""
        try:
            yield
        except RLKDError as error:
            self.add(what, str(error), "wrong")
