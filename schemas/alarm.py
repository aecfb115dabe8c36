"""An alarm of the watch over RL."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Schema


class Alarm(Schema):
    """A threshold of ``rl.watch`` that was crossed.

    Attributes:
        kind: Its name in ``rl.watch``.
        step: Optimiser step after which it was.
        value: What was measured.
        limit: The threshold.
        text: In a sentence.
    """

    kind: str
    step: int
    value: float
    limit: float
    text: str


class WatchReport(Schema):
    """What the watch found (``watch.json`` of the RL stage).

    Attributes:
        alarms: In the order of their steps, each kind once.
        stopped: Step after which it stopped training; ``None`` where it did not.
    """

    alarms: tuple[Alarm, ...] = Field(default=())
    stopped: int | None = None
