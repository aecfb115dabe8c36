"""Plots as inline SVG, in one style, in the page's own colours (so that they follow light and dark)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlkd.evaluation.metrics import FAITHFUL
from rlkd.reporting.labels import CHECKPOINT_LABELS, METRIC_LABELS, PLOTTED
from rlkd.reporting.series import Series, smooth
from rlkd.reporting.style import COLOURS, as_percent, draw, shorten
from schemas.evaluation import CheckpointMetrics, EvalReport, Interval, ProblemOutput
from schemas.report import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def checkpoints_plot(report: EvalReport) -> Plot:
    """Draws accuracy and structure of every checkpoint with intervals, in and out of distribution."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for axis, metric in zip(axes, PLOTTED, strict=True):
            names = list(dict.fromkeys(m.checkpoint for m in report.checkpoints))
            apart = 0.14 if len({m.split for m in report.checkpoints}) > 1 else 0.0
            for found in report.checkpoints:
                value = _interval(found, metric)
                if value is None:
                    continue
                row = len(names) - 1 - names.index(found.checkpoint)
                _dot(axis, value, row + (apart if found.split == "test" else -apart), found)
            axis.set_title(
                METRIC_LABELS[metric] + (" of greedy answers" if metric == "accuracy" else " score")
            )
            axis.set_yticks(range(len(names)), [CHECKPOINT_LABELS[name] for name in reversed(names)])
            axis.tick_params(axis="y", labelcolor=COLOURS["ink"])
            axis.set_ylim(-0.6, len(names) - 0.4)
            axis.set_xlim(-0.02, 1.04)
            axis.grid(axis="y", visible=False)
            axis.grid(axis="x", visible=True)
            as_percent(axis.xaxis) if metric == "accuracy" else None
        if any(m.split == "ood" for m in report.checkpoints):
            _split_legend(figure)

    return draw(
        "checkpoints",
        "Checkpoints with intervals",
        f"Means over held-out problems with {report.confidence:.0%} bootstrap intervals. "
        "Filled: in distribution. Open: out of distribution.",
        (9, 2.7),
        paint,
    )


def _dot(axis: Axes, value: Interval, y: float, found: CheckpointMetrics) -> None:
    colour = COLOURS[found.checkpoint]
    axis.plot([value.low, value.high], [y, y], color=colour, linewidth=2.4, alpha=0.55)
    fill = colour if found.split == "test" else COLOURS["surface"]
    axis.plot([value.mean], [y], "o", color=colour, markerfacecolor=fill, markersize=7, markeredgewidth=1.8)


_KNOWN_CURVES = frozenset(
    ("reward", "structure", "outcome", "format", "tokens", "truncated", "no_signal", "missing")
)
"""Curves that have a place of their own; the others are further components of the reward."""


def curves_plot(curves: dict[str, Series], validation: Series) -> Plot:
    """Draws reward and its components, and what wastes samples, over RL steps."""

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
        parts = (
            ("reward", "Reward", "rlkd"),
            ("structure", "Structure", "structure"),
            ("outcome", "Outcome (accuracy of samples)", "outcome"),
        )
        for name, label, colour in (*parts, ("format", "Format", "format")):
            _curve(left, curves.get(name, Series()), label, COLOURS[colour])
        further = [name for name in curves if name not in _KNOWN_CURVES]
        for name, dashes in zip(further, itertools.cycle(((4, 2), (1, 1), (6, 2, 1, 2))), strict=False):
            values = curves[name]
            left.plot(
                values.steps, values.values, color=COLOURS["ink"], linewidth=1.2, dashes=dashes, label=name
            )
        if validation:
            left.plot(
                validation.steps,
                validation.values,
                "o--",
                color=COLOURS["ink"],
                markersize=4,
                linewidth=1.2,
                label="Validation accuracy (greedy)",
            )
        left.set_title("Reward and components, mean per step")
        left.set_ylim(-0.02, 1.04)
        for name, label, colour in (
            ("no_signal", "Groups without a signal", "warm_start"),
            ("truncated", "Completions cut at the limit", "wrong"),
            ("missing", "Rewards missing", "muted"),
        ):
            _curve(right, curves.get(name, Series()), label, COLOURS[colour])
        right.set_title("What training could not learn from")
        right.set_ylim(-0.02, 1.04)
        as_percent(right.yaxis)
        for axis in (left, right):
            _step_axis(axis)
            _legend_below(axis)

    return draw(
        "rl_curves",
        "Reward over training",
        "Samples of the student on training problems. Faint: every step; strong: moving average.",
        (9.6, 3.7),
        paint,
    )


def loss_plot(train: Series, validation: Series) -> Plot:
    """Draws the loss curves of the warm start, with the checkpoint that went on."""

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        _curve(axis, train, "Training", COLOURS["muted"])
        if validation:
            axis.plot(
                validation.steps,
                validation.values,
                "o-",
                color=COLOURS["warm_start"],
                markersize=4.5,
                label="Validation",
            )
            where = validation.values.index(min(validation.values))
            axis.plot(
                [validation.steps[where]],
                [validation.values[where]],
                "o",
                color=COLOURS["rlkd"],
                markersize=9,
                markerfacecolor="none",
                markeredgewidth=2,
                label="Best: goes on",
            )
        axis.set_ylim(bottom=0)
        axis.margins(y=0.08)  # a line along the upper edge would be cut in half
        axis.set_title("Loss per token of the teacher's traces")
        _step_axis(axis)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)

    return draw(
        "warm_start_loss",
        "Warm start",
        "The checkpoint with the best validation loss goes on to RL.",
        (6, 3.3),
        paint,
    )


def quadrants_plot(outputs: Sequence[ProblemOutput], names: Sequence[str]) -> Plot:
    """Draws structure scores of right and wrong answers, one panel per checkpoint (test split)."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axis, name in zip(panels, names, strict=True):
            rows = [
                r
                for r in outputs
                if r.checkpoint == name and r.structure is not None and r.correct is not None
            ]
            right = [r.structure or 0.0 for r in rows if r.correct]
            wrong = [r.structure or 0.0 for r in rows if not r.correct]
            total = max(1, len(rows))
            axis.axvspan(FAITHFUL, 1, color=COLOURS["shade"], linewidth=0)
            axis.hist(
                [right, wrong],
                bins=[i / 10 for i in range(11)],
                weights=[[1 / total] * len(right), [1 / total] * len(wrong)],
                stacked=True,
                color=[COLOURS["right"], COLOURS["wrong"]],
                edgecolor=COLOURS["surface"],
                linewidth=1.2,
                label=["Right answer", "Wrong answer"],
            )
            axis.set_title(CHECKPOINT_LABELS[name])
            axis.set_xlabel("structure score")
            axis.set_xlim(0, 1)
            as_percent(axis.yaxis)
        panels[0].set_ylabel("share of problems")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)

    return draw(
        "quadrants",
        "Structure against outcome",
        f"Greedy completions on the test split. Shaded: a structure score of at least {FAITHFUL}.",
        (9, 3.1),
        paint,
    )


def difficulty_plot(report: EvalReport) -> Plot | None:
    """Draws accuracy and structure by difficulty; ``None`` where there are fewer than two difficulties."""
    levels = {int(level) for m in report.checkpoints for level in m.by_difficulty}
    if len(levels) < 2:
        return None

    def paint(figure: Figure) -> None:
        for axis, metric in zip(figure.subplots(1, 2), PLOTTED, strict=True):
            for found in report.checkpoints:
                points = [
                    (int(level), value)
                    for level, part in found.by_difficulty.items()
                    if (value := part.accuracy if metric == "accuracy" else part.structure) is not None
                ]
                if points:
                    _band(axis, points, found)
            axis.set_title(f"{METRIC_LABELS[metric]} by difficulty")
            axis.set_xlabel("difficulty (needed steps)")
            axis.set_xticks(sorted(levels))
            axis.set_ylim(-0.02, 1.04)
            as_percent(axis.yaxis) if metric == "accuracy" else None
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)

    return draw(
        "difficulty",
        "By difficulty",
        "Bands: bootstrap intervals. Solid: in distribution; dashed with open marks: out of distribution.",
        (9, 3.4),
        paint,
    )


def _band(axis: Axes, points: Sequence[tuple[int, Interval]], found: CheckpointMetrics) -> None:
    colour, test = COLOURS[found.checkpoint], found.split == "test"
    x = [level for level, _ in points]
    axis.fill_between(
        x, [v.low for _, v in points], [v.high for _, v in points], color=colour, alpha=0.13, linewidth=0
    )
    axis.plot(
        x,
        [v.mean for _, v in points],
        "o-" if test else "o--",
        color=colour,
        markersize=5.5,
        markerfacecolor=colour if test else COLOURS["surface"],
        label=CHECKPOINT_LABELS[found.checkpoint] if test else None,
    )


def domain_plot(report: EvalReport) -> Plot | None:
    """Draws accuracy and structure by domain on the test split; ``None`` where there is only one domain."""
    tests = [m for m in report.checkpoints if m.split == "test"]
    domains = sorted({domain for m in tests for domain in m.by_domain})
    if len(domains) < 2:
        return None

    def paint(figure: Figure) -> None:
        width = 0.8 / len(tests)
        for axis, metric in zip(figure.subplots(1, 2), PLOTTED, strict=True):
            for i, found in enumerate(tests):
                for j, domain in enumerate(domains):
                    part = found.by_domain.get(domain)
                    value = part and (part.accuracy if metric == "accuracy" else part.structure)
                    if not value:
                        continue
                    x = j + (i - (len(tests) - 1) / 2) * width
                    label = CHECKPOINT_LABELS[found.checkpoint] if j == 0 else None
                    axis.bar(x, value.mean, width * 0.86, color=COLOURS[found.checkpoint], label=label)
                    axis.plot([x, x], [value.low, value.high], color=COLOURS["ink"], linewidth=1.2, alpha=0.7)
            axis.set_title(f"{METRIC_LABELS[metric]} by domain")
            axis.set_xticks(range(len(domains)), [shorten(domain) for domain in domains])
            axis.tick_params(axis="x", length=0, labelcolor=COLOURS["ink"])
            axis.set_ylim(0, 1.04)
            as_percent(axis.yaxis) if metric == "accuracy" else None
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)

    return draw("domains", "By domain", "Test split, with bootstrap intervals.", (9, 3.4), paint)


def _interval(found: CheckpointMetrics, metric: str) -> Interval | None:
    return found.overall.accuracy if metric == "accuracy" else found.overall.structure


def _curve(axis: Axes, series: Series, label: str, colour: str) -> None:
    """A series: faint as it is, strong as its moving average."""
    if not series:
        return
    window = max(1, len(series.steps) // 12)
    if window > 1:
        axis.plot(series.steps, series.values, color=colour, linewidth=1, alpha=0.28)
    line = smooth(series, window)
    marker = "o" if len(series.steps) < 4 else ""
    axis.plot(line.steps, line.values, color=colour, label=label, marker=marker, markersize=5)


def _step_axis(axis: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("optimiser step")
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _legend_below(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=2, columnspacing=1.4, handlelength=1.5
        )


def _split_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    common: dict[str, Any] = {
        "color": COLOURS["muted"],
        "linestyle": "none",
        "marker": "o",
        "markersize": 7,
        "markeredgewidth": 1.8,
    }
    handles = [
        Line2D([], [], label="In distribution", **common),
        Line2D([], [], label="Out of distribution", **{**common, "markerfacecolor": COLOURS["surface"]}),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
