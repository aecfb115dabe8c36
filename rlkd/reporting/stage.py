"""The report stage: what the finished stages say, as one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlkd.io import sha256_json, write_json_atomic
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.stages import STAGES
from rlkd.reporting.collect import collect
from rlkd.reporting.finalise import CONTENT, write_files
from schemas.artifact import RunManifest, StageEntry, StageManifest, StageResult


def write_report(ctx: StageContext) -> StageResult:
    """Writes ``report.html``, ``report.md``, ``report.json`` and ``content.json``, which they are made from.

    The stage's folder may serve several runs, so what it says of the run itself (status and cost of stages)
    is what the manifests of its inputs say; :func:`rlkd.reporting.finalise.finalise_report` puts the facts of
    one run in.
    """
    content = collect(ctx.config, ctx.inputs)
    write_json_atomic(ctx.folder / CONTENT, content)
    write_files(ctx.folder, _run(ctx), content)
    return StageResult(
        rows=len(content.plots),
        summary={"headline": [sentence.text for sentence in content.headline]},
    )


def _run(ctx: StageContext) -> RunManifest:
    """A run's manifest, as far as the inputs tell; independent of the run that happens to write the report."""
    config = ctx.config.model_dump(mode="json")
    stages = _entries(ctx.inputs)
    return RunManifest(
        name=ctx.config.name,
        config=config,
        config_digest=sha256_json(config),
        store="",
        stages=stages,
        status="done",
        wall_seconds=sum(entry.seconds for entry in stages),
    )


def _entries(inputs: Mapping[str, Path]) -> tuple[StageEntry, ...]:
    entries = []
    for spec in STAGES:
        if spec.name == "report":
            continue
        path = inputs[spec.name] / "manifest.json" if spec.name in inputs else None
        if path is None or not path.exists():
            entries.append(StageEntry(name=spec.name, status="skipped" if path is None else "done"))
            continue
        made = StageManifest.model_validate_json(path.read_text(encoding="utf-8"))
        entries.append(
            StageEntry(
                name=spec.name,
                status="done",
                identity=made.identity,
                sha256=made.sha256,
                seconds=made.seconds,
                peak_rss_mb=made.peak_rss_mb,
                peak_gpu_mb=made.peak_gpu_mb,
                made_by=made.run,
            )
        )
    return tuple(entries)
