"""The built-in worlds: problems, teacher and wandering paths, reading back, checking, splits."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.errors import UserError, WorldError
from rlkd.worlds import Graph, Node, get_world, make_splits, registry, world_names, world_of
from rlkd.worlds.graph import plan_is_solvable
from rlkd.worlds.paths import gap_line
from schemas.config.world import StepRange, WanderSettings, WorldSettings
from schemas.problem import Problem

DOMAINS = ("arithmetic", "logic", "relations")
HARD = WorldSettings(steps=StepRange(min=1, max=7), n_ood=0)


def draw(domain: str, seed: int, settings: WorldSettings = HARD) -> Problem:
    world = get_world(domain)
    return world.to_problem(world.generate(random.Random(seed), settings))


def hand_made() -> Problem:
    """Bob = Ann + Eve = 3 + 4 = 7; Dan = Bob - Ann = 7 - 3 = 4; Fay = Eve + Bob = 11 is not needed."""
    nodes = (
        Node("Dan", "4", "minus", ("Bob", "Ann")),
        Node("Ann", "3"),
        Node("Fay", "11", "plus", ("Eve", "Bob")),
        Node("Bob", "7", "plus", ("Ann", "Eve")),
        Node("Eve", "4"),
    )
    return get_world("arithmetic").to_problem(Graph("arithmetic", "Dan", nodes))


def test_the_three_domains_are_registered() -> None:
    assert world_names() == DOMAINS


def test_hand_made_problem_and_its_teacher_path() -> None:
    problem = hand_made()
    assert problem.question == (
        "Dan has as many pens as Bob minus Ann. Ann has 3 pens. Fay has as many pens as Eve plus Bob. "
        "Bob has as many pens as Ann plus Eve. Eve has 4 pens. How many pens does Dan have?"
    )
    assert (problem.answer, problem.difficulty, problem.metadata["depth"]) == ("4", 2, 2)
    path = get_world("arithmetic").solve(problem)
    assert path == (
        "To find Dan, I need Bob and Ann.\nTo find Bob, I need Ann and Eve.\n"
        "So Bob: Ann 3 plus Eve 4 is 7.\nSo Dan: Bob 7 minus Ann 3 is 4.\nThe answer is 4."
    )
    first, second = get_world("arithmetic").decompose(path).steps
    assert first.meta == "To find Bob, I need Ann and Eve"
    assert first.sub_problem == "How many pens does Bob have?"
    assert (first.answer, first.operation, first.depends_on) == ("7", "plus", ())
    assert first.quantities == ("Ann", "Eve", "3", "4")
    assert (second.answer, second.operation, second.depends_on) == ("4", "minus", (0,))
    assert path[second.start : second.end] == "So Dan: Bob 7 minus Ann 3 is 4"


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("seed", range(20))
def test_teacher_solves_only_what_is_needed(domain: str, seed: int) -> None:
    world, problem = get_world(domain), draw(domain, seed)
    for rng in (None, random.Random(seed)):
        path = world.solve(problem, rng)
        assert world.verify(problem, world.read_answer(path))
        assert path.endswith(f"The answer is {problem.answer}.")
        structure = world.decompose(path)
        assert len(structure.steps) == problem.difficulty
        assert all(step.meta and step.kind == "step" for step in structure.steps)
        # every plan and every solution is right: 2 sentences for each needed quantity
        assert world.check_steps(problem, path) == (2 * len(structure.steps), 2 * len(structure.steps))
        # each step but the last (the target's) is used by a later one
        used = {d for step in structure.steps for d in step.depends_on}
        assert used == set(range(len(structure.steps) - 1))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_problem_alone_is_enough(domain: str) -> None:
    problem = draw(domain, 3)
    again = Problem.model_validate_json(problem.model_dump_json())
    assert world_of(again).solve(again) == get_world(domain).solve(problem)


@pytest.mark.parametrize("domain", DOMAINS)
def test_wandering_steps_are_right_and_choices_are_not(domain: str) -> None:
    world, rng = get_world(domain), random.Random(5)
    right = irrelevant = 0
    for seed in range(150):
        problem = draw(domain, seed, WorldSettings())
        path = world.wander(problem, rng)
        good, total = world.check_steps(problem, path)
        assert good == total > 0
        needed = {s.sub_problem for s in world.decompose(world.solve(problem)).steps}
        irrelevant += any(s.sub_problem not in needed for s in world.decompose(path).steps)
        right += world.verify(problem, world.read_answer(path))
    assert 15 < irrelevant < 150
    assert 15 < right < 135


def test_a_focused_wanderer_is_the_teacher() -> None:
    world, problem = get_world("arithmetic"), draw("arithmetic", 1)

    class Focused(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    path = world.wander(problem, Focused(0), WanderSettings(focus=1.0, wrong_answer=0.0))
    assert path == world.solve(problem)


def test_wrong_steps_are_counted() -> None:
    problem, world = hand_made(), get_world("arithmetic")
    path = (
        "To find Dan, I need Bob and Eve.\n"  # wrong: Dan is Bob minus Ann
        "So Bob: Ann 3 plus Eve 4 is 8.\n"  # wrong: 7
        "So Dan: Bob 8 minus Ann 3 is 5.\n"  # right, given what was found
        "So Fay: Eve 3 plus Bob 8 is 11.\n"  # wrong: Eve has 4
        "So Fay: Eve 4 minus Bob 8 is 4.\n"  # wrong: plus
        "So Ann: Eve 4 plus Bob 8 is 12.\n"  # wrong: Ann is given
        "The answer is 5."
    )
    assert world.check_steps(problem, path) == (1, 6)
    assert not world.verify(problem, world.read_answer(path))


def test_a_step_that_uses_what_is_not_yet_found_is_wrong() -> None:
    problem, world = hand_made(), get_world("arithmetic")
    assert world.check_steps(problem, "So Dan: Bob 7 minus Ann 3 is 4.") == (0, 1)


def test_a_gap_is_right_only_where_the_input_is_unknown() -> None:
    # Dan is Bob minus Ann, Bob is Ann plus Eve; Ann 3 and Eve 4 are given
    problem, world = hand_made(), get_world("arithmetic")
    path = (
        "So Dan: Bob is missing.\n"  # right: Bob was not found yet
        "So Bob: Ann 3 plus Eve is missing.\n"  # wrong: Eve is given
        "So Ann: Eve is missing.\n"  # wrong: Ann is given
        "So Bob: Ann 3 plus Eve 4 is 7.\n"  # right
        "So Dan: Bob is missing.\n"  # wrong: it was found
        "So Zed: Bob is missing.\n"  # wrong: there is none
        "So Dan: Bob 7 minus Ann 3 is 4."  # right
    )
    assert world.check_steps(problem, path) == (3, 7)
    # gaps are no steps: Bob, then Dan, which depends on it
    assert [(s.answer, s.depends_on) for s in world.decompose(path).steps] == [("7", ()), ("4", (0,))]


def test_a_gap_stops_at_the_first_unknown_input() -> None:
    graph = Graph.from_json(hand_made().metadata["world"])
    dan = graph.by_name()["Dan"]
    assert gap_line(get_world("arithmetic"), dan, {"Ann": "3"}) == "So Dan: Bob is missing."
    assert gap_line(get_world("arithmetic"), dan, {"Bob": "7"}) == "So Dan: Bob 7 minus Ann is missing."


def test_what_a_given_quantity_needs_is_nothing() -> None:
    problem, world = hand_made(), get_world("arithmetic")
    assert world.check_steps(problem, "To find Ann, I need nothing.") == (1, 1)
    assert world.check_steps(problem, "To find Bob, I need nothing.") == (0, 1)
    assert world.check_steps(problem, "To find Ann, I need Eve.") == (0, 1)


@pytest.mark.parametrize("persist", [0.0, 1.0])
def test_where_an_input_is_missing_a_path_persists_or_does_not(persist: float) -> None:
    world, rng = get_world("arithmetic"), random.Random(7)
    settings = WanderSettings(focus=0.5, overreach=0.8, persist=persist)
    after: list[bool] = []
    for seed in range(60):
        lines = world.wander(draw("arithmetic", seed, WorldSettings()), rng, settings).split("\n")
        for line, following in itertools.pairwise(lines):
            if line.endswith(" is missing."):
                name = line.removesuffix(" is missing.").split()[-1]
                after.append(following.startswith(f"To find {name}, I need "))
    assert len(after) > 40
    # who persists plans the missing input next, always; the others do so by chance, seldom
    assert all(after) if persist else sum(after) < 0.2 * len(after)


def test_repeated_step_is_a_check_and_unreadable_text_is_skipped() -> None:
    path = "Hmm.\nSo Bob: Ann 3 plus Eve 4 is 7.\nSo Bob: Ann 3 plus Eve 4 is 7.\nSo Bob is.\nSo Dan: is 4."
    steps = get_world("arithmetic").decompose(path).steps
    assert [(s.kind, s.answer) for s in steps] == [("step", "7"), ("check", "7")]


@pytest.mark.parametrize("text", ["", "The answer is", "nothing here", "the answer is 7"])
def test_no_stated_answer(text: str) -> None:
    world = get_world("arithmetic")
    assert world.read_answer(text) is None
    assert not world.verify(hand_made(), None)


def test_the_last_stated_answer_counts() -> None:
    assert get_world("logic").read_answer("The answer is in. The answer is out.") == "out"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="So To find Ann, Ineed:pluis.\n37", max_size=300))
def test_decompose_never_raises(text: str) -> None:
    for domain in DOMAINS:
        for step in get_world(domain).decompose(text).steps:
            assert text[step.start : step.end].startswith("So ")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(DOMAINS), st.integers(1, 7))
def test_graphs_are_sound(seed: int, domain: str, steps: int) -> None:
    world, rng = get_world(domain), random.Random(seed)
    graph = world.generate(rng, HARD, steps)
    nodes = graph.by_name()
    assert len(graph.plan()) == steps
    assert plan_is_solvable(graph, graph.plan())
    assert len(graph.derived()) == steps + HARD.distractors
    for node in graph.nodes:
        if node.op:
            values = tuple(nodes[i].value for i in node.inputs)
            assert world.ops[node.op].compute(values, node.constant) == node.value
            assert node.value in world.values
    assert Graph.from_json(graph.to_json()) == graph


def test_splits_are_disjoint_repeatable_and_ood_is_deeper() -> None:
    wanted = WorldSettings(
        domains={"arithmetic": 2, "logic": 1, "relations": 1},
        n_train=30,
        n_validation=20,
        n_test=40,
        n_ood=20,
    )
    splits = make_splits(wanted, 7)
    assert {k: len(v) for k, v in splits.items()} == {"train": 30, "validation": 20, "test": 40, "ood": 20}
    keys = [Graph.from_json(p.metadata["world"]).key() for rows in splits.values() for p in rows]
    assert len(set(keys)) == 110
    deepest = max(p.difficulty or 0 for split in ("train", "validation", "test") for p in splits[split])
    assert deepest <= 5 < 6 <= min(p.difficulty or 0 for p in splits["ood"])
    assert all(p.split == split for split, rows in splits.items() for p in rows)
    assert make_splits(wanted, 7) == splits
    assert make_splits(wanted, 8) != splits
    assert {p.domain for p in splits["test"]} == set(DOMAINS)


def test_more_training_problems_change_no_test_problem() -> None:
    few = WorldSettings(n_train=5, n_validation=5, n_test=20, n_ood=5)
    assert make_splits(few.model_copy(update={"n_train": 50}), 1)["test"] == make_splits(few, 1)["test"]


def test_key_ignores_the_order_of_statements() -> None:
    graph = Graph.from_json(hand_made().metadata["world"])
    assert Graph(graph.domain, graph.target, graph.nodes[::-1]).key() == graph.key()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distractors": 12, "spare_facts": 12}, "need at least 28 names and there are 24"),
        ({"max_value": 1, "max_given": 9, "steps": StepRange(min=5, max=5)}, "raise max_value"),
        ({"operations": {"arithmetic": ("times",)}}, "choose from plus, minus"),
        ({"domains": {"music": 1.0}}, "unknown domain 'music'"),
    ],
)
def test_settings_that_cannot_be_met(change: dict[str, object], words: str) -> None:
    wanted = WorldSettings(steps=StepRange(min=3, max=3), n_ood=0).model_copy(update=change)
    with pytest.raises(WorldError, match=words) as caught:
        make_splits(wanted, 0)
    assert isinstance(caught.value, UserError)


def test_too_few_different_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    # a fourth domain with 3 names and one operation: 3! orders of the names, halved or not by symmetry
    small = replace(get_world("arithmetic"), name="small", names=("Ann", "Bob", "Cid"))
    monkeypatch.setitem(registry._WORLDS, "small", small)
    wanted = WorldSettings(
        domains={"small": 1}, steps=StepRange(min=1, max=1), distractors=0, spare_facts=0, max_given=1,
        operations={"small": ("plus",)}, n_train=0, n_validation=0, n_test=9, n_ood=0,
    )  # fmt: skip
    with pytest.raises(WorldError, match="test needs 9 and only 6 new ones"):
        make_splits(wanted, 0)


@pytest.mark.parametrize("world", [None, {}, {"domain": "arithmetic", "target": "Ann", "nodes": [{}]}, [1]])
def test_a_problem_of_no_world(world: object) -> None:
    problem = Problem(id="x", question="?", answer="1", metadata={"world": world})
    with pytest.raises(WorldError, match="no graph"):
        world_of(problem)


def test_unknown_quantity_in_metadata() -> None:
    with pytest.raises(WorldError, match="unknown quantities: Zed"):
        Graph.from_json({"domain": "logic", "target": "Zed", "nodes": []})
    with pytest.raises(WorldError, match="is of domain arithmetic"):
        get_world("logic").solve(hand_made())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="above max"):
        StepRange(min=3, max=2)
    with pytest.raises(ValueError, match=r"ood_steps\.min"):
        WorldSettings(ood_steps=StepRange(min=5, max=6))
    with pytest.raises(ValueError, match="share above 0"):
        WorldSettings(domains={})
