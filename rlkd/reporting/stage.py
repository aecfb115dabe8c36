"""The report stage: what the finished stages say, as the content of one page."""

from __future__ import annotations

from rlkd.io import write_json_atomic
from rlkd.pipeline.context import StageContext
from rlkd.reporting.collect import collect
from rlkd.reporting.finalise import CONTENT
from schemas.artifact import StageResult


def write_report(ctx: StageContext) -> StageResult:
    """Writes ``content.json``: all that a report shows but the facts of one run (status and cost of its stages).

    The stage's folder may serve several runs; :func:`rlkd.reporting.finalise.finalise_report` puts a run's own facts in
    and renders the pages, once, when the run ends.
    """
    content = collect(ctx.config, ctx.inputs)
    write_json_atomic(ctx.folder / CONTENT, content)
    return StageResult(
        rows=len(content.plots),
        summary={"headline": [sentence.text for sentence in content.headline]},
    )
