from __future__ import annotations

from rlkd.reporting.benchmarks import benchmark_notes, benchmark_rows, difference_rows
from rlkd.reporting.html import render_html
from rlkd.reporting.labels import intervals_note, problems_of
from rlkd.reporting.markdown import render_markdown
from rlkd.reporting.tables import pipeline_report
from schemas.artifact import RunManifest
from schemas.benchmarks import BenchmarkDifference, BenchmarkFigures, Figure
from schemas.evaluation import EvalReport
from schemas.report import ReportContent

HALF = Figure(mean=0.5, se=0.1, low=0.3, high=0.7, n=25, clusters=10)


def figures(model: str, name: str = "coqa") -> BenchmarkFigures:
    metrics = {"exact_match": HALF, "f1": HALF} if name == "coqa" else {"accuracy": HALF}
    return BenchmarkFigures(
        benchmark=name,
        split="test",
        model=model,
        problems=25,
        greedy=metrics,
        greedy_strict=metrics,
        tokens=9.0,
        truncated=0.04,
        undecided={"time": 2},
        notes=("3 malformed rows left out",),
    )


GAIN = BenchmarkDifference(
    benchmark="coqa",
    a="base",
    b="rlkd",
    reading="strict",
    metric="exact_match",
    difference=Figure(mean=0.08, se=0.1, low=-0.02, high=0.17, n=25, clusters=10),
)
REPORT = EvalReport(
    checkpoints=(),
    paired=(),
    benchmarks=(figures("base"), figures("rlkd"), figures("base", "arc")),
    benchmark_differences=(GAIN,),
)


def test_rows_are_by_benchmark_with_its_own_metric() -> None:
    rows = benchmark_rows(REPORT)
    assert [row[:2] for row in rows] == [
        ("arc (25 in 10 clusters)", "Base"),
        ("coqa (25 in 10 clusters)", "Base"),
        ("coqa (25 in 10 clusters)", "RLKD"),
    ]
    assert rows[0][2] == "50.0% [30.0, 70.0]"
    assert rows[1][2] == "EM 50.0% [30.0, 70.0]; F1 50.0% [30.0, 70.0]"
    assert rows[1][-2:] == ("4.0%", "2")
    assert benchmark_notes(REPORT)[0] == "coqa: 3 malformed rows left out"
    assert any("count as wrong): 2 x time" in note for note in benchmark_notes(REPORT))


def test_the_report_shows_them_three_times() -> None:
    content = ReportContent(title="t", evaluation=REPORT)
    run = RunManifest(name="t", config={}, config_digest="d", store="s", stages=(), status="done")
    for page in (render_html(content, run), render_markdown(content, run)):
        assert "EM 50.0% [30.0, 70.0]; F1 50.0% [30.0, 70.0]" in page
        assert "majority@k" in page
        for text in difference_rows(REPORT)[0]:
            assert text in page
    assert pipeline_report(content, run).benchmark_differences == (GAIN,)
    assert pipeline_report(content, run).benchmarks == REPORT.benchmarks


def test_differences_are_in_points() -> None:
    assert difference_rows(REPORT) == [
        (
            "coqa (25 in 10 clusters)",
            "Base \N{RIGHTWARDS ARROW} RLKD",
            "strict",
            "EM",
            "+8.0 points",
            "\N{MINUS SIGN}2.0 to +17.0",
        )
    ]


def test_intervals_say_what_they_are_over() -> None:
    report = EvalReport(checkpoints=(), paired=(), clusters={"test": 40})
    assert intervals_note(report).endswith("over clusters of problems that share a passage or template")
    assert intervals_note(EvalReport(checkpoints=(), paired=())) == "95% bootstrap intervals over problems"
    assert problems_of(report, "test", 200) == "200 problems in 40 clusters"
    assert problems_of(report, "ood", 10) == "10 problems"
