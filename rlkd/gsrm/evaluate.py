"""The last stage of GSRM training: the trained model decomposes held-out paths, and is measured against the reference."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from rlkd.errors import DataError
from rlkd.gsrm.agreement import Compared, figures
from rlkd.gsrm.annotate import ACCEPTED, accepted_structures
from rlkd.gsrm.paths import read_paths
from rlkd.gsrm.report import report_markdown
from rlkd.io import append_row, read_rows, recover_rows, write_json_atomic, write_rows, write_text_atomic
from rlkd.pipeline.context import StageContext
from rlkd.structure.decomposers.generative import Fault, GenerativeDecomposer, generative_decomposer
from rlkd.structure.decomposers.rules import VERSION as RULES
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import PathItem
from schemas.artifact import StageResult
from schemas.config.endpoint import LocalEndpoint
from schemas.config.gsrm import GsrmConfig
from schemas.config.structure import GenerativeDecomposerConfig
from schemas.gsrm import Annotation, GsrmFigures, GsrmOutput, GsrmPath, GsrmReport
from schemas.structure import Structure

REPORT, OUTPUTS, MARKDOWN = "eval_report.json", "outputs.jsonl", "gsrm.md"


def evaluate_decomposer(ctx: StageContext[GsrmConfig]) -> StageResult:
    """Measures the trained model on the test paths (and the deeper ones, where there are any).

    A path whose decomposition cannot be read, or that does not fit into the model, counts as one in which no step was
    found. Writes ``eval_report.json``, ``outputs.jsonl`` and ``gsrm.md``; decomposed paths are kept when the stage is
    interrupted.

    Raises:
        DataError: No held-out path has a reference.
    """
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    started = time.monotonic()
    reference = accepted_structures(read_rows(ctx.inputs["gsrm_annotations"] / ACCEPTED, Annotation))
    paths = [
        row
        for row in read_paths(ctx.inputs["gsrm_paths"])
        if row.split in ("test", "ood") and row.id in reference
    ][: ctx.config.evaluate.max_paths]
    if not paths:
        raise DataError(
            "no held-out path has an annotation that was accepted, so there is nothing to measure on"
        )
    decomposer = trained_decomposer(ctx.config, ctx.inputs["gsrm_train"] / "model")
    outputs = asyncio.run(_decompose(ctx, decomposer, paths, reference))
    report = make_report(ctx.config, decomposer.name, paths, reference, outputs, time.monotonic() - started)
    write_rows(ctx.folder / OUTPUTS, outputs)
    write_json_atomic(ctx.folder / REPORT, report)
    write_text_atomic(ctx.folder / MARKDOWN, report_markdown(ctx.config.name, report))
    return StageResult(
        rows=len(outputs),
        summary={"decomposer": report.decomposer, "reference": report.reference, "faults": report.faults},
        metrics=headline_figures(report),
    )


def headline_figures(report: GsrmReport) -> dict[str, float]:
    """Returns the figures of the report by name."""
    found = _named("", report.all)
    for domain, own in report.by_domain.items():
        found[f"step_f1_{domain}"] = own.step.mean
    return found


def _named(prefix: str, own: GsrmFigures) -> dict[str, float]:
    names = {
        "step_f1": own.step.mean,
        "boundary_f1": own.boundary.mean,
        "sub_problem_f1": own.sub_problem.mean,
        "answer_f1": own.answer.mean,
        "exact": own.exact,
        "failed": own.failed,
    }
    return {prefix + name: value for name, value in names.items()}


def trained_decomposer(config: GsrmConfig, model: Path) -> GenerativeDecomposer:
    """Opens the trained model as a decomposer, asked as its card says."""
    place = LocalEndpoint(
        type="local", path=str(model), dtype=config.student.dtype, batch_size=config.evaluate.batch_size
    )
    return generative_decomposer(
        GenerativeDecomposerConfig(
            type="generative",
            endpoint=place,
            max_tokens=config.student.max_completion_tokens,
            max_chars=config.student.max_chars,
        )
    )


async def _decompose(
    ctx: StageContext[GsrmConfig],
    decomposer: GenerativeDecomposer,
    paths: Sequence[GsrmPath],
    reference: dict[str, Structure],
) -> list[GsrmOutput]:
    partial = ctx.folder / "work" / "outputs.jsonl"
    partial.parent.mkdir(parents=True, exist_ok=True)
    done = {row.path_id: row for row in recover_rows(partial, GsrmOutput)}
    # Paths of like length are decomposed together: the longest of a batch decides how long it takes.
    left = sorted((row for row in paths if row.id not in done), key=lambda row: (len(row.path), row.id))
    size = ctx.config.evaluate.batch_size
    for start in range(0, len(left), size):
        chunk = left[start : start + size]
        items = [PathItem(row.problem, row.path, row.domain) for row in chunk]
        for row, found in zip(chunk, await decomposer.attempt(items), strict=True):
            fault = f"{found.kind}: {found.message[:200]}" if isinstance(found, Fault) else ""
            made = GsrmOutput(
                path_id=row.id,
                domain=row.domain,
                kind=row.kind,
                steps=None if isinstance(found, Fault) else found.steps,
                reference=reference[row.id].steps,
                fault=fault,
            )
            append_row(partial, made)
            done[row.id] = made
        ctx.events.progress(len(paths) - len(left) + start + len(chunk), len(paths), "paths")
    return [done[row.id] for row in paths]


def make_report(
    config: GsrmConfig,
    name: str,
    paths: Sequence[GsrmPath],
    reference: dict[str, Structure],
    outputs: Sequence[GsrmOutput],
    seconds: float,
) -> GsrmReport:
    """Builds the report over decomposed paths (``outputs[i]`` is of ``paths[i]``)."""
    made = {row.path_id: row for row in outputs}
    maker = next(iter(reference.values())).decomposer
    faults: defaultdict[str, int] = defaultdict(int)
    for row in outputs:
        if row.fault:
            faults[row.fault.partition(":")[0]] += 1

    def over(rows: Sequence[GsrmPath], rules: bool = False) -> GsrmFigures:
        compared = []
        for row in rows:
            found = decompose_text(row.path, row.problem).steps if rules else made[row.id].steps
            compared.append(Compared(row.group, row.path, reference[row.id].steps, found))
        own = config.evaluate
        return figures(compared, resamples=own.resamples, confidence=own.confidence, seed=config.seed)

    def by(key: Callable[[GsrmPath], str]) -> dict[str, GsrmFigures]:
        return {
            value: over([row for row in paths if key(row) == value])
            for value in sorted({key(r) for r in paths})
        }

    return GsrmReport(
        decomposer=name,
        reference=maker.split(":")[0] if maker.startswith("world") else maker,
        all=over(paths),
        by_domain=by(lambda row: row.domain),
        by_kind=by(lambda row: row.kind if row.split == "test" else f"{row.kind}, deeper"),
        rules=None if maker == RULES else over(paths, rules=True),
        faults=dict(faults),
        seconds=round(seconds, 1),
    )
