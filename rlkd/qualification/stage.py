"""The qualify stage: is the structure reward worth training on?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rlkd.config.derived import pairs_source
from rlkd.errors import DataError
from rlkd.io import write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.qualification.measure import Measurer
from rlkd.qualification.pairs import Labelled, file_pairs, limited, taught_problems, world_pairs
from rlkd.qualification.verdict import FIGURES
from rlkd.structure.backends.cached import last_fault
from schemas.artifact import StageResult
from schemas.base import JsonValue
from schemas.config.qualify import FilePairs, StudentPairs, WorldPairs
from schemas.problem import Problem
from schemas.qualification import Qualification


def qualify(ctx: StageContext) -> StageResult:
    """Measures the structure reward on labelled pairs; whether that is enough is :func:`.verdict.check_thresholds`'s to say.

    Writes ``qualification.json`` (all figures), ``scores.jsonl`` (a row for each pair) and ``changes.jsonl`` (a row
    for each changed path, with its text).

    Args:
        ctx: The stage's context; inputs ``data`` and ``traces`` unless the pairs come from a file, and ``warm_start``
            where the student is sampled and the run has a warm start.

    Raises:
        DataError: There is nothing to qualify on, or a file cannot be used.
        CheckpointError: The student cannot be loaded.
        EndpointError: A model cannot be reached at all.
    """
    from rlkd.evaluation.parts import shares

    if not shares().first:
        return StageResult()
    settings, seed = ctx.config.qualify, ctx.config.seed
    labelled = _labelled(ctx)
    labelled = Labelled(limited(labelled.pairs, settings.limit, seed), labelled.source, labelled.notes)
    ctx.events.message(f"{len(labelled.pairs)} labelled pairs: {labelled.source}")

    def progress(done: int, total: int) -> None:
        ctx.events.progress(done, total, "paths")

    measurer = Measurer(ctx.config.structures, settings, seed, progress)
    made = asyncio.run(measurer.measure(labelled))
    if fault := last_fault(measurer.scorer):
        ctx.events.message(
            f"some scores are missing (last fault: {fault}); see to structures.decomposer and structures.judge"
        )
    write_json_atomic(ctx.folder / FIGURES, made.figures)
    write_rows(ctx.folder / "scores.jsonl", made.scores)
    write_rows(ctx.folder / "changes.jsonl", made.changes)
    return StageResult(rows=len(made.scores), summary=_facts(made.figures), metrics=headline(made.figures))


def _labelled(ctx: StageContext) -> Labelled:
    source = pairs_source(ctx.config)
    if isinstance(source, FilePairs):
        return file_pairs(source)
    problems, teachers, split = taught_problems(ctx.inputs["data"], ctx.inputs["traces"])
    if isinstance(source, WorldPairs):
        return world_pairs(source, problems, teachers, ctx.config.seed, split)
    return _sampled(ctx, source, problems, teachers, split)


def _sampled(
    ctx: StageContext,
    source: StudentPairs,
    problems: Sequence[Problem],
    teachers: Mapping[str, Sequence[str]],
    split: str,
) -> Labelled:
    """The samples of the warm-started student, or of the student as it is."""
    from rlkd.qualification.student import student_pairs

    folder = ctx.inputs["warm_start"] / "model" if "warm_start" in ctx.inputs else None
    if folder is None and ctx.config.student.model.type == "fresh":
        raise DataError(
            "qualify.pairs.type is student, but the student is fresh and has no warm start, so there is nothing to sample; "
            "name labelled solutions with qualify.pairs={type: file, path: ...}, or set qualify.enabled=false"
        )
    return student_pairs(source, ctx.config, problems, teachers, folder, split)


def headline(found: Qualification) -> dict[str, float]:
    """The figures for MLflow, under ``qualify/``."""
    figures: dict[str, float | None] = {"pairs": float(found.pairs)}
    for name, part in (("full", found.full), ("hidden", found.hidden)):
        if part.structure is not None:
            figures |= {f"auroc_{name}": part.structure.value, f"auroc_{name}_low": part.structure.low}
        if part.gap is not None:
            figures[f"baseline_gap_{name}"] = part.gap.value
    figures |= {row.change: row.share for row in found.sensitivities}
    figures |= {f"yes_{row.question}": row.share for row in found.yes_bias}
    if found.paths:
        figures["parse_failures"] = found.parse_failures / found.paths
    if found.scored:
        figures["missing"] = found.missing / found.scored
    if found.repeatability is not None:
        figures["repeatable"] = found.repeatability.unchanged
    if found.cost is not None:
        figures["seconds_per_1000"] = found.cost.seconds
        figures["requests_per_1000"] = found.cost.requests
    return {f"qualify/{name}": value for name, value in figures.items() if value is not None}


def _facts(found: Qualification) -> dict[str, JsonValue]:
    return {
        "source": found.source,
        "pairs": found.pairs,
        "right": found.right,
        "decomposer": found.decomposer,
        "judge": found.judge,
        "alignment": found.alignment,
    }
