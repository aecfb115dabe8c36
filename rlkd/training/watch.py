"""The watch over RL: does the student learn, or play the reward?

A pure function of the rows of ``metrics.jsonl``, so that a resumed run and a reader of the file come to the same alarms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rlkd.training.validation import ACCURACY, STRUCTURE, TRUNCATED
from schemas.alarm import Alarm, WatchReport
from schemas.config.watch import WatchConfig

Row = Mapping[str, float]
WATCH_FILE = "watch.json"
HARMLESS = ("missing", "no_signal")
"""Alarms that never stop a run: nothing is learned from what they count."""


@dataclass
class Watch:
    """Takes the figures of each step as it is made.

    Attributes:
        config: ``rl.watch``.
        rows: Rows so far.
        alarms: Alarms so far, each kind once.
    """

    config: WatchConfig
    rows: list[Row] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)

    def add(self, row: Row) -> list[Alarm]:
        """Takes a step's row; returns the alarms that it raises for the first time."""
        self.rows.append(row)
        known = {alarm.kind for alarm in self.alarms}
        new = [alarm for alarm in examine(self.rows, self.config) if alarm.kind not in known]
        self.alarms += new
        return new

    @property
    def stopped(self) -> int | None:
        """Step after which training is to stop; ``None`` while it is to go on."""
        if self.config.action != "stop":
            return None
        return next((alarm.step for alarm in self.alarms if alarm.kind not in HARMLESS), None)

    @property
    def report(self) -> WatchReport:
        """What was found."""
        return WatchReport(alarms=tuple(self.alarms), stopped=self.stopped)


def replay(rows: Sequence[Row], config: WatchConfig) -> Watch:
    """Makes the watch of a run that has come as far as these rows."""
    watch = Watch(config)
    for row in rows:
        watch.add(row)
    return watch


def examine(rows: Sequence[Row], config: WatchConfig) -> list[Alarm]:
    """Finds the thresholds that the last of these rows crosses.

    Args:
        rows: Rows of ``metrics.jsonl`` in order.
        config: The thresholds.
    """
    if config.action == "off" or not rows or rows[-1]["step"] == 0:  # what RL started from is not its doing
        return []
    step = int(rows[-1]["step"])
    found = [*_hacked(rows, config), *_drift(rows, config), *_shares(rows, config)]
    return [
        Alarm(kind=kind, step=step, value=value, limit=limit, text=text) for kind, value, limit, text in found
    ]


_Found = Iterator[tuple[str, float, float, str]]


def _hacked(rows: Sequence[Row], config: WatchConfig) -> _Found:
    """Structure rises while validation accuracy falls: means of two evaluations, the best such mean against the last."""
    if config.accuracy_fall is None:
        return
    asked = [(row[ACCURACY], row[STRUCTURE]) for row in rows if ACCURACY in row and STRUCTURE in row]
    pairs = [((a + b) / 2, (s + t) / 2) for (a, s), (b, t) in itertools.pairwise(asked)]
    if len(pairs) < 2 or ACCURACY not in rows[-1]:
        return
    best = max(pairs, key=lambda pair: pair[0])
    fall, rise = best[0] - pairs[-1][0], pairs[-1][1] - best[1]
    if fall >= config.accuracy_fall and rise >= config.structure_rise:
        yield (
            "accuracy_fall",
            fall,
            config.accuracy_fall,
            f"validation accuracy has fallen by {100 * fall:.1f} points from its best while structure rose by {rise:.2f}",
        )


def _drift(rows: Sequence[Row], config: WatchConfig) -> _Found:
    """Figures that moved away from where they began."""
    checks: tuple[tuple[str, str, float | None, Callable[[float, float], float], str], ...] = (
        ("step_inflation", "steps_found", config.step_inflation, _factor, "steps of a completion have grown {:.1f}-fold"),
        ("length_growth", "tokens", config.length_growth, _factor, "tokens of a completion have grown {:.1f}-fold"),
        ("copied", "copied", config.copied, _rise, "the share copied from the problem has risen by {:.2f}"),
        ("entropy_left", "entropy", config.entropy_left, _factor, "the policy's entropy is {:.2f} of what it was"),
    )  # fmt: skip
    for kind, name, limit, measure, text in checks:
        ends = _ends(rows, name, config.window)
        if limit is None or ends is None:
            continue
        value = measure(*ends)
        if value <= limit if kind == "entropy_left" else value >= limit:
            yield kind, value, limit, text.format(value)


def _shares(rows: Sequence[Row], config: WatchConfig) -> _Found:
    """Shares that are too high, wherever they began."""
    checks = (
        ("at_limit", "truncated", config.at_limit, "{:.0%} of the samples end at the length limit"),
        ("repeated", "repeated", config.repeated, "{:.0%} of the lines of a completion are repeats"),
        ("no_signal", "groups_without_difference", config.no_signal, "{:.0%} of the groups have no signal"),
        ("missing", "missing", config.missing, "{:.0%} of the rewards are missing"),
    )
    for kind, name, limit, text in checks:
        value = _recent(rows, name, config.window)
        greedy = rows[-1].get(TRUNCATED) if kind == "at_limit" else None
        if limit is not None and greedy is not None and greedy >= limit:
            yield (
                kind,
                greedy,
                limit,
                f"{greedy:.0%} of the greedy validation answers end at the length limit",
            )
        elif limit is not None and value is not None and value >= limit:
            yield kind, value, limit, text.format(value)


def _recent(rows: Sequence[Row], name: str, window: int) -> float | None:
    """Mean over the last window of the rows that have a figure; ``None`` before there are so many."""
    known = [row[name] for row in rows[-2 * window :] if name in row][-window:]
    return sum(known) / len(known) if len(known) == window else None


def _ends(rows: Sequence[Row], name: str, window: int) -> tuple[float, float] | None:
    """Means over the first and the last window; ``None`` before there are two."""
    known = [row[name] for row in rows if name in row]
    if len(known) < 2 * window:
        return None
    return sum(known[:window]) / window, sum(known[-window:]) / window


def _factor(first: float, last: float) -> float:
    return last / first if first > 0 else 1.0


def _rise(first: float, last: float) -> float:
    return last - first
