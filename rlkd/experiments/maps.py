"""Maps of an experiment: where one method pays over another, by the axes of the grid; methods by domain; pass@k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlkd.experiments.plots import CYCLE
from rlkd.reporting.labels import SHARES, percent, points, signed
from rlkd.reporting.style import COLOURS, as_percent, draw
from schemas.experiment import ComparisonRow, ExperimentReport
from schemas.report import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALPHA = 0.16, 0.6
"""Opacity of the faintest and of the strongest cell of a map."""


def regime_maps(report: ExperimentReport) -> list[Plot]:
    """Draws A minus B with its interval in every setting of the grid, for each pair that has more than one setting.

    The axis with the most values runs down, the next across; further axes are named beside the first.
    """
    pairs = list(dict.fromkeys((row.a, row.b) for row in report.comparisons))
    plots = []
    for number, (a, b) in enumerate(pairs):
        rows = [row for row in report.comparisons if (row.a, row.b) == (a, b) and row.axes]
        if len(rows) > 1:
            plots.append(_regimes(report, a, b, rows, number))
    return plots


def _regimes(report: ExperimentReport, a: str, b: str, rows: Sequence[ComparisonRow], number: int) -> Plot:
    values = {axis: list(dict.fromkeys(str(row.axes[axis]) for row in rows)) for axis in rows[0].axes}
    axes = sorted((axis for axis in values if len(values[axis]) > 1), key=lambda axis: -len(values[axis]))
    across = axes[1] if len(axes) > 1 else None
    down = [axis for axis in axes if axis != across]

    def place(row: ComparisonRow) -> tuple[str, str]:
        return ", ".join(str(row.axes[axis]) for axis in down), "" if across is None else str(
            row.axes[across]
        )

    lines = list(dict.fromkeys(place(row)[0] for row in rows))
    columns = list(dict.fromkeys(place(row)[1] for row in rows))
    largest = max((abs(row.difference.mean) for row in rows if row.difference), default=0.0) or 1.0
    show = points if report.metric in SHARES else signed

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for row in rows:
            line, column = place(row)
            x, y = columns.index(column), len(lines) - 1 - lines.index(line)
            if row.difference is None:
                _square(axis, x, y, "muted", 0.05, row.verdict)
                continue
            found = row.difference
            tone = "right" if found.mean > 0 else "wrong"
            sure = found.low > 0 or found.high < 0
            text = f"{show(found.mean)}\n[{show(found.low)}, {show(found.high)}]"
            _square(axis, x, y, tone, abs(found.mean) / largest, text, bold=sure)
        _frame(axis, columns, lines, across.rpartition(".")[2] if across else "")

    return draw(
        f"regimes{number}",
        f"Where it pays: {a} \N{MINUS SIGN} {b}",
        "The difference with its interval in each setting; bold where the interval leaves out 0.",
        (max(8.0, 1.6 + 1.7 * len(columns)), 0.8 + 0.62 * len(lines)),
        paint,
    )


def domain_map(report: ExperimentReport) -> Plot | None:
    """Draws the accuracy of each method in each domain, the mean of its seeds; ``None`` below two domains.

    A method with a missing seed has an empty line, as it has no mean.
    """
    domains = list(dict.fromkeys(name for cell in report.cells for name in cell.domains))
    if len(domains) < 2:
        return None
    places = list(dict.fromkeys((cell.method, cell.setting) for cell in report.cells))

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for line, (method, setting) in enumerate(places):
            cells = [c for c in report.cells if (c.method, c.setting) == (method, setting)]
            whole = all(cell.status == "done" for cell in cells)
            for x, domain in enumerate(domains):
                found = [cell.domains[domain] for cell in cells if domain in cell.domains]
                y = len(places) - 1 - line
                if whole and len(found) == len(cells):
                    mean = sum(found) / len(found)
                    _square(axis, x, y, "rlkd", mean, percent(mean))
                else:
                    _square(axis, x, y, "muted", 0.05, "missing")
        _frame(axis, domains, [f"{m}, {s}" if s else m for m, s in places], "")

    return draw(
        "domains",
        "Method by domain",
        "Greedy accuracy, the mean of the seeds.",
        (max(8.0, 2.2 + 1.2 * len(domains)), 0.8 + 0.42 * len(places)),
        paint,
    )


def pass_plots(report: ExperimentReport) -> list[Plot]:
    """Draws pass@k against k for each setting in which methods were sampled: does training sharpen, or widen?"""
    plots = []
    for number, setting in enumerate(dict.fromkeys(row.setting for row in report.ranking)):
        curves = {
            row.method: sorted(
                (int(name.removeprefix("pass@")), value)
                for name, value in row.shown.items()
                if name.startswith("pass@")
            )
            for row in report.ranking
            if row.setting == setting
        }
        curves = {method: found for method, found in curves.items() if len(found) > 1}
        if curves:
            plots.append(_passes(curves, setting, number))
    return plots


def _passes(curves: dict[str, list[tuple[int, float]]], setting: str, number: int) -> Plot:
    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, (method, found) in enumerate(curves.items()):
            style = "o-" if place < len(CYCLE) else "s--"
            axis.plot(
                *zip(*found, strict=True), style, color=COLOURS[CYCLE[place % len(CYCLE)]], label=method
            )
        ks = sorted({k for found in curves.values() for k, _ in found})
        axis.set_xscale("log", base=2)
        axis.set_xticks(ks, [str(k) for k in ks])
        axis.set_xlabel("k")
        as_percent(axis.yaxis)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))

    return draw(
        f"pass{number}",
        "pass@k" + (f", {setting}" if setting else ""),
        "Share of problems that one of k samples solves (the unbiased estimate), the mean of the seeds. A method that is ahead "
        "at k = 1 and behind at large k sharpens what the student could do before.",
        (8, 3.4),
        paint,
    )


def _square(axis: Axes, x: int, y: int, tone: str, strength: float, text: str, *, bold: bool = False) -> None:
    from matplotlib.patches import Rectangle

    faint, strong = _ALPHA
    opacity = faint + (strong - faint) * min(1.0, strength)
    axis.add_patch(
        Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=COLOURS[tone], alpha=opacity, linewidth=0)
    )
    weight = "bold" if bold else "normal"
    axis.text(x, y, text, ha="center", va="center", color=COLOURS["ink"], fontsize=8.5, fontweight=weight)


def _frame(axis: Axes, columns: Sequence[str], lines: Sequence[str], across: str) -> None:
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(-0.5, len(lines) - 0.5)
    axis.set_xticks(range(len(columns)), list(columns))
    axis.set_yticks(range(len(lines)), list(reversed(lines)))
    axis.xaxis.tick_top()
    axis.set_xlabel(across)
    axis.xaxis.set_label_position("top")
    axis.grid(visible=False)
    axis.tick_params(labelcolor=COLOURS["ink"])
    axis.spines["bottom"].set_visible(False)
