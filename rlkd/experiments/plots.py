"""Plots of an experiment: forest of differences, validation curves, accuracy against operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlkd.reporting.labels import METRIC_LABELS, SHARES
from rlkd.reporting.style import COLOURS, as_percent, draw
from schemas.experiment import CellResult, ExperimentReport
from schemas.report import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CYCLE = ("rlkd", "warm_start", "right", "structure", "wrong", "base", "ink", "muted")
"""Colours of methods, in their order; each twice as many come, solid first, then dashed."""
_TONE = {"better": "right", "worse": "wrong", "equivalent": "rlkd"}


def forest_plot(report: ExperimentReport) -> Plot | None:
    """Draws every paired difference with its interval and the margin; ``None`` where there is none."""
    rows = [row for row in report.comparisons if row.difference is not None]
    if not rows:
        return None

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        if report.margin is not None:
            axis.axvspan(-report.margin, report.margin, color=COLOURS["shade"], zorder=0)
        axis.axvline(0, color=COLOURS["muted"], linewidth=1)
        for place, row in enumerate(reversed(rows)):
            if row.difference is None:
                continue
            colour = COLOURS[_TONE.get(row.verdict, "muted")]
            axis.plot([row.difference.low, row.difference.high], [place, place], color=colour)
            axis.plot([row.difference.mean], [place], "o", color=colour, markersize=7)
            for value in row.per_seed.values():
                axis.plot([value], [place - 0.22], "|", color=COLOURS["muted"], markersize=6)
        names = [
            f"{row.a} \N{MINUS SIGN} {row.b}" + (f"\n{row.setting}" if row.setting else "") for row in rows
        ]
        axis.set_yticks(range(len(rows)), list(reversed(names)))
        axis.tick_params(axis="y", labelcolor=COLOURS["ink"])
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.grid(axis="y", visible=False)
        axis.grid(axis="x", visible=True)
        if report.metric in SHARES:
            as_percent(axis.xaxis)

    return draw(
        "forest",
        "Paired differences",
        f"{METRIC_LABELS[report.metric]}: dot and line are the difference with its interval, small marks the seeds, the band the "
        "margin of equivalence.",
        (8, 0.9 + 0.55 * len(rows)),
        paint,
    )


def curve_plots(report: ExperimentReport) -> list[Plot]:
    """Draws validation accuracy against sampled tokens, for each setting: the mean of the seeds in the band of their range."""
    plots = []
    for number, setting in enumerate(dict.fromkeys(cell.setting for cell in report.cells)):
        cells = [cell for cell in report.cells if cell.setting == setting and len(cell.curve) > 1]
        if cells:
            plots.append(_curves(cells, setting, number))
    return plots


def _curves(cells: Sequence[CellResult], setting: str, number: int) -> Plot:
    methods = list(dict.fromkeys(cell.method for cell in cells))

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, method in enumerate(methods):
            curves = [cell.curve for cell in cells if cell.method == method]
            steps = sorted(set.intersection(*({point.step for point in curve} for curve in curves)))
            at = [
                [next(point for point in curve if point.step == step) for curve in curves] for step in steps
            ]
            tokens = [sum(point.sampled for point in row) / len(row) for row in at]
            means = [sum(point.accuracy for point in row) / len(row) for row in at]
            colour = COLOURS[CYCLE[place % len(CYCLE)]]
            style = "-" if place < len(CYCLE) else "--"
            axis.plot(tokens, means, style, color=colour, label=method)
            if len(curves) > 1:
                low, high = ([bound(point.accuracy for point in row) for row in at] for bound in (min, max))
                axis.fill_between(tokens, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.set_xlabel("tokens sampled")
        as_percent(axis.yaxis)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))

    return draw(
        f"curves{number}",
        "Validation accuracy against sampled tokens" + (f", {setting}" if setting else ""),
        "Lines are means of the seeds, bands their range.",
        (8, 3.4),
        paint,
    )


def pareto_plot(report: ExperimentReport) -> Plot | None:
    """Draws test accuracy against operations, a dot for each cell; ``None`` where no operations are known."""
    cells = [
        (cell, cell.budget.flops, cell.scores[f"{report.split}/accuracy"])
        for cell in report.cells
        if cell.budget and cell.budget.flops and f"{report.split}/accuracy" in cell.scores
    ]
    if not cells:
        return None
    methods = list(dict.fromkeys(cell.method for cell, _, _ in cells))

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axis = figure.subplots()
        for place, method in enumerate(methods):
            mine = [(flops, value) for cell, flops, value in cells if cell.method == method]
            axis.plot(
                [flops for flops, _ in mine],
                [value for _, value in mine],
                "o" if place < len(CYCLE) else "s",
                color=COLOURS[CYCLE[place % len(CYCLE)]],
                label=method,
            )
        spent = [flops for _, flops, _ in cells]
        if max(spent) > 10 * min(spent):
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
        # matplotlib's own labels of powers are in a notation that these plots do not set (names may hold a dollar sign)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axis.set_xlabel("operations (FLOPs)")
        as_percent(axis.yaxis)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))

    return draw(
        "pareto",
        "Accuracy against operations",
        "A dot for each cell. A student that was not trained has no operations, and is left out.",
        (8, 3.4),
        paint,
    )
