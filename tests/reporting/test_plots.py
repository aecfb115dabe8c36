from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rlkd.evaluation.metrics import Resampling, build_report
from rlkd.reporting.plots import (
    checkpoints_plot,
    curves_plot,
    difficulty_plot,
    domain_plot,
    loss_plot,
    quadrants_plot,
)
from rlkd.reporting.series import Series
from rlkd.reporting.style import COLOURS, draw, shorten
from schemas.evaluation import EvalReport, ProblemOutput
from schemas.report import Plot

Students = Callable[..., list[ProblemOutput]]
SKILL = {"base": 0.2, "rlkd": 0.8}


def report_of(rows: list[ProblemOutput]) -> EvalReport:
    return build_report(rows, how=Resampling(resamples=100))


def texts(plot: Plot) -> list[str]:
    return [found.strip() for found in re.findall(r"<text[^>]*>([^<]*)</text>", plot.svg)]


def test_a_plot_is_inline_scalable_and_in_the_pages_colours(students: Students) -> None:
    plot = checkpoints_plot(report_of(students(SKILL)))
    assert plot.svg.startswith('<svg role="img" aria-label="Checkpoints with intervals"')
    opening = plot.svg[: plot.svg.index(">")]
    assert "viewBox" in opening
    assert not re.search(r'\s(width|height)="', opening)
    assert "var(--rlkd)" in plot.svg
    assert "var(--base)" in plot.svg
    assert not any(colour in plot.svg for colour in COLOURS.values())
    assert "<metadata>" not in plot.svg
    assert {"Base", "RLKD", "In distribution", "Out of distribution"} <= set(texts(plot))
    ids = re.findall(r'\bid="([^"]+)"', plot.svg)
    assert len(ids) == len(set(ids))
    assert all(name.startswith("checkpoints-") for name in ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', plot.svg)) <= set(ids)


def test_plots_are_the_same_every_time(students: Students) -> None:
    report = report_of(students(SKILL))
    assert checkpoints_plot(report) == checkpoints_plot(report)


def test_one_split_needs_no_legend(students: Students) -> None:
    assert "Out of distribution" not in texts(checkpoints_plot(report_of(students(SKILL, ood=0))))


def test_slices_are_drawn_only_where_there_are_several(students: Students) -> None:
    one = report_of(students(SKILL, test=10, ood=0, domains=("logic",)))
    assert domain_plot(one) is None
    flat = [row.model_copy(update={"difficulty": 4}) for row in students(SKILL, 10, 0)]
    assert difficulty_plot(report_of(flat)) is None
    assert difficulty_plot(report_of([row.model_copy(update={"difficulty": None}) for row in flat])) is None
    several = difficulty_plot(one)
    assert several is not None
    assert {"3", "4", "5"} <= set(texts(several))


def test_names_from_data_are_text(students: Students) -> None:
    rows = students(SKILL, 12, 0, domains=("$\\frac{1}$<b>", "a very long name of a domain"))
    plot = domain_plot(report_of(rows))
    assert plot is not None
    assert "$\\frac{1}$&lt;b&gt;" in plot.svg
    assert "a very long name of…" in texts(plot)
    assert "<b>" not in plot.svg


def test_shorten_keeps_what_fits() -> None:
    assert shorten("x" * 20) == "x" * 20
    assert shorten("x" * 21) == "x" * 19 + "…"


def test_missing_curves_leave_their_legend_out() -> None:
    line = Series((0, 1, 2), (0.1, 0.2, 0.3))
    plot = curves_plot({"reward": line, "no_signal": line}, Series())
    assert "Reward" in texts(plot)
    assert not {"Structure", "Validation accuracy (greedy)"} & set(texts(plot))
    assert "Validation accuracy (greedy)" in texts(curves_plot({"reward": line}, line))


def test_loss_without_validation_names_no_best() -> None:
    line = Series((1, 2), (2.0, 1.0))
    assert "Best: goes on" not in texts(loss_plot(line, Series()))
    assert "Best: goes on" in texts(loss_plot(Series(), line))


def test_quadrants_leave_out_what_has_no_score(students: Students) -> None:
    rows = [row.model_copy(update={"structure": None, "correct": None}) for row in students(SKILL, 4, 0)]
    plot = quadrants_plot(rows, ["base"])
    assert "Base" in texts(plot)
    assert "RLKD" not in texts(plot)


def test_an_empty_figure_is_a_plot() -> None:
    assert draw("x", "Empty", "", (2, 1), lambda figure: None).svg.endswith("</svg>\n")


@pytest.mark.parametrize("count", [1, 3, 40])
def test_any_number_of_steps(count: int) -> None:
    series = Series(tuple(range(count)), tuple(0.5 for _ in range(count)))
    assert "Reward" in texts(curves_plot({"reward": series}, Series()))
