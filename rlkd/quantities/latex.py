"""LaTeX's names of relations and the plain signs that they stand for: answers and structure both read them."""

from __future__ import annotations

RELATIONS = {
    "leqslant": "≤", "geqslant": "≥", "leq": "≤", "geq": "≥", "le": "≤", "ge": "≥", "lt": "<", "gt": ">",
    "neq": "≠", "ne": "≠", "approx": "≈", "sim": "≈", "simeq": "≈",
}  # fmt: skip
