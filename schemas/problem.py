"""A problem: what the student is asked, and the reference answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import JsonValue, Schema

Split = Literal["train", "validation", "test", "ood"]
"""Where a problem is used; ``ood`` is the harder test out of the training distribution."""


class Problem(Schema):
    """One problem with its reference answer.

    Attributes:
        id: Unique within a dataset.
        question: The text that the student sees (before any prompt template).
        answer: The reference answer as text; never empty.
        domain: Reasoning domain, for example ``arithmetic``, ``logic``, ``relations`` or ``math``.
        difficulty: A whole number that grows with difficulty (for the built-in world: the number
            of needed steps); ``None`` where the source does not say.
        split: The split that the data stage put it in.
        source: Where it came from (world name, file, dataset id).
        traces: Teacher paths that came with the row, unverified; may be empty.
        metadata: Whatever a verifier or a world needs to check or solve it again (JSON only).
    """

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    domain: str = "math"
    difficulty: int | None = None
    split: Split = "train"
    source: str = ""
    traces: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
