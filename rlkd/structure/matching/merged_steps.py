"""Steps that were merged or split: which steps without a match were taken all the same, inside of others.

A teacher writes ``3 + 4 = 7`` and ``16 - 7 = 9``, a student ``16 - 3 - 4 = 9``: the student's step took the teacher's
first one too, as it works from the same quantities. A student that writes ``16 - 7 = 9`` alone did not: where its 7 comes
from, it does not say.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from rlkd.quantities.numbers import same_value
from rlkd.structure.graphs.items import Items, Quantity


def credit_merged_steps(
    pairs: Mapping[int, int], covered: list[float], explained: list[float], teacher: Items, student: Items
) -> None:
    """Gives merged and split items the credit of the matched item that holds them.

    Args:
        pairs: Student item by teacher item, the matched ones.
        covered: Credit of each teacher item; that of merged ones is filled in.
        explained: Credit of each student item; that of split ones is filled in.
        teacher: The teacher's items.
        student: The student's items.
    """
    back = {s: t for t, s in pairs.items()}
    for t, s in pairs.items():
        for d in _inside(t, teacher, pairs, inputs_of(s, student, back)):
            covered[d] = max(covered[d], covered[t])
        for d in _inside(s, student, back, inputs_of(t, teacher, pairs)):
            explained[d] = max(explained[d], explained[s])


def inputs_of(item: int, side: Items, matched: Container[int]) -> list[Quantity]:
    """Returns what an item works from once its unmatched predecessors are written into it."""
    found = list(side.given[item])
    for d in side.depends[item]:
        if d not in matched:
            found += inputs_of(d, side, matched)
        elif (result := side.found[d]) is not None:
            found.append(result)
    return found


def overlap(ours: Sequence[Quantity], theirs: Sequence[Quantity]) -> float:
    """Share of quantities in common, repeats counted, in [0, 1]."""
    rest = list(theirs)
    shared = sum(_take(quantity, rest) for quantity in ours)
    return shared / max(len(ours), len(theirs)) if ours or theirs else 0.0


def _inside(item: int, side: Items, matched: Container[int], pool: list[Quantity]) -> list[int]:
    """The unmatched predecessors of an item that the other side's item holds in itself.

    Args:
        item: The item.
        side: Its path.
        matched: Items of that path that have a match.
        pool: What the other side's item works from; what is found there is taken.
    """
    waiting = [d for d in side.depends[item] if d not in matched]
    if not waiting:
        return []
    for quantity in side.given[item]:
        _take(quantity, pool)
    for d in side.depends[item]:
        result = side.found[d]
        if result is not None and _take(result, pool) and d in waiting:
            waiting.remove(d)  # the other side starts from its result: how it is found is not said there
    inside: list[int] = []
    for d in waiting:
        rest = list(pool)
        held = _held(d, side, matched, rest)
        if held is not None:
            pool = rest
            inside += held
    return inside


def _held(item: int, side: Items, matched: Container[int], pool: list[Quantity]) -> list[int] | None:
    """An item with those behind it, if all that they work from is in the pool (and is taken from there)."""
    if not side.given[item] and not side.depends[item]:
        return None  # works from nothing that could be recognised
    if not all(_take(quantity, pool) for quantity in side.given[item]):
        return None
    held = [item]
    for d in side.depends[item]:
        result = side.found[d]
        if result is not None and _take(result, pool):
            continue
        inner = None if d in matched else _held(d, side, matched, pool)
        if inner is None:
            return None
        held += inner
    return held


def _take(quantity: Quantity, pool: list[Quantity]) -> bool:
    """Takes a quantity from the pool; whether it was there."""
    if quantity in pool:
        pool.remove(quantity)
        return True
    if isinstance(quantity, float) and quantity % 1.0:
        for i, other in enumerate(pool):
            if isinstance(other, float) and other % 1.0 and same_value(quantity, other):
                del pool[i]
                return True
    return False
