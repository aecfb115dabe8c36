"""Renders a run's report into its folder, once, when the run ends; also where every stage was reused, or one failed."""

from __future__ import annotations

from pathlib import Path

from rlkd.io import write_json_atomic, write_text_atomic
from rlkd.reporting.html import render_html
from rlkd.reporting.markdown import render_markdown
from rlkd.reporting.tables import pipeline_report
from schemas.artifact import RunManifest
from schemas.report import PipelineReport, ReportContent

CONTENT = "content.json"
"""What a report is rendered from; in the folder of a finished report stage."""


def finalise_report(
    run_folder: Path, run: RunManifest, folder: Path | None, partial: ReportContent | None = None
) -> PipelineReport:
    """Writes ``report.html``, ``report.md`` and ``report.json`` of a run, with the run's own facts.

    Args:
        run_folder: The run folder; the files there are replaced atomically.
        run: The run: its stages with status, time and memory, its configuration, its wall time.
        folder: Folder of the finished report stage; ``None`` where the run did not get that far.
        partial: What there is to show then, beside the stages and what failed.

    Returns:
        What ``report.json`` holds.
    """
    # Title and description are of the run, not of the finished stages that it may share with others.
    own = {"title": _title(run), "description": str(run.config.get("description") or "")}
    if folder is None:
        content = partial.model_copy(update=own) if partial is not None else ReportContent(**own)
    else:
        made = ReportContent.model_validate_json((folder / CONTENT).read_text(encoding="utf-8"))
        content = made.model_copy(update=own)
    report = pipeline_report(content, run)
    shown = run.model_copy(
        update={"name": run_folder.resolve().name}
    )  # people tell runs of one configuration by it
    write_text_atomic(run_folder / "report.html", render_html(content, shown))
    write_text_atomic(run_folder / "report.md", render_markdown(content, shown))
    write_json_atomic(run_folder / "report.json", report)
    return report


def _title(run: RunManifest) -> str:
    section = run.config.get("report")
    title = section.get("title") if isinstance(section, dict) else ""
    return str(title or run.name)
