"""Each change by hand on a path of three steps; the third uses both others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.qualification import changes
from rlkd.qualification.paraphrase import paraphrase
from rlkd.qualification.variants import EXPECTED, as_expected, variants
from rlkd.qualification.world_changes import WorldChanges
from schemas.qualification import LabelledPair

A, B, C = "Ann has 3 + 4 = 7 apples.", "She buys 2 * 5 = 10 more.", "In total 7 + 10 = 17."
PATH = f"{A}\n{B}\n{C}\n#### 17"
PLAIN = "Whales are mammals.\nMammals breathe air."

PLAN = "To find Fay, I need Cid and Dan."
X, Y, Z = (
    "So Cid: Ann 3 plus Bob 4 is 7.",
    "So Dan: Ann 3 plus Bob 4 is 7.",
    "So Fay: Cid 7 plus Dan 7 is 14.",
)
WORLD_PATH = f"{PLAN}\n{X}\n{Y}\n{Z}\nThe answer is 14."
SEEDS = range(12)


def test_scrambling_moves_a_step_to_before_one_that_it_uses() -> None:
    found = {changes.scramble_dependent(PATH, (3.0, 4.0, 2.0, 5.0), random.Random(seed)) for seed in SEEDS}
    assert found == {f"{C}\n{A}\n{B}", f"{A}\n{C}\n{B}"}
    # 7 is a number of the problem: the third step may mean that one, so only the second clearly comes before it.
    assert changes.scramble_dependent(PATH, (7.0,), random.Random(0)) == f"{A}\n{C}\n{B}"


def test_swapping_takes_neighbours_that_do_not_need_each_other() -> None:
    assert {changes.swap_independent(PATH, random.Random(seed)) for seed in SEEDS} == {f"{B}\n{A}\n{C}"}


def test_a_wrong_value_is_carried_on() -> None:
    expected = {
        f"Ann has 3 + 4 = {7 + d} apples.\n{B}\nIn total {7 + d} + 10 = {17 + d}." for d in (1, 2, 3, 10)
    }
    expected |= {
        f"{A}\nShe buys 2 * 5 = {10 + d} more.\nIn total 7 + {10 + d} = {17 + d}." for d in (1, 2, 3, 10)
    }
    found = {changes.wrong_value(PATH, random.Random(seed)) for seed in range(60)}
    assert found <= expected
    assert len(found) > 4


def test_a_wrong_end_leaves_all_before_it() -> None:
    found = {changes.wrong_end(PATH, random.Random(seed)) for seed in range(40)}
    assert found == {f"{A}\n{B}\nIn total 7 + 10 = {17 + d}." for d in (1, 2, 3, 10)}


def test_padding() -> None:
    for seed in range(40):
        padded = changes.insert_irrelevant(PATH, (3.0, 4.0), random.Random(seed)).split("\n")
        assert [line for line in padded if "pebbles" not in line] == [A, B, C]
        assert len(padded) == 4
        added = changes.Line(next(line for line in padded if "pebbles" in line)).calc
        assert added is not None and added.holds and added.value not in (7, 10, 17)
    assert changes.repeat_step(PATH, random.Random(0)) in {f"{A}\n{B}\n{C}\n{line}" for line in (A, B, C)}
    assert changes.repeat_path(PATH) == f"{A}\n{B}\n{C}\n{A}\n{B}\n{C}"
    assert changes.copy_prompt(PATH, "How many?") == f"How many?\n{PATH}"
    addressed = changes.address_judge(f"{A}\n\n{B}").split("\n")
    assert addressed == [f"{A} {changes.AIMED}", "", f"{B} {changes.AIMED}"]


def test_cutting_short() -> None:
    assert changes.last_step_only(PATH) == C
    assert changes.second_half_only(PATH) == f"{B}\n{C}"
    # lines without a calculation are no steps, where there are others; two steps are too few
    assert changes.last_step_only(f"{PATH[:-7]}\nSo that is it.") == C
    assert changes.last_step_only(f"{A}\n{B}") is None
    assert changes.second_half_only(PLAIN) is None
    world = WorldChanges("arithmetic")
    assert world.last_step_only(WORLD_PATH) == Z
    assert world.second_half_only(WORLD_PATH) == f"{Y}\n{Z}"
    assert world.last_step_only(f"{PLAN}\n{X}\n{Y}") is None


def test_what_cannot_be_changed_is_none() -> None:
    rng = random.Random(0)
    assert changes.scramble_dependent(PLAIN, (), rng) is None
    assert changes.swap_independent(PLAIN, rng) is None
    assert changes.wrong_value(PLAIN, rng) is None
    assert changes.wrong_end(PLAIN, rng) is None
    assert paraphrase("Whales breathe.") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Ann buys 1,500 * 2 = 3000 pens.", "Ann purchases 1500 × 2 = 3000 pens."),
        ("It costs 12000 / 4 = 3000.", "First, it costs 12,000 ÷ 4 = 3,000."),
        ("So she needs 3.", "Therefore she requires 3."),
        ("There are 2.\nThey are red.\nIt is 4.", "First, there are 2.\nNext, they are red.\nThen, it is 4."),
        ("In 1999 she bought <<2*3=6>>6.", "First, in 1999 she purchased <<2*3=6>>6."),
        (r"Every $a * b = \frac{1}{2}$ counts.", r"Each $a * b = \frac{1}{2}$ counts."),
    ],
)
def test_a_paraphrase_keeps_the_meaning(path: str, expected: str) -> None:
    assert paraphrase(path) == expected


def test_the_same_in_the_language_of_the_world() -> None:
    world = WorldChanges("arithmetic")
    assert world.swap_independent(WORLD_PATH, random.Random(0)) == f"{PLAN}\n{Y}\n{X}\n{Z}"
    scrambled = {world.scramble_dependent(WORLD_PATH, random.Random(seed)) for seed in SEEDS}
    assert scrambled == {f"{PLAN}\n{Z}\n{X}\n{Y}", f"{PLAN}\n{X}\n{Z}\n{Y}"}
    wrong = {world.wrong_value(WORLD_PATH, random.Random(seed)) for seed in range(40)}
    assert wrong == {
        text
        for d in (1, 2, 3)
        for text in (
            f"{PLAN}\nSo Cid: Ann 3 plus Bob 4 is {7 + d}.\n{Y}\nSo Fay: Cid {7 + d} plus Dan 7 is {14 + d}.",
            f"{PLAN}\n{X}\nSo Dan: Ann 3 plus Bob 4 is {7 + d}.\nSo Fay: Cid 7 plus Dan {7 + d} is {14 + d}.",
        )
    }
    ends = {world.wrong_end(WORLD_PATH, random.Random(seed)) for seed in SEEDS}
    assert ends == {f"{PLAN}\n{X}\n{Y}\nSo Fay: Cid 7 plus Dan 7 is {14 + d}." for d in (1, 2, 3)}
    assert world.paraphrase(WORLD_PATH) == WORLD_PATH.replace("Cid and Dan", "Dan and Cid")
    padded = world.insert_irrelevant(WORLD_PATH, "Ann has 3 pens.", random.Random(0))
    assert padded is not None
    [added] = [line for line in padded.split("\n") if line not in (PLAN, X, Y, Z)]
    assert not {"Ann", "Bob", "Cid", "Dan", "Fay"} & set(added.replace(":", "").split())
    assert len(world.world.decompose(padded).steps) == 4
    repeated = world.repeat_step(WORLD_PATH, random.Random(0))
    assert repeated in {f"{PLAN}\n{X}\n{Y}\n{Z}\n{line}" for line in (X, Y, Z)}
    assert world.scramble_dependent("nothing", random.Random(0)) is None
    assert world.wrong_end("nothing", random.Random(0)) is None


def test_every_change_of_a_path_by_domain() -> None:
    math = LabelledPair(group="1", problem="3, 4, 2 and 5", teachers=(PATH,), student=PATH, right=True)
    made = {variant.name: variant for variant in variants(math, random.Random(0))}
    assert list(made) == list(EXPECTED)
    # A right path can hardly rise: the judge is addressed in one that has gone wrong.
    assert made["judge_addressed"].before == made["value_wrong"].after
    assert made["irrelevant_in_wrong"].before == made["value_wrong"].after
    assert made["end_wrong"].before == made["last_step_only"].before == PATH
    world = math.model_copy(update={"teachers": (WORLD_PATH,), "student": WORLD_PATH, "domain": "arithmetic"})
    assert [variant.name for variant in variants(world, random.Random(0))] == list(EXPECTED)
    prose = math.model_copy(update={"teachers": (PLAIN,), "student": PLAIN, "domain": "commonsense"})
    kept = [variant.name for variant in variants(prose, random.Random(0))]
    assert kept == [
        "irrelevant_inserted",
        "step_repeated",
        "path_repeated",
        "problem_copied",
        "judge_addressed",
        "empty",
    ]


@pytest.mark.parametrize(
    ("expected", "before", "after", "good"),
    [
        ("falls", 0.5, 0.49, True),
        ("falls", 0.5, 0.5, False),
        ("stays", 0.5, 0.52, True),
        ("stays", 0.5, 0.47, False),
        ("does not rise", 0.5, 0.5, True),
        ("does not rise", 0.5, 0.51, False),
        ("is 0", 0.5, 0.0, True),
        ("is 0", 0.5, 0.1, False),
    ],
)
def test_what_a_score_should_do(expected: str, before: float, after: float, good: bool) -> None:
    assert as_expected(expected, before, after, 0.02) is good  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(2, 99), st.integers(2, 99), st.booleans()), min_size=1, max_size=7),
    st.integers(0, 9),
)
def test_moving_steps_changes_only_their_order(rows: list[tuple[int, int, bool]], seed: int) -> None:
    lines, value = [], 1
    for a, b, chained in rows:
        first = value if chained else a
        value = first + b
        lines.append(f"That is {first} + {b} = {value}.")
    path, rng = "\n".join(lines), random.Random(seed)
    for moved in (changes.swap_independent(path, rng), changes.scramble_dependent(path, (), rng)):
        assert (
            moved is None
            or (sorted(moved.split("\n")) == sorted(lines) and moved != path)
            or len(set(lines)) < len(lines)
        )
    wrong = changes.wrong_value(path, rng)
    assert wrong is None or (len(wrong.split("\n")) == len(lines) and wrong != path)
