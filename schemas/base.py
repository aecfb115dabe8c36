"""The base of every schema: frozen, closed to unknown fields, versioned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Version of the rows and manifests on disk; raised when an old reader would misread a new file."""

OPERATIONAL = "operational"
"""Annotation of a setting that cannot change a result (``Annotated[int, OPERATIONAL]``): how fast, how often, how long.

It counts toward no stage's identity, so that finished stages are reused when it changes.
"""

ADDED = "added"
"""Annotation of a setting that came after stages were stored (``Annotated[bool, ADDED]``), and whose default is what was done before.

It counts toward a stage's identity only where it differs from its default, so that finished stages are still reused.
"""

JsonValue: TypeAlias = Any
"""Any value that JSON can hold."""


Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number in [0, 1]."""
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""A seed of everything that is random: numpy takes 32 bits."""


class Schema(BaseModel):
    """A value that crosses a boundary between stages: immutable and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def sections_of(config: Schema, name: str = "") -> Iterator[tuple[str, Schema]]:
    """Yields every section of a configuration at any depth, with its dotted name."""
    if name:
        yield name, config
    for field in type(config).model_fields:
        value, inner = getattr(config, field), f"{name}.{field}" if name else field
        if isinstance(value, Schema):
            yield from sections_of(value, inner)
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, Schema):
                    yield from sections_of(item, f"{inner}.{i}")
