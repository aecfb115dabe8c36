"""A path's steps as far as merging is concerned: what each uses, gives and finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Quantity = float | str
"""A number, or a name or premise in words."""


@dataclass(slots=True)
class Items:
    """The steps (or calculations) of a path, as far as merging is concerned.

    Attributes:
        depends: For each item the earlier ones whose results it uses.
        given: For each item the quantities that it works from and that no earlier item found, repeats kept.
        found: The result of each item; ``None`` where it states none.
    """

    depends: Sequence[Sequence[int]]
    given: Sequence[Sequence[Quantity]]
    found: Sequence[Quantity | None]
