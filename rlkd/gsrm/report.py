"""The figures of a trained GSRM for people."""

from __future__ import annotations

from schemas.evaluation import Interval
from schemas.gsrm import GsrmFigures, GsrmReport

_HEAD = "| paths | n | steps | step F1 | boundary F1 | sub-problem F1 | answer F1 | depends on | exact paths | failed |"
_LINE = "|---|---|---|---|---|---|---|---|---|---|"


def report_markdown(name: str, report: GsrmReport) -> str:
    """Renders the report as ``gsrm.md``."""
    rows = [("all", report.all)]
    rows += [(f"domain {key}", own) for key, own in report.by_domain.items() if len(report.by_domain) > 1]
    rows += [(f"kind {key}", own) for key, own in report.by_kind.items() if len(report.by_kind) > 1]
    if report.rules is not None:
        rows.append(("all, by `rules`", report.rules))
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(report.faults.items())) or "none"
    return "\n".join(
        [
            f"# {name}: a GSRM as a decomposer of held-out paths",
            "",
            f"Decomposer `{report.decomposer}`, measured against `{report.reference}` on problems that training did not see.",
            "A step is right if its span, its sub-problem and its answer all are. Intervals: bootstrap over problems.",
            "",
            _HEAD,
            _LINE,
            *(_row(label, own) for label, own in rows),
            "",
            f"Without a readable decomposition: {faults}. Decomposing took {report.seconds:.0f} s.",
            "",
        ]
    )


def _row(label: str, own: GsrmFigures) -> str:
    depends = "" if own.depends_on is None else f"{own.depends_on:.3f}"
    intervals = " | ".join(
        _interval(value) for value in (own.step, own.boundary, own.sub_problem, own.answer)
    )
    return f"| {label} | {own.paths} | {own.steps} | {intervals} | {depends} | {own.exact:.3f} | {own.failed:.3f} |"


def _interval(value: Interval) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"
