from __future__ import annotations

from rlkd.experiments.maps import domain_map, pass_plots, regime_maps
from schemas.evaluation import Interval
from schemas.experiment import CellResult, ComparisonRow, ExperimentReport, MethodRow


def row(axes: dict[str, str], mean: float | None) -> ComparisonRow:
    found = None if mean is None else Interval(mean=mean, low=mean - 0.02, high=mean + 0.02, n=9)
    setting = ", ".join(axes.values())
    return ComparisonRow(
        a="new", b="old", setting=setting, axes=dict(axes), verdict="missing" if mean is None else "better",
        sentence="", difference=found,
    )  # fmt: skip


def test_a_map_has_a_square_for_every_setting() -> None:
    rows = [
        row({"start": start, "answer": answer}, mean)
        for start, answer, mean in (
            ("1%", "numbers", 0.06), ("1%", "choices", 0.01), ("20%", "numbers", -0.03), ("20%", "choices", None),
            ("60%", "numbers", 0.0), ("60%", "choices", 0.02),
        )
    ]  # fmt: skip
    (plot,) = regime_maps(ExperimentReport(name="x", comparisons=tuple(rows)))
    for text in ("+6.0", "[+4.0, +8.0]", "\N{MINUS SIGN}3.0", "missing", "1%", "20%", "numbers", "choices"):
        assert text in plot.svg
    assert "Where it pays: new \N{MINUS SIGN} old" in plot.title


def test_one_setting_makes_no_map() -> None:
    assert regime_maps(ExperimentReport(name="x", comparisons=(row({"start": "1%"}, 0.1),))) == []
    assert regime_maps(ExperimentReport(name="x", comparisons=(row({}, 0.1),))) == []


def cell(method: str, seed: int, domains: dict[str, float], status: str = "done") -> CellResult:
    return CellResult.model_validate(
        {"cell": f"{method}{seed}", "method": method, "seed": seed, "status": status, "domains": domains}
    )


def test_methods_by_domain_leave_out_a_method_with_a_missing_seed() -> None:
    whole = [cell("a", seed, {"logic": 0.2 + 0.2 * seed, "math": 0.9}) for seed in (0, 1)]
    part = [cell("b", 0, {"logic": 0.5, "math": 0.5}), cell("b", 1, {}, "failed")]
    plot = domain_map(ExperimentReport(name="x", cells=(*whole, *part)))
    assert plot is not None
    assert "30.0%" in plot.svg  # (0.2 + 0.4) / 2
    assert "50.0%" not in plot.svg
    assert plot.svg.count("missing") == 2
    assert domain_map(ExperimentReport(name="x", cells=(cell("a", 0, {"math": 0.5}),))) is None


def test_pass_at_k_is_drawn_where_there_are_two_ks() -> None:
    def method(name: str, shown: dict[str, float]) -> MethodRow:
        return MethodRow(
            method=name, setting="", seeds=(0,), missing=(), value=None, per_seed={}, shown=shown
        )

    rows = (method("one", {"pass@1": 0.3, "pass@64": 0.8, "faithful": 0.1}), method("two", {"pass@1": 0.5}))
    (plot,) = pass_plots(ExperimentReport(name="x", ranking=rows))
    assert ">one<" in plot.svg
    assert ">two<" not in plot.svg
    assert pass_plots(ExperimentReport(name="x", ranking=rows[1:])) == []
