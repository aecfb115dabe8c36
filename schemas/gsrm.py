"""What training a GSRM reads and writes: paths, their annotations, the card of a trained model, and its evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, JsonValue, Schema
from schemas.evaluation import Interval
from schemas.problem import Split
from schemas.structure import ReasoningStep, Structure

WrittenForm = Literal["json", "compact"]
"""How a trained model writes a decomposition."""


class GsrmCard(Schema):
    """``rlkd_gsrm.json`` in a trained model's folder: how it is to be asked, so that its name is all one needs.

    Attributes:
        form: How it writes.
        version: Version of that form's prompt and output.
        chat: Whether it is asked through its chat template.
        max_tokens: Most tokens that a decomposition had in training.
    """

    form: WrittenForm
    version: int
    chat: bool
    max_tokens: int
    schema_version: int = SCHEMA_VERSION


class GsrmPath(Schema):
    """One path to learn from, or to be measured on.

    Attributes:
        id: Unique.
        group: The problem; paths of one problem are always in the same split.
        problem: The problem's text.
        path: The reasoning text.
        domain: Reasoning domain.
        kind: What sort of path it is, for the figures: ``wandering``, ``solved``, ``altered``, ``teacher``,
            ``student``, ``file``.
        split: Train, validation or test.
        steps: The gold decomposition that came with the path, as a model would write it; ``None`` without one.
    """

    id: str = Field(min_length=1)
    group: str = Field(min_length=1)
    problem: str = ""
    path: str = Field(min_length=1)
    domain: str = "math"
    kind: str = "file"
    split: Split = "train"
    steps: tuple[dict[str, JsonValue], ...] | None = None


class Annotation(Schema):
    """One path's decomposition by the annotator, or why it is not used.

    Attributes:
        path_id: The path.
        structure: Its steps; ``None`` where the annotator gave none.
        reason: Why it was rejected; empty where it is used.
    """

    path_id: str
    structure: Structure | None = None
    reason: str = ""


class GsrmFigures(Schema):
    """How well decompositions agree with the reference, over some paths.

    A step counts once. F1 is 2 x matched / (found + in the reference), over all steps of the paths, with a
    bootstrap interval over problems.

    Attributes:
        paths: Paths.
        steps: Steps of the reference.
        step: Span, sub-problem and answer all right.
        boundary: Span right.
        sub_problem: Span and sub-problem right.
        answer: Span and answer right.
        depends_on: Of the steps that are right, the share whose dependencies are too.
        exact: Share of paths whose every step is right, with none missing or added.
        failed: Share of paths without a readable decomposition; each counts as finding no step.
    """

    paths: int
    steps: int
    step: Interval
    boundary: Interval
    sub_problem: Interval
    answer: Interval
    depends_on: float | None
    exact: float
    failed: float


class GsrmOutput(Schema):
    """One held-out path: what the model made of it (``outputs.jsonl``)."""

    path_id: str
    domain: str
    kind: str
    steps: tuple[ReasoningStep, ...] | None
    reference: tuple[ReasoningStep, ...]
    fault: str = ""


class GsrmReport(Schema):
    """``eval_report.json``: a trained GSRM as a decomposer of held-out paths.

    Attributes:
        decomposer: Its name.
        reference: Who made the reference.
        all: Over all held-out paths.
        by_domain, by_kind: The same by domain and by kind of path.
        rules: What the ``rules`` decomposer reaches on the same paths; ``None`` where it made the reference.
        faults: Paths without a readable decomposition, by kind of fault.
        seconds: Time that decomposing took.
    """

    decomposer: str
    reference: str
    all: GsrmFigures
    by_domain: dict[str, GsrmFigures]
    by_kind: dict[str, GsrmFigures]
    rules: GsrmFigures | None
    faults: dict[str, int]
    seconds: float
    schema_version: int = SCHEMA_VERSION
