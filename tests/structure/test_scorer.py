"""The score: what it promises, on random paths."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.io import sha256_text
from rlkd.structure.decomposers.rules import RulesDecomposer, decompose_text
from rlkd.structure.factory import make_scorer
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.matching.alignments import PrefixAlignment
from rlkd.structure.scorer import ScoreItem, StructureScorer, score_paths
from schemas.config.structure import RulesJudgeConfig, StructuresConfig
from schemas.structure import ReasoningStep, Structure

PROBLEM = "Ducks lay 16 eggs. She eats three and bakes with four. She sells the rest for $2 each."
TEACHER = "Janet sells 16 - 3 - 4 = 9 duck eggs a day.\nShe makes 9 * 2 = $18 every day.\n#### 18"
SPLIT = "She uses 3 + 4 = 7 eggs.\nThat leaves 16 - 7 = 9 eggs.\nSo 2 * 9 = 18 dollars.\nA: 18"
WRONG = "She has 16 - 3 = 13 eggs.\nShe makes 13 * 2 = 26 dollars.\nA: 26"


def score(student: str, teachers: Sequence[str] = (TEACHER,), problem: str = PROBLEM) -> float:
    found = score_paths(problem, list(teachers), student)
    assert found is not None
    return found.structure


@st.composite
def solutions(draw: st.DrawFn) -> list[str]:
    """Lines of a solution whose steps use given numbers and earlier results."""
    known = draw(st.lists(st.integers(2, 60), min_size=2, max_size=4))
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        a, b = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        op = draw(st.sampled_from("+-*"))
        value = {"+": a + b, "-": a - b, "*": a * b}[op]
        if abs(value) > 10_000:
            continue
        lines.append(
            f"{draw(st.sampled_from(['So there are', 'That makes', 'He has']))} {a} {op} {b} = {value} of them."
        )
        known.append(abs(value))
    return lines or ["He has 2 + 3 = 5 of them."]


@given(solutions())
def test_identical_paths_score_one(lines: list[str]) -> None:
    path = "\n".join(lines)
    found = score_paths("", [path], path)
    assert found is None or found.structure == pytest.approx(1.0)
    assert found is None or found.prefix == pytest.approx(1.0)


@given(solutions(), solutions())
def test_scores_are_in_bounds(teacher: list[str], student: list[str]) -> None:
    found = score_paths("", ["\n".join(teacher)], "\n".join(student))
    assert found is None or (0.0 <= found.structure <= 1.0 and 0.0 <= found.prefix <= 1.0)


@given(solutions())
def test_paths_that_share_nothing_score_zero(lines: list[str]) -> None:
    student = "The zebra 90011 * 3.5 = 315038.5\nA quartz 315038.5 / 70.25 = 4484.5"
    assert score(student, ["\n".join(lines)], "") == 0.0


@given(solutions(), solutions(), st.integers(0, 6), st.integers(1013, 1999), st.integers(101, 997))
def test_an_irrelevant_step_never_helps(
    teacher: list[str], student: list[str], at: int, a: int, b: int
) -> None:
    path = "\n".join(teacher)
    before = score("\n".join(student), [path], "")
    padded = [*student[:at], f"Far away, {a} * {b} = {a * b} pebbles lie there.", *student[at:]]
    assert score("\n".join(padded), [path], "") <= before + 1e-9


@given(solutions(), solutions(), st.data())
def test_a_repeated_step_never_helps(teacher: list[str], student: list[str], data: st.DataObject) -> None:
    path = "\n".join(teacher)
    before = score("\n".join(student), [path], "")
    repeated = [*student, data.draw(st.sampled_from(student))]
    assert score("\n".join(repeated), [path], "") <= before + 1e-9


@given(solutions(), solutions())
def test_copying_the_problem_never_helps(teacher: list[str], student: list[str]) -> None:
    path, problem = (
        "\n".join(teacher),
        "He has 16 eggs of them. So there are three ducks. That makes 4 and 60.",
    )
    before = score("\n".join(student), [path], problem)
    assert score("\n".join([problem, *student]), [path], problem) <= before + 1e-9


def test_split_and_merged_calculations_follow_the_teacher() -> None:
    assert score(SPLIT) > 0.9
    assert score(TEACHER, [SPLIT]) > 0.9
    assert score(SPLIT) > score(WRONG) + 0.4


def test_other_words_cost_little_and_marks_nothing() -> None:
    marked = TEACHER.replace("= 9", "= <<16-3-4=9>>9").replace("= $18", "= $<<9*2=18>>18")
    assert score(marked) == pytest.approx(1.0)
    assert 0.97 < score("Left over: 16-3-4=9\nEarned: 2*9=18") < 1.0


def test_order_counts_only_where_steps_depend() -> None:
    teacher = "3 * 4 = 12 pens\n5 * 6 = 30 books\n12 + 30 = 42 things"
    assert score(
        "5 * 6 = 30 books\n3 * 4 = 12 pens\n12 + 30 = 42 things", [teacher], "3 4 5 6"
    ) == pytest.approx(1.0)
    early = score("12 + 30 = 42 things\n3 * 4 = 12 pens\n5 * 6 = 30 books", [teacher], "3 4 5 6")
    assert early < 0.95


def test_a_wrong_value_carried_on_costs() -> None:
    assert score(TEACHER.replace("= 9", "= 10").replace("9 * 2 = $18", "10 * 2 = $20")) < 0.5


def test_the_stated_final_answer_is_not_read() -> None:
    assert score(TEACHER.replace("#### 18", "#### 99")) == score(TEACHER) == 1.0


def test_no_step_is_zero_and_no_teacher_step_is_missing() -> None:
    assert score("") == 0.0
    assert score("A: 18") == 0.0
    assert score("I do not know.") == 0.0
    assert score_paths(PROBLEM, ["#### 18"], SPLIT) is None
    assert score_paths(PROBLEM, [""], SPLIT) is None


def test_any_branch_of_several_teachers_counts() -> None:
    one, other = "3 + 4 = 7\n7 * 2 = 14", "4 * 2 = 8\n3 * 2 = 6\n8 + 6 = 14"
    problem = "3 4 2"
    assert score(other, [one, other], problem) == pytest.approx(1.0)
    mixed = "3 + 4 = 7\n3 * 2 = 6\n7 * 2 = 14"
    # against the first alone 3 * 2 is an extra step; the second takes it
    assert score(mixed, [one, other], problem) > score(mixed, [one], problem)
    found = score_paths(problem, [one, other], other)
    assert found is not None and {s.teacher_path for s in found.steps} == {1}


def test_the_report_names_the_steps_that_were_followed() -> None:
    found = score_paths(PROBLEM, [TEACHER], SPLIT)
    assert found is not None
    assert (found.teacher_steps, found.student_steps) == (2, 3)
    assert [s.teacher_step for s in found.steps] == [None, 0, 1]
    assert [s.answer for s in found.steps] == ["7 eggs", "9 eggs", "18 dollars"]
    assert found.steps[2].p_answer == 1.0


def test_paths_in_words_are_compared_by_wording() -> None:
    teacher = (
        "Genghis Khan had sixteen children.\nJulius Caesar had three children.\nSixteen is more than three."
    )
    assert score(teacher, [teacher]) == 1.0
    half = "Julius Caesar had three children.\nGenghis Khan lived in Mongolia for a long time."
    assert 0.2 < score(half, [teacher]) < 0.7
    assert score("The zebra is striped.", [teacher]) == 0.0
    # a claim that only repeats the question counts on neither side
    assert (
        score(
            "Julius Caesar had three children.", [teacher], "True or not: Julius Caesar had three children?"
        )
        == 0.0
    )


def test_prefix_as_the_chosen_alignment() -> None:
    scorer = StructureScorer(alignment=PrefixAlignment(normalize=False))
    found = score_paths(PROBLEM, [TEACHER], TEACHER, scorer)
    assert found is not None and (found.structure, found.prefix) == (2.0, 1.0)
    found = score_paths(PROBLEM, [TEACHER], SPLIT, scorer)
    assert found is not None and found.structure == 0.0  # one inserted step loses everything


def test_symbolic_equality_counts_under_the_paper_rule_too() -> None:
    def one_step(answer: str) -> Structure:
        step = ReasoningStep(index=0, sub_problem="Solve it", answer=answer)
        return Structure(steps=(step,), path_sha256=sha256_text(answer))

    class Reader:
        name = "reader@1"

        async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
            return [one_step(item.path) for item in items]

    for symbolic, expected in ((False, 0.5), (True, 1.0)):  # an answer that differs halves the only step
        scorer = StructureScorer(Reader(), RulesJudge(RulesJudgeConfig(type="rules", symbolic=symbolic)))
        [found] = asyncio.run(scorer.score([ScoreItem(PathItem("", "0.5"), (one_step(r"\frac{1}{2}"),))]))
        assert found is not None and found.prefix == expected


def test_scores_items_in_order_and_the_same_either_way() -> None:
    scorer = make_scorer(StructuresConfig())
    teacher = (decompose_text(TEACHER, problem=PROBLEM),)
    items = [ScoreItem(PathItem(PROBLEM, s), teacher) for s in (SPLIT, WRONG, "", TEACHER)]
    found = asyncio.run(scorer.score(items))
    assert found == [scorer.score_now(item) for item in items]


class _Failing:
    """A backend that fails on every second item."""

    name = "failing"

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        whole = await RulesDecomposer().decompose(items)
        return [s if i % 2 == 0 else None for i, s in enumerate(whole)]

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        return [None if p.student_step.answer.startswith("13") else PairVerdict(1.0, 1.0, 1.0) for p in pairs]


def test_faults_are_missing_never_zero() -> None:
    teacher = (decompose_text(TEACHER, problem=PROBLEM),)
    items = [ScoreItem(PathItem(PROBLEM, s), teacher) for s in (SPLIT, TEACHER, WRONG)]
    found = asyncio.run(StructureScorer(decomposer=_Failing()).score(items))
    assert [f is None for f in found] == [False, True, False]
    found = asyncio.run(StructureScorer(judge=_Failing()).score(items))
    assert [f is None for f in found] == [False, False, True]


def test_scoring_at_once_needs_backends_that_wait_for_nothing() -> None:
    class Slow(_Failing):
        async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
            await asyncio.sleep(0)
            return await super().judge(pairs)

    teacher = (decompose_text(TEACHER, problem=PROBLEM),)
    with pytest.raises(TypeError, match="use score"):
        StructureScorer(judge=Slow()).score_now(ScoreItem(PathItem(PROBLEM, SPLIT), teacher))


HOSTILE = {
    "digits": "1" * 1_000_000,
    "sum": "1+" * 500_000,
    "parentheses": "(" * 1_000_000,
    "equals": "1=1=" * 250_000,
    "blanks": " " * 1_000_000,
    "marks": "<<1+1=2>>" * 100_000,
    "open marks": "<<" * 500_000,
    "dollars": "$" * 1_000_000,
    "fractions": "$" + "\\frac{" * 150_000 + "$",
    "math": "$x=1$ " * 160_000,
    "display": "\\[" * 500_000,
    "align": "\\begin{align}" * 80_000,
    "answers": "the answer is " * 70_000,
    "lines": "3 + 4 = 7\n" * 100_000,
    "sentences": "A. " * 330_000,
    "binary": "".join(chr(i * 7919 % 0x2FF) for i in range(0x2FF)) * 1_304,
    "letters": "x " * 500_000,
    "headings": "a" * 1_000_000 + ":",
    "claims": "if all cats are not dogs, then therefore some dogs are " * 18_000,
    "claims by line": "Not every bird can fly because it is not so.\n" * 22_000,
    "sums in words": "Adding three and four and half of twenty-five gives " * 19_000,
    "apostrophes": "a'" * 500_000,
    "roots": "√" * 1_000_000,
    "choices": "C(5, " * 200_000,
    "powers": "2^x" * 330_000,
    "modulus": "x \\equiv 1 \\pmod" * 55_000,
    "inequalities": "x <= 3 < y >= " * 70_000,
    "corrections": "Wait, no, let me check: 3 + 4 = 8. " * 28_000,
    "prices": "$1 000 " * 140_000,
    "words run together": "is" * 500_000,
    "other script": "他有三个苹果，吃了一个。" * 80_000,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_megabytes_are_read_in_bounded_time_and_score_low(name: str) -> None:
    # the time-out is no measure of speed: a catastrophic expression would take days
    assert score(HOSTILE[name]) < 0.6


@pytest.mark.parametrize(
    "path",
    [
        "Since an egg costs 2, she earns 9 * 2 = 18 dollars.\nThen, to find the rest: 18 + 5 = 23.",
        "## Eggs\nHow many are left?\n- 16 - 7 = 9\n\n## Money\nStep 2: If each is $2, it is 9 * 2 = $18",
        "How many eggs does she sell?\nIf she eats three, thirteen are left.\nTherefore, since four are baked, nine are sold.",
        "We have $2x + 4 = 10$.\nSubtracting, $2x = 6$.\nSo $x = 3$, and $\\binom{3}{2} = 3$.",
        "Let x be the price. x - 0.25x = 19.50\n0.75x = 19.50\nx = 26",
    ],
)
def test_identical_paths_of_every_kind_score_one(path: str) -> None:
    assert score(path, [path]) == 1.0
    assert score(path, [path], "") == 1.0
