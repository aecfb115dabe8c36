"""``report.html``: one self-contained page, every text of a model or a dataset escaped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rlkd.reporting import benchmarks
from rlkd.reporting.highlight import Piece, pieces
from rlkd.reporting.labels import (
    CHECKPOINT_LABELS,
    KIND_LABELS,
    SPLIT_LABELS,
    duration,
    intervals_note,
    percent,
    problems_of,
    reason,
)
from rlkd.reporting.qualification import qualification_sentence, tables
from rlkd.reporting.tables import checkpoint_rows, difference_rows, figures, pass_columns, stage_views
from schemas.artifact import RunManifest
from schemas.evaluation import SampleCompletion, SampleProblem
from schemas.report import ReportContent

if TYPE_CHECKING:
    from jinja2 import Template

_PLOTS = (
    "checkpoints",
    "rl_curves",
    "warm_start_loss",
    "quadrants",
    "difficulty",
    "domains",
    "qualification",
)
_SPLIT_WORDS = {
    "train": "training",
    "validation": "validation",
    "test": "the test in distribution",
    "ood": "the test out of distribution",
}
_KEPT_WORDS = {name: f"Kept for {words}" for name, words in _SPLIT_WORDS.items()} | {
    "unused": "Not asked for"
}


@dataclass(frozen=True)
class _Column:
    """One path of a sample."""

    who: str
    label: str
    verdict: str
    tone: str
    score: str
    pieces: list[Piece]
    empty: str


def render_html(content: ReportContent, run: RunManifest) -> str:
    """The page for a run. Cheap: plots are in ``content`` already."""
    report = content.evaluation
    values: dict[str, Any] = {
        "content": content,
        "run": run,
        "css": _resource("report.css"),
        "wall": duration(run.wall_seconds),
        "plots": dict.fromkeys(_PLOTS) | {plot.name: plot for plot in content.plots},
        "figures": figures(content, run),
        "evaluation": report,
        "stages": stage_views(run),
        "samples": [_sample(sample) for sample in content.samples],
        "config": config_yaml(run),
        "qualification": None,
        "reason": reason,
        "share": lambda part, whole: percent(part / whole if whole else 0.0),
        "kept_words": _KEPT_WORDS,
    }
    if content.qualification is not None:
        values.update(
            qualification=tables(content.qualification), verdict=qualification_sentence(content.qualification)
        )
    if report is not None:
        rows = {split: checkpoint_rows(report, split) for split in SPLIT_LABELS}
        values.update(
            confidence=f"{report.confidence:.0%}",
            intervals_note=intervals_note(report),
            splits=[
                (label, problems_of(report, split, rows[split][0].n), rows[split])
                for split, label in SPLIT_LABELS.items()
                if rows[split]
            ],
            pass_columns=pass_columns(report),
            differences=difference_rows(report),
            has_f1=any(m.overall.f1 for m in report.checkpoints),
            benchmark_columns=benchmarks.BENCHMARK_COLUMNS,
            benchmarks=benchmarks.benchmark_rows(report),
            benchmarks_note=benchmarks.BENCHMARKS_NOTE,
            benchmark_notes=benchmarks.benchmark_notes(report),
            benchmark_difference_columns=benchmarks.DIFFERENCE_COLUMNS,
            benchmark_differences=benchmarks.difference_rows(report),
        )
    return _template().render(values)


def config_yaml(run: RunManifest) -> str:
    """The run's resolved configuration as YAML."""
    from rlkd.config.strict_yaml import dump_yaml

    return dump_yaml(run.config, width=100)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("report.html.j2"))


def _resource(name: str) -> str:
    return (files("rlkd.reporting") / "templates" / name).read_text(encoding="utf-8")


def _sample(sample: SampleProblem) -> dict[str, Any]:
    columns = [
        _Column(
            who="teacher",
            label="Teacher",
            verdict=f"answer {sample.answer}",
            tone="",
            score="",
            pieces=pieces(sample.teacher_path.rstrip(), sample.teacher_steps, "student"),
            empty="no teacher path",
        )
    ]
    columns.extend(_column(completion) for completion in sample.completions)
    return {
        **sample.model_dump(include={"kind", "difficulty", "domain", "problem_id", "question"}),
        "kind_label": KIND_LABELS[sample.kind],
        "split_label": SPLIT_LABELS[sample.split],
        "columns": columns,
    }


def _column(completion: SampleCompletion) -> _Column:
    verdict, tone = {True: ("right", "good"), False: ("wrong", "bad"), None: ("not judged", "")}[
        completion.correct
    ]
    return _Column(
        who=completion.checkpoint,
        label=CHECKPOINT_LABELS[completion.checkpoint],
        verdict=verdict,
        tone=tone,
        score="" if completion.structure is None else f"structure {completion.structure:.2f}",
        pieces=pieces(completion.text.rstrip(), completion.steps, "teacher"),
        empty="only white space" if completion.text else "empty",
    )
