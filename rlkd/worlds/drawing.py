"""Draws the graph of a problem under the settings of a world."""

from __future__ import annotations

import random
from dataclasses import replace

from rlkd.errors import WorldError
from rlkd.worlds.domain import Domain
from rlkd.worlds.graph import Graph, Node, plan_is_solvable
from schemas.config.world import WorldSettings

_ATTEMPTS = 400


def draw_graph(world: Domain, settings: WorldSettings, steps: int, rng: random.Random) -> Graph:
    """Draw one graph in which the target needs exactly ``steps`` derived quantities.

    Args:
        world: The domain: its operations, names and values.
        settings: Distractors, overlap, sharing, value range.
        steps: Needed derived quantities, the target included.
        rng: The only source of randomness.

    Raises:
        WorldError: If no such graph was found: too many quantities for the names, or no operation
            whose result stays in the value range.
    """
    least = steps + 1 + settings.distractors + settings.spare_facts
    if least > len(world.names):
        raise WorldError(
            f"{world.name}: {steps} steps, {settings.distractors} distractors and {settings.spare_facts} spare "
            f"facts need at least {least} names and there are {len(world.names)}; lower one of them"
        )
    ops = world.chosen_ops(settings)
    for _ in range(_ATTEMPTS):
        shape = _draw_shape(settings, steps, sorted({world.ops[o].arity for o in ops}), rng)
        if len(shape) > len(world.names):
            continue
        graph = _fill(world, settings, shape, ops, rng)
        if graph is not None and plan_is_solvable(graph, graph.plan()):
            return graph
    raise WorldError(
        f"{world.name}: no problem with {steps} steps was found in {_ATTEMPTS} attempts with values from 0 to "
        f"{settings.max_value}, given values up to {settings.max_given} and operations {', '.join(ops)}; "
        "raise max_value, lower max_given or steps, or allow more operations"
    )


def _draw_shape(
    settings: WorldSettings, steps: int, arities: list[int], rng: random.Random
) -> list[list[int]]:
    """Inputs of each quantity by index: needed ones first (0 is the target); a given one has none."""
    slots = [rng.choice(arities) for _ in range(steps)]
    inputs: list[list[int]] = [[] for _ in range(steps)]
    for child in range(1, steps):
        free = [j for j in range(child) if len(inputs[j]) < slots[j]]
        newest = free[-1]
        inputs[newest if rng.random() < settings.depth_bias else rng.choice(free)].append(child)
    for j in range(steps):
        while len(inputs[j]) < slots[j]:
            shared = [k for k in range(j + 1, len(inputs)) if k not in inputs[j]]
            if shared and rng.random() < settings.sharing:
                inputs[j].append(rng.choice(shared))
            else:
                inputs.append([])
                inputs[j].append(len(inputs) - 1)
        rng.shuffle(inputs[j])
    needed = list(range(len(inputs)))
    other = list(range(len(inputs), len(inputs) + settings.spare_facts))
    inputs += [[] for _ in other]
    for _ in range(settings.distractors):
        mine: list[int] = []
        for _ in range(rng.choice(arities)):
            pool = needed if not other or rng.random() < settings.overlap else other
            mine.append(
                rng.choice([k for k in pool if k not in mine] or [k for k in needed if k not in mine])
            )
        other.append(len(inputs))
        inputs.append(mine)
    return inputs


def _fill(
    world: Domain, settings: WorldSettings, shape: list[list[int]], ops: tuple[str, ...], rng: random.Random
) -> Graph | None:
    """Give names, values and operations to a shape; ``None`` where no operation fits."""
    names = rng.sample(world.names, len(shape))
    nodes: dict[int, Node] = {}

    def node(i: int) -> Node | None:
        if i in nodes:
            return nodes[i]
        if not shape[i]:
            made = Node(names[i], world.draw_given(rng, settings))
        else:
            parts = [node(k) for k in shape[i]]
            known = [p for p in parts if p is not None]
            derived = world.derive(names[i], known, ops, settings, rng) if len(known) == len(parts) else None
            if derived is None:
                return None
            made = derived
        nodes[i] = made
        return made

    for i in range(len(shape)):
        if node(i) is None:
            return None
    order = [nodes[i] for i in range(len(shape))]
    rng.shuffle(order)
    return Graph(domain=world.name, target=names[0], nodes=tuple(replace(n) for n in order))
