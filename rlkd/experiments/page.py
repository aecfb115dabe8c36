"""``experiment.html`` and ``experiment.json``: the report of an experiment, self-contained."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.experiments.maps import domain_map, pass_plots, regime_maps
from rlkd.experiments.plots import curve_plots, forest_plot, pareto_plot
from rlkd.experiments.verdicts import p_value
from rlkd.io import write_json_atomic, write_text_atomic
from rlkd.reporting.labels import METRIC_LABELS, SHARES, duration, interval, percent, points, signed
from schemas.experiment import Budget, CellResult, EqualBudgetRow, ExperimentReport, MethodRow

if TYPE_CHECKING:
    from jinja2 import Template

RESULT_FILE, PAGE_FILE = "experiment.json", "experiment.html"
_TONES = {
    "better": "good",
    "worse": "bad",
    "equivalent": "done",
    "missing": "failed",
    "not comparable": "failed",
}


def write_experiment(report: ExperimentReport, folder: Path) -> list[Path]:
    """Writes an experiment's report, as JSON and as a page; returns both files."""
    write_json_atomic(folder / RESULT_FILE, report)
    write_text_atomic(folder / PAGE_FILE, render_experiment(report))
    return [folder / RESULT_FILE, folder / PAGE_FILE]


def render_experiment(report: ExperimentReport) -> str:
    """Renders the page of an experiment; every number on it is in the report."""
    accuracy = report.metric in SHARES
    settings = list(dict.fromkeys(row.setting for row in report.ranking))
    done = [cell for cell in report.cells if cell.status == "done"]
    return _template().render(
        report=report,
        css=_resource("rlkd.reporting", "report.css"),
        metric=METRIC_LABELS[report.metric],
        split={"test": "in distribution", "ood": "out of distribution"}[report.split],
        confidence=percent(1 - report.level, 0),
        margin=None
        if report.margin is None
        else points(report.margin).lstrip("+") + " points"
        if accuracy
        else signed(report.margin),
        settings=[(setting, _ranking(report, setting)) for setting in settings],
        tones=_TONES,
        difference=lambda row: _difference(row, accuracy),
        p=lambda row, value: "\N{EN DASH}" if value is None else p_value(value, row.p_is_bound),
        budgets=[(setting, _budgets(done, setting)) for setting in settings],
        equal=[
            ("At equal sampled tokens", "tokens sampled", _equal(report.equal_sampled)),
            ("At equal operations", "operations (FLOPs)", _equal(report.equal_flops)),
        ],
        plots=[
            plot
            for plot in (
                *regime_maps(report),
                forest_plot(report),
                *curve_plots(report),
                pareto_plot(report),
                *pass_plots(report),
                domain_map(report),
            )
            if plot
        ],
        tuning=[(setting, _tuning(report, setting)) for setting in settings] if report.tuning else [],
        tuned_by=report.tuned_by,
        tuning_seconds=duration(sum(row.seconds for row in report.tuning)),
        effect=lambda row: "\N{EN DASH}" if row.effect is None else signed(row.effect),
        missing=[cell for cell in report.cells if cell.status != "done"],
        done=len(done),
        seconds=duration(sum(cell.budget.seconds for cell in done if cell.budget)),
    )


def _ranking(report: ExperimentReport, setting: str) -> list[dict[str, Any]]:
    accuracy = report.metric in SHARES
    return [
        {
            "method": row.method,
            "value": _value(row, accuracy),
            "seeds": ", ".join(
                f"{seed}: {_number(row.per_seed[str(seed)], accuracy)}"
                if str(seed) in row.per_seed
                else f"{seed}: missing"
                for seed in row.seeds
            ),
            "truncated": _share(row.truncated),
            "start": _share(row.shown.get("train/start")),
            "faithful": _share(row.shown.get("faithful")),
            "no_signal": _share(row.shown.get("train/silent")),
            "alarms": "\N{EN DASH}"
            if "train/alarms" not in row.shown
            else f"{row.shown['train/alarms']:.1f}",
        }
        for row in report.ranking
        if row.setting == setting
    ]


def _share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else percent(value)


def _value(row: MethodRow, accuracy: bool) -> str:
    if row.value is None:
        return f"seed{'s' if len(row.missing) > 1 else ''} {', '.join(map(str, row.missing))} missing"
    return interval(row.value, as_percent=accuracy)


def _number(value: float, accuracy: bool) -> str:
    return percent(value) if accuracy else f"{value:.3f}"


def _difference(row: Any, accuracy: bool) -> str:
    if row.difference is None:
        return "\N{EN DASH}"
    show = points if accuracy else signed
    return f"{show(row.difference.mean)} [{show(row.difference.low)}, {show(row.difference.high)}]"


def _budgets(cells: list[CellResult], setting: str) -> list[dict[str, str]]:
    """Budgets of each method, a mean over its finished seeds, which are counted."""
    by_method: dict[str, list[Budget]] = {}
    for cell in cells:
        if cell.setting == setting and cell.budget is not None:
            by_method.setdefault(cell.method, []).append(cell.budget)
    return [
        {
            "method": method,
            "seeds": str(len(found)),
            "parameters": _count(found[0].parameters),
            **{
                name: _count(sum(getattr(budget, name) for budget in found) / len(found))
                for name in ("sampled", "trained", "teacher", "scored", "judged", "steps")
            },
            "money": _money([budget.money for budget in found]),
            "flops": _flops([budget.flops for budget in found]),
            "time": duration(sum(budget.seconds for budget in found) / len(found)),
        }
        for method, found in by_method.items()
    ]


def _tuning(report: ExperimentReport, setting: str) -> list[dict[str, Any]]:
    """The values tried for each method, as they stand in the table."""
    as_accuracy = report.tuned_by.endswith("accuracy")
    return [
        {
            "method": row.method,
            "tuned": row.tuned or "nothing to tune",
            "value": "\N{EN DASH}" if not row.tuned else json.dumps(row.value),
            "score": "\N{EN DASH}" if row.score is None else _number(row.score, as_accuracy),
            "seeds": ", ".join(
                f"{seed}: {_number(value, as_accuracy)}" for seed, value in row.per_seed.items()
            ),
            "missing": ", ".join(row.missing) + (f" ({row.error})" if row.error else ""),
            "chosen": row.chosen,
            "at_edge": row.at_edge,
            "flops": _flops([row.flops]),
            "time": duration(row.seconds),
        }
        for row in report.tuning
        if row.setting == setting
    ]


def _flops(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.2e}" if len(known) == len(values) else "\N{EN DASH}"


def _money(values: list[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.2f}" if mean else "\N{EN DASH}"


def _count(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,.0f}"


def _equal(rows: tuple[EqualBudgetRow, ...]) -> list[dict[str, str]]:
    return [
        {
            "setting": row.setting,
            "method": row.method,
            "budget": f"{row.budget:,.0f}" if row.budget < 1e9 else f"{row.budget:.2e}",
            "accuracy": "\N{EN DASH}" if row.accuracy is None else percent(row.accuracy),
        }
        for row in sorted(rows, key=lambda row: (row.setting, -(row.accuracy or 0)))
    ]


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("rlkd.experiments", "experiment.html.j2"))


def _resource(package: str, name: str) -> str:
    return (files(package) / "templates" / name).read_text(encoding="utf-8")
