"""The same changes in the language of the built-in world, where names say exactly which step uses which."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rlkd.worlds import World, get_world
from rlkd.worlds.reading import Line, read_lines

_PLAN = re.compile(r"(To find \w+, I need )(\w+) and (\w+)\.")


@dataclass(frozen=True)
class _Row:
    """One line of a path, with the solution that it states, if any."""

    text: str
    step: Line | None


class WorldChanges:
    """Changes paths of one domain; what cannot be changed so gives ``None``.

    Args:
        domain: The domain's name.
    """

    def __init__(self, domain: str) -> None:
        self.world: World = get_world(domain)

    def scramble_dependent(self, path: str, rng: random.Random) -> str | None:
        """Moves a step to before one that it uses; only steps that the last one needs, as others may be padding."""
        rows = self._rows(path)
        needed = _needed(rows)
        pairs = [(i, j) for j in needed for i in needed if i < j and _uses(rows[j], rows[i])]
        if not pairs:
            return None
        i, j = rng.choice(pairs)
        return _join([*rows[:i], rows[j], *rows[i:j], *rows[j + 1 :]])

    def swap_independent(self, path: str, rng: random.Random) -> str | None:
        """Swaps two neighbouring steps neither of which uses the other."""
        rows = self._rows(path)
        pairs = [
            i
            for i in range(len(rows) - 1)
            if rows[i].step and rows[i + 1].step and not _uses(rows[i + 1], rows[i])
        ]
        pairs = [i for i in pairs if _name(rows[i]) != _name(rows[i + 1])]
        if not pairs:
            return None
        i = rng.choice(pairs)
        return _join([*rows[:i], rows[i + 1], rows[i], *rows[i + 2 :]])

    def wrong_value(self, path: str, rng: random.Random) -> str | None:
        """Makes one result wrong that the last step needs, and carries it on to the end."""
        rows = self._rows(path)
        used = _needed(rows)[:-1]
        return self._with_wrong(rows, rng.choice(used), rng) if used else None

    def wrong_end(self, path: str, rng: random.Random) -> str | None:
        """Makes the last result wrong and leaves all before as it is."""
        rows = self._rows(path)
        solved = [i for i in range(len(rows)) if rows[i].step]
        return self._with_wrong(rows, solved[-1], rng) if solved else None

    def paraphrase(self, path: str) -> str | None:
        """Says the same in the world's own words: what a plan needs, in the other order."""
        changed = _PLAN.sub(r"\1\3 and \2.", path)
        return changed if changed != path else None

    def insert_irrelevant(self, path: str, problem: str, rng: random.Random) -> str | None:
        """Adds a true step about quantities that neither the problem nor the path mentions."""
        rows = self._rows(path)
        known = set(re.findall(r"\w+", f"{problem} {path}"))
        free = [name for name in self.world.names if name not in known]
        op = next(iter(self.world.ops.values()))
        if len(free) <= op.arity:
            return None
        target, *inputs = rng.sample(free, op.arity + 1)
        constant = rng.choice(op.constants) if op.constants else ""
        for _ in range(20):
            values = tuple(rng.choice(self.world.values) for _ in inputs)
            value = op.compute(values, constant)
            if value is not None and value in self.world.values:
                made = self._line(op.name, target, tuple(inputs), values, constant, value)
                at = rng.randint(0, len(rows))
                return "\n".join([*(row.text for row in rows[:at]), made, *(row.text for row in rows[at:])])
        return None

    def repeat_step(self, path: str, rng: random.Random) -> str | None:
        """Repeats one of the steps at the end."""
        rows = self._rows(path)
        solved = [row for row in rows if row.step]
        return _join([*rows, rng.choice(solved)]) if solved else None

    def last_step_only(self, path: str) -> str | None:
        """Keeps the last step alone; ``None`` where there are fewer than three."""
        solved = [row for row in self._rows(path) if row.step]
        return solved[-1].text if len(solved) > 2 else None

    def second_half_only(self, path: str) -> str | None:
        """Keeps the second half of the steps alone, without a plan; ``None`` where there are fewer than three."""
        solved = [row for row in self._rows(path) if row.step]
        return _join(solved[len(solved) // 2 :]) if len(solved) > 2 else None

    def _rows(self, path: str) -> list[_Row]:
        rows = []
        for text in path.split("\n"):
            if text.strip() and not text.startswith("The answer is"):
                found = [line for line in read_lines(self.world, text) if line.value]
                rows.append(_Row(text, found[-1] if found else None))
        return rows

    def _with_wrong(self, rows: list[_Row], first: int, rng: random.Random) -> str | None:
        changed: dict[str, str] = {}
        out: list[str] = []
        for i, row in enumerate(rows):
            step = row.step
            if step is None or i < first:
                out.append(row.text)
                continue
            values = tuple(
                changed.get(name, value) for name, value in zip(step.inputs, step.values, strict=True)
            )
            value = (
                self._other(step.value, rng)
                if i == first
                else self.world.ops[step.op].compute(values, step.constant)
            )
            if value is None or value not in self.world.values:
                return None
            if value != step.value:
                changed[step.name] = value
            out.append(self._line(step.op, step.name, step.inputs, values, step.constant, value))
        return "\n".join(out)

    def _other(self, value: str, rng: random.Random) -> str:
        if self.world.numeric:
            return str(int(value) + rng.choice((1, 2, 3)))
        return rng.choice([other for other in self.world.values if other != value])

    def _line(
        self, op: str, name: str, inputs: tuple[str, ...], values: tuple[str, ...], constant: str, value: str
    ) -> str:
        b, c = (*inputs, "", "")[:2]
        x, y = (*values, "", "")[:2]
        working = self.world.ops[op].working.format(b=b, c=c, x=x, y=y, k=constant)
        return f"So {name}: {working} is {value}."


def _name(row: _Row) -> str:
    return row.step.name if row.step else ""


def _needed(rows: list[_Row]) -> list[int]:
    """Places of the steps that the last one needs, and its own, in order."""
    names: set[str] = set()
    found: list[int] = []
    for i in reversed(range(len(rows))):
        step = rows[i].step
        if step is not None and (not found or step.name in names):
            found.append(i)
            names.discard(step.name)
            names.update(step.inputs)
    return found[::-1]


def _uses(row: _Row, other: _Row) -> bool:
    return row.step is not None and other.step is not None and other.step.name in row.step.inputs


def _join(rows: list[_Row]) -> str:
    return "\n".join(row.text for row in rows)
