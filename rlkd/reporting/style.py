"""The one style of all plots: drawn as inline SVG, in the page's own colours (so that they follow light and dark)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from schemas.report import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Stand-ins that no palette holds; the page gives each its colour for light and for dark.
COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "surface": "#040404",
    "base": "#050505",
    "warm_start": "#060606",
    "rlkd": "#070707",
    "right": "#080808",
    "wrong": "#090909",
    "outcome": "#0a0a0a",
    "structure": "#0b0b0b",
    "format": "#0c0c0c",
    "shade": "#0d0d0d",
}
_VARIABLES = {colour: f"var(--{name.replace('_', '-')})" for name, colour in COLOURS.items()}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names from data may hold a dollar sign
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOURS["grid"],
    "ytick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["muted"],
    "ytick.major.size": 0,
    "text.color": COLOURS["ink"],
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
}


def draw(
    name: str, title: str, caption: str, size: tuple[float, float], paint: Callable[[Figure], None]
) -> Plot:
    """Runs ``paint`` on a new figure of ``size`` inches in the house style and returns it as inline SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The salt makes ids in the SVG the same in every run, and different between plots of one page.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size)
        paint(figure)
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return Plot(name=name, title=title, caption=caption, svg=_inline(text.getvalue(), name, title))


def _inline(svg: str, name: str, title: str) -> str:
    """The ``<svg>`` element alone, scalable, with ids of its own and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
    svg = re.sub(r'id="([A-Za-z0-9_.-]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    # Numbers are set in the page's own typeface, like the text around them.
    svg = re.sub(r"font: ([^;]*?px)[^;\"]*", r"font: \1 var(--font)", svg)
    return re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found[0]], svg)


def shorten(name: str, limit: int = 20) -> str:
    """Shortens a name from the data so that it fits under an axis."""
    return name if len(name) <= limit else name[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def as_percent(axis: Any) -> None:
    """Shows the shares of an axis as percentages, with a decimal where a tick needs it (2.5%, but 5%)."""
    from matplotlib.ticker import FuncFormatter

    def label(value: float, _: object) -> str:
        # + 0.0 makes -0.0 a plain 0
        return f"{round(100 * value, 1) + 0.0:g}%".replace("-", "\N{MINUS SIGN}")

    axis.set_major_formatter(FuncFormatter(label))
