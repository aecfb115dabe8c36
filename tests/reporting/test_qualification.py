"""The qualification in the report: tables, plot, findings, the contract; also where the run was refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.io import write_json_atomic
from rlkd.qualification.variants import EXPECTED
from rlkd.reporting.collect import collect
from rlkd.reporting.finalise import finalise_report
from rlkd.reporting.html import render_html
from rlkd.reporting.markdown import render_markdown
from rlkd.reporting.qualification import (
    qualification_content,
    qualification_plot,
    qualification_sentence,
    tables,
)
from schemas.artifact import RunManifest
from schemas.config.pipeline import PipelineConfig
from schemas.qualification import Auroc, Cost, Qualification, Repeatability, Sensitivity, Separation, YesBias
from schemas.report import PipelineReport

Config = Callable[..., PipelineConfig]
Run = Callable[..., RunManifest]
PART = Separation(
    pairs=120,
    right=60,
    structure=Auroc(value=0.93, low=0.91, high=0.95),
    baselines={"length": Auroc(value=0.6, low=0.5, high=0.7)},
    best_baseline="length",
    gap=Auroc(value=0.33, low=0.3, high=0.36),
)


def measured(folder: Path, **changes: Any) -> Path:
    """A finished qualify stage."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = tuple(
        Sensitivity(
            change=name,
            expected=expected,
            n=50,
            share=1.0,
            mean_before=0.9,
            mean_after=0.0 if name == "empty" else 0.5,
        )
        for name, expected in EXPECTED.items()
    )
    values: dict[str, Any] = {
        "source": "labelled <b>solutions</b>",
        "decomposer": "rules@1",
        "judge": "rules@1",
        "alignment": "structure",
        "pairs": 120,
        "right": 60,
        "full": PART,
        "hidden": PART,
        "sensitivities": rows,
        "yes_bias": (YesBias(question="intent", n=50, mean=0.25, share=0.04),),
        "repeatability": Repeatability(n=30, unchanged=1.0, identical=0.9, largest=0.011),
        "paths": 100,
        "parse_failures": 1,
        "scored": 900,
        "missing": 0,
        "cost": Cost(
            completions=30, seconds=12.5, requests=4000, prompt_tokens=123456.0, completion_tokens=789.0
        ),
    }
    write_json_atomic(folder / "qualification.json", Qualification(**{**values, **changes}))
    return folder


def test_rows_as_text(tmp_path: Path, config_of: Config) -> None:
    found = tables(qualification_content(config_of(), measured(tmp_path)))
    assert found.separation == [
        ("structure", "0.930 [0.910, 0.950]", "0.930 [0.910, 0.950]"),
        ("length", "0.600 [0.500, 0.700]", "0.600 [0.500, 0.700]"),
        ("structure less the best of the others", "+0.330 [+0.300, +0.360]", "+0.330 [+0.300, +0.360]"),
    ]
    assert found.changes[2] == (
        "a dependent step moved to before what it uses",
        "falls",
        "100.0%",
        "50",
        "0.900 \N{RIGHTWARDS ARROW} 0.500",
    )
    assert found.bias == [("same intent", "0.250", "4.0%", "50")]
    assert found.checks[0][1:] == ("0.910", "at least 0.7", "met", "60", "qualify.thresholds.auroc_hidden")
    facts = " ".join(found.facts)
    assert (
        "90.0% of 30 scores are identical, 100.0% the same within 0.02; the largest difference is 0.011"
        in facts
    )
    assert "1,000 completions cost 12.5 s, 4,000 requests, 123,456 prompt and 789 output tokens" in facts
    assert "1 of 100 paths that hold steps could not be read" in facts


def test_nothing_to_tell_apart_leaves_dashes_and_no_plot(tmp_path: Path, config_of: Config) -> None:
    none = Separation(pairs=5, right=5)
    empty = tuple(Sensitivity(change=name, expected=expected, n=0) for name, expected in EXPECTED.items())
    folder = measured(
        tmp_path, hidden=none, full=none, sensitivities=empty, cost=None, repeatability=None, yes_bias=()
    )
    content = qualification_content(config_of(), folder)
    found = tables(content)
    assert found.separation[0] == ("structure", "\N{EN DASH}", "\N{EN DASH}")
    assert found.changes[0][2:] == ("\N{EN DASH}", "0", "\N{EN DASH}")
    assert found.checks[0][1] == "not measured"
    assert qualification_plot(content) is None
    assert qualification_sentence(content).tone == "unsure"  # nothing was measured: no pass


@pytest.mark.slow
def test_the_report_shows_it(tmp_path: Path, stages: dict[str, Path], config_of: Config, run_of: Run) -> None:
    inputs = {**stages, "qualify": measured(tmp_path / "q")}
    config = config_of()
    content = collect(config, inputs)
    assert content.qualification is not None
    assert content.qualification.verdict.passed
    assert "qualification" in {plot.name for plot in content.plots}
    assert not any("structure reward" in sentence.text for sentence in content.headline)
    page, text = render_html(content, run_of(config)), render_markdown(content, run_of(config))
    for shown in (page, text):
        assert "Qualification of the reward" in shown
        assert "qualify.thresholds." in shown and "auroc_hidden" in shown
        assert "<b>solutions</b>" not in shown
    assert 'href="#qualification"' in page
    assert 'id="qualification"' in page
    assert page.count("<svg") == len(content.plots)
    assert "Qualification" not in render_html(collect(config, stages), run_of(config))


@pytest.mark.slow
def test_a_miss_that_only_warns_is_a_finding(
    tmp_path: Path, stages: dict[str, Path], config_of: Config
) -> None:
    config = config_of(qualify={"thresholds": {"auroc_hidden": 0.92}})
    content = collect(config, {**stages, "qualify": measured(tmp_path / "q")})
    last = content.headline[-1]
    assert last.tone == "bad"
    assert "misses 1 of 15 thresholds" in last.text
    assert last.text.endswith("RL went on, as qualify.action is auto.")


def test_a_refused_run_reports_what_refused_it(tmp_path: Path, config_of: Config, run_of: Run) -> None:
    config = config_of(qualify={"thresholds": {"auroc_hidden": 0.92}, "action": "refuse"})
    content = collect(config, {"qualify": measured(tmp_path / "q")})
    done = list(run_of(config).stages[:4])
    failed = done[0].model_copy(
        update={
            "name": "qualify",
            "status": "failed",
            "error": "the structure reward misses 1 of 15 thresholds",
        }
    )
    (tmp_path / "run").mkdir()
    made = finalise_report(
        tmp_path / "run", run_of(config, stages=(*done, failed), status="failed"), None, content
    )
    assert made.qualification is not None
    assert not made.qualification.verdict.passed
    assert made.qualification.verdict.refused
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert PipelineReport.model_validate(report) == made
    missed = [check for check in report["qualification"]["verdict"]["checks"] if check["status"] == "missed"]
    assert [(check["name"], check["value"], check["limit"]) for check in missed] == [
        ("auroc_hidden", 0.91, 0.92)
    ]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "MISSED" in page
    assert "<svg" in page
    assert "The stage <b>qualify</b> failed" in page


def test_a_run_without_a_qualification_says_null(tmp_path: Path, config_of: Config, run_of: Run) -> None:
    finalise_report(tmp_path, run_of(config_of(), status="failed"), None)
    assert json.loads((tmp_path / "report.json").read_text())["qualification"] is None
