"""The second stage of GSRM training: every path is decomposed once, by the gold, by rules or by a model, and checked.

Differs from the paper, which trains on whatever GPT-4o wrote: an annotation whose words are not in the path, or
whose answers the path never gives, is rejected and kept with the reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from rlkd.errors import DataError, MissingScoreError
from rlkd.gsrm.paths import read_paths
from rlkd.io import append_row, recover_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.structure.decomposers.compact_form import bare
from rlkd.structure.decomposers.generative import Fault
from rlkd.structure.decomposers.json_form import ParseFault, locate, make_step
from rlkd.structure.interfaces import PathItem
from schemas.artifact import StageResult
from schemas.config.gsrm import AnnotationsConfig, GoldAnnotator, GsrmConfig
from schemas.config.structure import GenerativeDecomposerConfig
from schemas.gsrm import Annotation, GsrmPath
from schemas.structure import ReasoningStep, Structure

ACCEPTED, REJECTED = "annotations.jsonl", "rejected.jsonl"
UNREADABLE = "unreadable"
_CHUNK = 64
_MAX_UNANSWERED = 0.1
"""Share of a chunk that an endpoint may fail on before the stage stops, to be continued."""
_MIN_UNANSWERED = 4


class Annotator(Protocol):
    """Decomposes paths for training."""

    name: str

    async def annotate(self, rows: Sequence[GsrmPath]) -> list[Structure | Fault]:
        """Decomposes paths, in order; a fault says why there is none."""


class Gold:
    """The decompositions that came with the paths; the world's exact reading for its own."""

    name = "gold"

    async def annotate(self, rows: Sequence[GsrmPath]) -> list[Structure | Fault]:
        """See :class:`Annotator`."""
        return [self._one(row) for row in rows]

    def _one(self, row: GsrmPath) -> Structure | Fault:
        from rlkd.worlds import get_world, world_names

        if row.steps is not None:
            return given_steps(row)
        if row.domain in world_names():
            return get_world(row.domain).decompose(row.path)
        return Fault("no gold", "the path came without steps, and is none of the built-in world")


class ByRules:
    """The ``rules`` decomposer."""

    def __init__(self, max_chars: int, max_steps: int) -> None:
        from rlkd.structure.decomposers.rules import VERSION

        self.name = VERSION
        self.max_chars = max_chars
        self.max_steps = max_steps

    async def annotate(self, rows: Sequence[GsrmPath]) -> list[Structure | Fault]:
        """See :class:`Annotator`."""
        from rlkd.structure.decomposers.rules import decompose_text

        return [decompose_text(row.path, row.problem, self.max_chars, self.max_steps) for row in rows]


class ByModel:
    """Any model that writes decompositions, for example behind an OpenAI-compatible endpoint."""

    def __init__(self, config: GenerativeDecomposerConfig) -> None:
        from rlkd.structure.decomposers.generative import generative_decomposer

        self.decomposer = generative_decomposer(config)
        self.name = self.decomposer.name

    async def annotate(self, rows: Sequence[GsrmPath]) -> list[Structure | Fault]:
        """See :class:`Annotator`."""
        return await self.decomposer.attempt([PathItem(row.problem, row.path, row.domain) for row in rows])


def open_annotator(config: AnnotationsConfig) -> Annotator:
    """Makes the annotator that a configuration names; nothing is loaded or connected yet."""
    chosen = config.annotator
    if isinstance(chosen, GoldAnnotator):
        return Gold()
    if isinstance(chosen, GenerativeDecomposerConfig):
        return ByModel(chosen)
    return ByRules(chosen.max_chars, chosen.max_steps)


def given_steps(row: GsrmPath) -> Structure | Fault:
    """Builds the structure of the steps that came with a path: with ``start`` and ``end``, or with a ``quote``."""
    given = [{**step, "uses": step.get("uses", step.get("quantities"))} for step in row.steps or ()]
    try:
        quoted = locate([str(step.get("quote") or "") for step in given], row.path)
        steps = []
        for i, step in enumerate(given):
            span = quoted[i]
            if "quote" not in step:
                span = (int(step.get("start", 0)), int(step.get("end", 0)))
                if not 0 <= span[0] <= span[1] <= len(row.path):
                    return Fault("no gold", f"step {i} is not inside the path: {span[0]} to {span[1]}")
            steps.append(make_step(i, {**step, "quote": row.path[span[0] : span[1]]}, span))
    except (ParseFault, ValueError, TypeError) as fault:
        return Fault("no gold", f"the steps that came with the path cannot be read: {fault}")
    return Structure(steps=tuple(steps), decomposer="given")


def annotate_paths(ctx: StageContext[GsrmConfig], annotator: Annotator | None = None) -> StageResult:
    """Annotates every path. Finished ones are kept, so that an interrupted stage pays for none twice.

    Writes ``annotations.jsonl``, ``rejected.jsonl`` (each with its reason) and ``summary.json``.

    Args:
        ctx: The stage's context; input ``gsrm_paths``.
        annotator: By default the configured one.

    Raises:
        MissingScoreError: The endpoint failed on more than a tenth of a chunk.
        DataError: More annotations were rejected than the configuration allows.
    """
    config = ctx.config.annotations
    annotator = annotator or open_annotator(config)
    rows = read_paths(ctx.inputs["gsrm_paths"])
    done = {row.path_id: row for row in asyncio.run(_annotate(ctx, annotator, rows))}
    ordered = [done[row.id] for row in rows if row.id in done]
    accepted = [row for row in ordered if not row.reason]
    rejected = [row for row in ordered if row.reason]
    reasons = dict(Counter(row.reason.partition(":")[0] for row in rejected).most_common())
    write_rows(ctx.folder / REJECTED, rejected)
    if len(rejected) > config.max_rejected * len(ordered):
        told = ", ".join(f"{count} x {reason}" for reason, count in list(reasons.items())[:3])
        raise DataError(
            f"{len(rejected)} of {len(ordered)} annotations by {annotator.name} were rejected ({told}), more than "
            f"annotations.max_rejected = {config.max_rejected:g} allows; see {ctx.folder / REJECTED}"
        )
    write_rows(ctx.folder / ACCEPTED, accepted)
    steps = sum(len(row.structure.steps) for row in accepted if row.structure)
    summary = {
        "annotator": annotator.name,
        "accepted": len(accepted),
        "rejected": len(rejected),
        "reasons": reasons,
        "steps": steps,
    }
    write_json_atomic(ctx.folder / "summary.json", summary)
    metrics = {"accepted": float(len(accepted)), "rejected": float(len(rejected))}
    return StageResult(rows=len(accepted), summary=summary, metrics=metrics)


async def _annotate(
    ctx: StageContext[GsrmConfig], annotator: Annotator, rows: Sequence[GsrmPath]
) -> list[Annotation]:
    partial = ctx.folder / "work" / "annotations.jsonl"
    partial.parent.mkdir(parents=True, exist_ok=True)
    done = recover_rows(partial, Annotation)
    finished = {row.path_id for row in done}
    if finished:
        ctx.events.message(f"continuing: {len(finished)} of {len(rows)} paths are annotated")
    left = [row for row in rows if row.id not in finished]
    for start in range(0, len(left), _CHUNK):
        chunk = left[start : start + _CHUNK]
        unanswered: list[Fault] = []
        for row, found in zip(chunk, await annotator.annotate(chunk), strict=True):
            if isinstance(found, Fault) and found.kind not in (UNREADABLE, "no gold"):
                unanswered.append(found)
                done.append(Annotation(path_id=row.id, reason=f"{found.kind}: {found.message[:200]}"))
                continue  # asked again when the stage continues
            made = judge_annotation(row, found, ctx.config.annotations)
            append_row(partial, made)
            done.append(made)
        _check_answered(annotator, unanswered, len(chunk))
        ctx.events.progress(len(rows) - len(left) + start + len(chunk), len(rows), "paths")
    return done


def _check_answered(annotator: Annotator, unanswered: list[Fault], asked: int) -> None:
    if len(unanswered) >= min(_MIN_UNANSWERED, asked) and len(unanswered) > _MAX_UNANSWERED * asked:
        kind, _ = Counter(fault.kind for fault in unanswered).most_common(1)[0]
        example = next(fault.message for fault in unanswered if fault.kind == kind)
        raise MissingScoreError(
            f"{annotator.name} did not answer for {len(unanswered)} of {asked} paths (most often {kind}: {example[:200]}); "
            "see to it and run the same command again: what is annotated is kept"
        )


# -- what is good enough -----------------------------------------------------------------------------


def judge_annotation(row: GsrmPath, found: Structure | Fault, config: AnnotationsConfig) -> Annotation:
    """Marks an annotation with the reason why it is rejected, if it is."""
    if isinstance(found, Fault):
        return Annotation(path_id=row.id, reason=f"{found.kind}: {found.message[:200]}")
    return Annotation(path_id=row.id, structure=found, reason=fault_of(row.path, found.steps, config))


def fault_of(path: str, steps: Sequence[ReasoningStep], config: AnnotationsConfig) -> str:
    """Tells why a decomposition is not good enough to learn from; empty where it is."""
    if not steps:
        return "" if config.empty else "no steps"
    spans = [bare(path, (step.start, step.end)) for step in steps]
    located = [start < end for start, end in spans]
    if sum(located) < config.located * len(steps):
        return f"not in the path: {len(steps) - sum(located)} of {len(steps)} quotes"
    starts = [start for (start, _), there in zip(spans, located, strict=True) if there]
    if config.ordered and starts != sorted(starts):
        return "out of order: the steps do not follow the path"
    answered = [_says(path, step.answer) for step in steps]
    if sum(answered) < config.answered * len(steps):
        return f"answers not in the path: {len(steps) - sum(answered)} of {len(steps)}"
    return ""


def _says(path: str, answer: str) -> bool:
    """Whether a path says an answer, but for case, white space and thousands separators."""
    return _plain(answer) in _plain(path)


def _plain(text: str) -> str:
    return "".join(text.casefold().replace(",", "").split())


def accepted_structures(rows: Iterable[Annotation]) -> dict[str, Structure]:
    """Returns the structures of the accepted annotations, by path."""
    return {row.path_id: row.structure for row in rows if not row.reason and row.structure is not None}
