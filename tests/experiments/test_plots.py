"""Plots of an experiment: what is drawn, and what is left out."""

from __future__ import annotations

import pytest

from rlkd.experiments.plots import curve_plots, forest_plot, pareto_plot
from schemas.evaluation import Interval
from schemas.experiment import Budget, CellResult, ComparisonRow, CurvePoint, ExperimentReport


def cell(method: str, seed: int, flops: float | None, points: int = 3) -> CellResult:
    curve = tuple(CurvePoint(step=i, sampled=100 * i, flops=None, accuracy=0.1 * i) for i in range(points))
    return CellResult(
        cell=f"{method}-{seed}",
        method=method,
        seed=seed,
        status="done",
        scores={"test/accuracy": 0.5},
        budget=Budget(flops=flops),
        curve=curve,
    )


def test_an_experiment_without_comparisons_curves_and_operations_has_no_plots() -> None:
    report = ExperimentReport(name="x", cells=(cell("sft", 0, None, points=0),))
    assert forest_plot(report) is None
    assert curve_plots(report) == []
    assert pareto_plot(report) is None


def test_comparisons_that_could_not_be_made_are_left_out_of_the_forest() -> None:
    made = ComparisonRow(
        a="new",
        b="old",
        setting="",
        verdict="better",
        sentence="",
        difference=Interval(mean=0.1, low=0.05, high=0.15, n=9),
        per_seed={"0": 0.1},
    )
    missing = ComparisonRow(a="new", b="older", setting="", verdict="missing", sentence="")
    plot = forest_plot(ExperimentReport(name="x", margin=0.02, comparisons=(made, missing)))
    assert plot is not None
    assert "new \N{MINUS SIGN} old" in plot.svg
    assert "older" not in plot.svg
    # From -2.5% to 15% in steps of 2.5 points: none is rounded to a neighbour's whole number.
    assert "2.5%" in plot.svg
    assert "3%" not in plot.svg
    assert "var(--right)" in plot.svg  # a gain has the colour of right answers, in light and in dark


def test_curves_name_each_method_once() -> None:
    cells = tuple(cell(method, seed, 1.0) for method in ("one", "two") for seed in (0, 1))
    [plot] = curve_plots(ExperimentReport(name="x", cells=cells))
    assert plot.svg.count(">one<") == plot.svg.count(">two<") == 1


@pytest.mark.parametrize(
    "other", [2e9, 5e12]
)  # a linear axis within a power of ten, a logarithmic one beyond
def test_labels_of_operations_are_plain_numbers(other: float) -> None:
    plot = pareto_plot(ExperimentReport(name="x", cells=(cell("one", 0, 1e9), cell("two", 0, other))))
    assert plot is not None
    assert "mathdefault" not in plot.svg
    assert "e+09" in plot.svg
