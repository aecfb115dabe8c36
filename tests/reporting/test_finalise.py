from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rlkd.io import read_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import stage_spec
from rlkd.reporting.collect import collect
from rlkd.reporting.finalise import finalise_report
from rlkd.reporting.stage import write_report
from schemas.artifact import RunManifest
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import ProblemOutput, SampleProblem
from schemas.report import PipelineReport
from tasks.inputs import _fits

pytestmark = pytest.mark.slow

Config = Callable[..., PipelineConfig]
Run = Callable[..., RunManifest]
EVIL = "</div><script>alert(1)</script><img src=x onerror=alert(2)> & \"q\" 'q' ``` | {{ 7 * 7 }}"


class Page(HTMLParser):
    """Checks that tags nest, and collects text, tags and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.urls.append(value or "")
        if tag not in ("meta", "br", "img", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


@pytest.fixture
def report(tmp_path: Path, stages: dict[str, Path], config_of: Config) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    write_report(StageContext(config_of(), stages, folder, NullSink()))
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_json_is_the_contract(report: Path, run_folder: Path, run_of: Run, config_of: Config) -> None:
    returned = finalise_report(run_folder, run_of(config_of(seed=3)), report)
    found = json.loads((run_folder / "report.json").read_text())
    assert PipelineReport.model_validate(found) == returned
    for split in ("checkpoints", "ood"):
        for name in ("base", "warm_start", "rlkd"):
            for metric in ("accuracy", "structure"):
                value = found[split][name][metric]
                assert set(value) == {"mean", "low", "high", "n"}
                assert 0 <= value["low"] <= value["mean"] <= value["high"] <= 1
    assert found["checkpoints"]["rlkd"]["accuracy"]["n"] == 60
    assert found["ood"]["rlkd"]["accuracy"]["n"] == 30
    assert all(set(pair) == {"a", "b", "metric", "diff", "low", "high"} for pair in found["paired"])
    by_key = {(p["a"], p["b"], p["metric"]): p for p in found["paired"]}
    assert len(by_key) == len(found["paired"]) == 6  # test split only
    accuracy = by_key["warm_start", "rlkd", "accuracy"]
    means = [found["checkpoints"][name]["accuracy"]["mean"] for name in ("warm_start", "rlkd")]
    assert accuracy["diff"] == pytest.approx(means[1] - means[0])  # b - a
    assert [row["name"] for row in found["stages"]] == [
        "data",
        "traces",
        "structures",
        "warm_start",
        "rl",
        "evaluate",
        "report",
    ]
    assert set(found["stages"][0]) == {"name", "status", "seconds", "peak_rss_mb"}
    assert found["rows"] == {
        "loaded": 2412,
        "dropped": {"near_duplicate": 31, "overlaps_evaluation": 9, "malformed": 2},
        "traces_accepted": 20,
        "traces_rejected": 3,
    }
    assert found["seed"] == 3
    assert found["wall_seconds"] == 268.4
    assert found["mlflow_run_id"] == "0f9a3c5b7d2e4f60"
    assert found["schema_version"] == 1
    assert found["config_digest"].startswith("4be1")


def test_the_run_says_what_was_reused(report: Path, run_folder: Path, run_of: Run, config_of: Config) -> None:
    cached = run_of(
        config_of(),
        stages=tuple(e.model_copy(update={"status": "reused"}) for e in run_of(config_of()).stages),
    )
    found = finalise_report(run_folder, cached, report)
    assert {row.status for row in found.stages} == {"reused"}
    assert found.stages[4].seconds == 212.0  # the figures of the run that made it
    page = (run_folder / "report.html").read_text()
    assert "made by the run first" in page
    # The page calls the run by its folder, the contract by its configuration.
    assert f"<li>Run <b>{run_folder.name}</b></li>" in page
    assert found.name == "demo"


def test_page_is_self_contained_and_well_formed(
    report: Path, run_folder: Path, run_of: Run, config_of: Config
) -> None:
    finalise_report(run_folder, run_of(config_of()), report)
    page = page_of(run_folder / "report.html")
    assert page.tags.count("svg") == 6
    assert len(page.ids) == len(set(page.ids))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    anchors = [url[1:] for url in page.urls]
    assert all(url.startswith("#") for url in page.urls)
    assert set(anchors) <= set(page.ids)
    html = (run_folder / "report.html").read_text()
    assert re.findall(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", html) == []  # every stand-in colour was replaced
    text = " ".join(page.text)
    for expected in (
        "Warm start → RLKD",
        "near duplicate",
        "Groups without a signal",
        "peak_rss",
        "max_completion_tokens",
    ):
        assert (expected in text) is (expected != "peak_rss")


def test_every_text_of_a_model_is_escaped(
    tmp_path: Path, stages: dict[str, Path], run_folder: Path, run_of: Run, config_of: Config
) -> None:
    path = stages["evaluate"] / "samples.jsonl"
    sample = read_rows(path, SampleProblem)[0]
    completions = tuple(
        c.model_copy(update={"text": EVIL, "steps": sample.teacher_steps}) for c in sample.completions
    )
    write_rows(
        path,
        [
            sample.model_copy(
                update={
                    "question": EVIL,
                    "answer": EVIL,
                    "teacher_path": EVIL,
                    "problem_id": EVIL,
                    "completions": completions,
                    "domain": EVIL,
                }
            )
        ],
    )
    rows = read_rows(stages["evaluate"] / "outputs.jsonl", ProblemOutput)
    write_rows(
        stages["evaluate"] / "outputs.jsonl", [row.model_copy(update={"completion": EVIL}) for row in rows]
    )
    report = json.loads((stages["evaluate"] / "eval_report.json").read_text())
    for found in report["checkpoints"]:
        found["by_domain"] = {f"$x_{EVIL}$": part for part in list(found["by_domain"].values())[:1]} | found[
            "by_domain"
        ]
    write_json_atomic(stages["evaluate"] / "eval_report.json", report)
    write_json_atomic(stages["data"] / "summary.json", {"loaded": 1, "dropped": {EVIL: 1}, "kept": {EVIL: 1}})
    folder = tmp_path / "evil"
    folder.mkdir()
    config = config_of(description=EVIL, report={"title": EVIL})
    write_report(StageContext(config, stages, folder, NullSink()))
    finalise_report(run_folder, run_of(config), folder)
    page = page_of(run_folder / "report.html")
    assert not {"script", "img"} & set(page.tags)
    assert "".join(page.text).count("<script>alert(1)</script>") >= 10
    assert "49" not in "".join(page.text).split("{{ 7 * 7 }}")[0][-20:]
    markdown = (run_folder / "report.md").read_text()
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", markdown)
    assert "<script" not in outside


def test_undecided_answers_are_in_every_form_of_the_report(
    tmp_path: Path, stages: dict[str, Path], run_folder: Path, run_of: Run, config_of: Config
) -> None:
    from rlkd.evaluation.metrics import Resampling, build_report

    rows = read_rows(stages["evaluate"] / "outputs.jsonl", ProblemOutput)
    first = next(i for i, row in enumerate(rows) if (row.checkpoint, row.split) == ("rlkd", "ood"))
    rows[first] = rows[first].model_copy(update={"correct": False, "undecided": "no common value"})
    write_json_atomic(
        stages["evaluate"] / "eval_report.json", build_report(rows, how=Resampling(resamples=100))
    )
    folder = tmp_path / "counted"
    folder.mkdir()
    write_report(StageContext(config_of(), stages, folder, NullSink()))
    found = finalise_report(run_folder, run_of(config_of()), folder)
    assert found.extra["undecided"] == {"ood": {"rlkd": {"no common value": 1}}}
    said = f"Whether 1 of {len(rows)} answers are right is undecided (1 x no common value); 1 of them count as wrong."
    assert said in (run_folder / "report.md").read_text()
    assert said in "".join(page_of(run_folder / "report.html").text)


def test_absent_parts_leave_no_holes(
    tmp_path: Path, stages: dict[str, Path], run_folder: Path, run_of: Run, config_of: Config
) -> None:
    """A run that stopped after the warm start, with nothing evaluated out of distribution."""
    rows = [
        r
        for r in read_rows(stages["evaluate"] / "outputs.jsonl", ProblemOutput)
        if r.split == "test" and r.checkpoint != "rlkd"
    ]
    from rlkd.evaluation.metrics import Resampling, build_report

    write_rows(stages["evaluate"] / "outputs.jsonl", rows)
    write_json_atomic(
        stages["evaluate"] / "eval_report.json", build_report(rows, how=Resampling(resamples=100))
    )
    write_rows(stages["evaluate"] / "samples.jsonl", [])
    inputs = {name: folder for name, folder in stages.items() if name != "rl"}
    folder = tmp_path / "short"
    folder.mkdir()
    write_report(StageContext(config_of(), inputs, folder, NullSink()))
    run = run_of(config_of(rl={"enabled": False}))
    found = finalise_report(run_folder, run, folder)
    assert found.checkpoints.rlkd is None
    assert found.ood.base is found.ood.warm_start is None
    assert {(pair.a, pair.b) for pair in found.paired} == {("base", "warm_start")}
    page = page_of(run_folder / "report.html")
    assert "samples" not in page.ids
    assert "Out of distribution" not in " ".join(page.text)


def test_a_run_that_failed_before_the_report(run_folder: Path, run_of: Run, config_of: Config) -> None:
    entries = [e.model_copy(update={"status": "done"}) for e in run_of(config_of()).stages[:4]]
    failed = (
        run_of(config_of())
        .stages[4]
        .model_copy(update={"status": "failed", "error": "NaN in the loss at step 7 <b>"})
    )
    found = finalise_report(run_folder, run_of(config_of(), stages=(*entries, failed), status="failed"), None)
    assert found.checkpoints.rlkd is None
    assert found.stages[-1].status == "failed"
    page = page_of(run_folder / "report.html")
    text = " ".join(" ".join(page.text).split())
    assert "Nothing was evaluated" in text
    assert "NaN in the loss at step 7 <b>" in text
    assert "**rl failed**: NaN in the loss" in (run_folder / "report.md").read_text()


def test_report_stage_folder_does_not_depend_on_when_its_inputs_were_made(
    tmp_path: Path, stages: dict[str, Path], config_of: Config
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_report(StageContext(config_of(), stages, tmp_path / name, NullSink()))
        path = stages["rl"] / "manifest.json"
        made = json.loads(path.read_text())
        path.write_text(json.dumps({**made, "seconds": 2 * made["seconds"] + 1, "created_at": "2030-01-01"}))
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["content.json"]  # pages are a run's
    assert (tmp_path / "one" / "content.json").read_bytes() == (
        tmp_path / "two" / "content.json"
    ).read_bytes()


def test_the_report_reads_no_more_than_the_table_says(
    tmp_path: Path, stages: dict[str, Path], config_of: Config
) -> None:
    spec = stage_spec("report")
    pruned = {name: tmp_path / "pruned" / name for name in stages}
    for name, folder in stages.items():
        reads = [read for read in spec.reads if read.stage == name]
        patterns = [pattern for read in reads for pattern in read.files]
        patterns += ["manifest.json"] if any(read.facts for read in reads) else []
        for path in (path for path in folder.rglob("*") if path.is_file()):
            if not any(_fits(path.relative_to(folder).as_posix(), pattern) for pattern in patterns):
                continue
            target = pruned[name] / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    made = [collect(config_of(), inputs).model_dump() for inputs in (stages, pruned)]
    assert made[0] == made[1]


def test_finalise_loads_no_plotting_library() -> None:
    code = "import sys, rlkd.reporting.finalise; print([m for m in ('matplotlib', 'pandas', 'numpy', 'torch', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_that_failed_in_rl_shows_how_far_it_came(
    run_folder: Path, stages: dict[str, Path], run_of: Run, config_of: Config
) -> None:
    (stages["rl"] / "manifest.json").unlink()  # the stage is unfinished, its ledger is there
    shown = {name: stages[name] for name in ("data", "traces", "structures", "warm_start", "rl")}
    entries = list(run_of(config_of()).stages[:4])
    failed = (
        run_of(config_of())
        .stages[4]
        .model_copy(update={"status": "failed", "error": "NaN in the loss at step 12"})
    )
    partial = collect(config_of(), shown)
    found = finalise_report(
        run_folder, run_of(config_of(), stages=(*entries, failed), status="failed"), None, partial
    )
    assert found.rows.traces_accepted == 20
    assert found.checkpoints.rlkd is None
    page = (run_folder / "report.html").read_text()
    assert {"warm_start_loss", "rl_curves"} <= {plot.name for plot in partial.plots}
    assert page.count("<svg") == len(partial.plots)
    assert "NaN in the loss at step 12" in page
    assert "Nothing was evaluated" in page
