"""What is matched of a path, calculations or steps: what each uses, works from and finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Quantity = float | str
"""A number, or a name or premise in words."""


@dataclass(slots=True)
class Items:
    """The calculations, or the steps, of a path, as far as matching is concerned.

    Attributes:
        depends: For each item the earlier ones whose results it uses.
        given: For each item the quantities that it works from and that no earlier item found, repeats kept.
        found: The result of each item; ``None`` where it states none.
        before: For each item the earlier ones that must come before it: those that it depends on for certain.
        step: The step of each item.
    """

    depends: Sequence[Sequence[int]]
    given: Sequence[Sequence[Quantity]]
    found: Sequence[Quantity | None]
    before: Sequence[Sequence[int]]
    step: Sequence[int]
