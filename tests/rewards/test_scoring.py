"""What is measured of a completion, and how it becomes one number."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlkd.answers.conventions import read_any
from rlkd.errors import ConfigError
from rlkd.rewards.components import STANDARD, Rollout, component, component_names
from rlkd.rewards.scoring import RewardModel, check_named, combine, make_components, measure, wait_for_values
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import StructureScorer
from schemas.alignment import StepMatch, StructureScore
from schemas.config.plugin import PythonObject
from schemas.config.rewards import ComponentConfig, RewardsConfig, WeightSchedule, ever_weighs
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure

OWN = """
import asyncio

def broken(rollout):
    return 1 / 0

def above(rollout):
    return 1.5

def text(rollout):
    return "good"

def nothing(rollout):
    return None

async def slow(rollout, value=0.25):
    await asyncio.sleep(0)
    return value

async def slow_and_broken(rollout):
    raise OSError("the server is away")

class Counter:
    def __init__(self, per=4):
        self.per = per

    def __call__(self, rollout):
        return min(1, len(rollout.text) / self.per)
"""


def rollout(text: str = "2 + 3 = 5. The answer is 5.", reference: str | None = "5") -> Rollout:
    return Rollout("What is 2 + 3?", reference, text, read_any(text))


def values(folder: Path, **names: dict[str, Any]) -> dict[str, float | None]:
    (folder / "own_measures.py").write_text(OWN, encoding="utf-8")
    sys.modules.pop("own_measures", None)
    config = RewardsConfig.model_validate(
        {
            "components": {
                name: {
                    "type": "python",
                    "object": f"own_measures:{name}",
                    "folder": str(folder),
                    "weight": 0.1,
                }
                | settings
                for name, settings in names.items()
            }
        }
    )
    rows = measure([rollout()], make_components(config))
    asyncio.run(wait_for_values(rows))
    found: dict[str, float | None] = rows[0]
    return found


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_standard_components_are_always_measured() -> None:
    [found] = measure([rollout()], make_components(RewardsConfig(alpha=0.0)))
    assert found == {"structure": None, "outcome": 1.0, "format": None, "length": None}
    assert component_names()[:4] == STANDARD


def test_faults_of_ones_own_components_are_missing_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="rlkd.rewards"):
        found = values(tmp_path, broken={}, above={}, text={}, nothing={}, slow_and_broken={})
    assert [found[name] for name in ("broken", "above", "text", "nothing", "slow_and_broken")] == [None] * 5
    said = "\n".join(record.getMessage() for record in caplog.records)
    for why in (
        "reward component broken gave no value: ZeroDivisionError: division by zero",
        "reward component above gave no value: 1.5 is no number in [0, 1]",
        "reward component text gave no value: 'good' is no number in [0, 1]",
        "reward component slow_and_broken gave no value: OSError: the server is away",
    ):
        assert why in said
    assert "nothing" not in said  # it says itself that there is no value


def test_classes_options_and_async_functions(tmp_path: Path) -> None:
    found = values(
        tmp_path,
        slow={"options": {"value": 0.75}},
        counter={"object": "own_measures:Counter", "options": {"per": 54}},
    )
    assert (found["slow"], found["counter"]) == (0.75, 0.5)  # the text has 27 characters: 27 / 54


def test_a_further_component_of_the_folder_is_found_by_its_name() -> None:
    config = RewardsConfig.model_validate({"components": {"absent": 0.1}})
    with pytest.raises(
        ConfigError, match="there is no such component; choose from structure, outcome, format, length"
    ):
        make_components(config)
    with pytest.raises(
        ConfigError, match=r"its options do not fit \(got an unexpected keyword argument 'fre'\)"
    ):
        check_named("length", {"fre": 0.5})


def test_two_components_of_one_name_are_refused() -> None:
    def length(rollout: Rollout) -> float:
        return 0.0

    with pytest.raises(
        ValueError, match=r"both rlkd\.rewards\.components\.standard and .* define the component 'length'"
    ):
        component("length")(length)


GATES = st.sampled_from(["always", "wrong", "right"])
VALUE = st.one_of(st.none(), st.floats(0, 1))


def parts(s: float | None, o: float | None, f: float | None, n: float | None) -> dict[str, float | None]:
    return {"structure": s, "outcome": o, "format": f, "length": n}


def reward(
    config: RewardsConfig,
    s: float | None,
    o: float | None,
    f: float | None = 1.0,
    n: float | None = 1.0,
    step: int = 0,
) -> float | None:
    return combine(parts(s, o, f, n), config, step).reward


def test_alpha_weighs_structure_against_outcome() -> None:
    # 0.9 * (0.3 * 0.5 + 0.7 * 1) + 0.1 * 1 = 0.9 * 0.85 + 0.1 = 0.865
    assert reward(RewardsConfig(alpha=0.3, format=0.1), 0.5, 1.0) == pytest.approx(0.865)


def test_length_and_format_take_their_share() -> None:
    # (1 - 0.1 - 0.2) * (0.5 * 0.4 + 0.5 * 0) + 0.1 * 0.5 + 0.2 * 0.25 = 0.7 * 0.2 + 0.05 + 0.05 = 0.24
    assert reward(RewardsConfig(alpha=0.5, format=0.1, length=0.2), 0.4, 0.0, 0.5, 0.25) == pytest.approx(
        0.24
    )


@pytest.mark.parametrize(
    ("gate", "outcome", "expected"),
    [
        ("always", 1.0, 0.6 * 0.5 + 0.4),
        ("always", 0.0, 0.6 * 0.5),
        ("wrong", 1.0, 1.0),  # structure is shut out: the outcome takes its weight
        ("wrong", 0.0, 0.6 * 0.5),
        ("right", 1.0, 0.6 * 0.5 + 0.4),
        ("right", 0.0, 0.0),
    ],
)
def test_gates(gate: str, outcome: float, expected: float) -> None:
    config = RewardsConfig.model_validate({"alpha": 0.6, "format": 0, "structure_gate": gate})
    assert reward(config, 0.5, outcome) == pytest.approx(expected)


def test_a_missing_component_makes_the_reward_missing_never_zero() -> None:
    config = RewardsConfig(alpha=0.5, format=0.1)
    made = combine(parts(None, 1.0, 1.0, None), config, 0)
    assert made.reward is None
    assert made.missing == ("structure",)
    assert combine(parts(None, None, None, None), config, 0).missing == (
        "structure",
        "outcome",
        "format",
    )


def test_what_carries_no_weight_may_be_missing() -> None:
    assert reward(RewardsConfig(alpha=0.0, format=0.0), None, 1.0, None, None) == 1.0
    assert reward(RewardsConfig(alpha=1.0, format=0.0), 0.25, None, None, None) == 0.25
    shut = RewardsConfig(alpha=0.5, format=0.0, structure_gate="wrong")
    assert reward(shut, None, 1.0) == 1.0
    assert reward(shut, None, 0.0) is None
    assert reward(shut, 0.5, None) is None


def test_alpha_schedule_is_linear_then_constant() -> None:
    config = RewardsConfig(alpha=0.8, alpha_schedule=WeightSchedule(end=0.2, over=4))
    # 0.8 + (0.2 - 0.8) * step / 4
    assert [config.alpha_at(step) for step in (0, 1, 2, 4, 9)] == pytest.approx([0.8, 0.65, 0.5, 0.2, 0.2])


def test_every_weight_may_change_over_training() -> None:
    config = RewardsConfig(
        alpha=0.5,
        format=0.4,
        format_schedule=WeightSchedule(end=0.0, over=4),
        length_schedule=WeightSchedule(end=0.2, over=10),
    )
    known = parts(1.0, 0.0, 1.0, 0.0)
    # step 0: format 0.4, length 0: 0.6 * 0.5 + 0.4 * 1; step 2: 0.2 and 0.04: 0.76 * 0.5 + 0.2; from step 10: 0 and 0.2: 0.8 * 0.5
    assert [combine(known, config, step).reward for step in (0, 2, 10, 99)] == pytest.approx(
        [0.7, 0.58, 0.4, 0.4]
    )
    unread = parts(1.0, 0.0, None, None)
    assert combine(unread, config, 0).missing == ("format",)
    assert combine(unread, config, 5).missing == ("length",)
    assert ever_weighs(config, "length")
    assert not ever_weighs(RewardsConfig(), "length")
    assert not ever_weighs(RewardsConfig(alpha=0.0, alpha_schedule=WeightSchedule(end=0.0, over=1)), "alpha")
    with pytest.raises(ValidationError, match=r"format 0\.6 \+ length 0\.4 must stay below 1"):
        RewardsConfig(format=0.1, format_schedule=WeightSchedule(end=0.6, over=5), length=0.4)


def test_further_components_take_their_share_and_may_change_over_training() -> None:
    config = RewardsConfig.model_validate(
        {
            "alpha": 0.5,
            "format": 0.1,
            "components": {"brevity": 0.2, "tone": {"weight": 0.0, "schedule": {"end": 0.4, "over": 4}}},
        }
    )
    known = {**parts(0.6, 1.0, 1.0, None), "brevity": 0.5, "tone": 0.25}
    # step 0: (1 - 0.1 - 0.2) * 0.8 + 0.1 * 1 + 0.2 * 0.5 = 0.56 + 0.1 + 0.1 = 0.76
    # step 4: (1 - 0.1 - 0.2 - 0.4) * 0.8 + 0.1 + 0.1 + 0.4 * 0.25 = 0.24 + 0.3 = 0.54
    assert [combine(known, config, step).reward for step in (0, 4)] == pytest.approx([0.76, 0.54])
    assert combine({**known, "tone": None}, config, 0).reward == pytest.approx(
        0.76
    )  # no weight yet: not needed
    assert combine({**known, "tone": None}, config, 1).missing == ("tone",)
    assert combine(parts(0.6, 1.0, 1.0, None), config, 0).missing == ("brevity",)
    assert ever_weighs(config, "tone")
    assert config.further["brevity"] == ComponentConfig(weight=0.2)


def test_a_component_of_ones_own_is_named_in_the_mapping() -> None:
    mine = {"type": "python", "object": "my_pkg:my_reward", "weight": 0.3, "options": {"words": 5}}
    found = RewardsConfig.model_validate({"components": {"mine": mine}}).further["mine"]
    assert isinstance(found, PythonObject)
    assert (found.object, found.weight, found.options) == ("my_pkg:my_reward", 0.3, {"words": 5})


def test_unused_the_mapping_is_no_part_of_the_identity() -> None:
    assert "components" not in RewardsConfig().model_dump(mode="json")
    assert RewardsConfig.model_validate({"components": {"a": 0.1}}).model_dump()["components"] == {"a": 0.1}


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({"tokens": 0.1}, "'tokens' is taken by a column"),
        ({"structure": 0.1}, "'structure' is taken"),
        ({"format_std": 0.1}, "'format_std' is taken"),
        ({"a": 0.1, "a_std": 0.1}, "'a_std' is taken"),
        ({"My reward": 0.1}, "'My reward' is no name of a component"),
        ({"a": 1.0}, "less than 1"),
        ({"a": {"weight": 0.1, "words": 3}}, "Extra inputs"),
        ({"a": 0.5, "b": 0.4}, r"format 0\.1 \+ length 0\.0 \+ a 0\.5 \+ b 0\.4 must stay below 1"),
        ({"a": {"type": "pyton", "object": "a:b", "weight": 0.1}}, "expected tags"),
    ],
)
def test_a_component_that_cannot_be_is_refused(components: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RewardsConfig.model_validate({"components": components})


def test_terms_that_leave_nothing_for_the_reward_itself_are_refused() -> None:
    with pytest.raises(ValidationError, match="must stay below 1"):
        RewardsConfig(format=0.6, length=0.4)


@given(
    st.floats(0, 1),
    st.floats(0, 0.49),
    st.floats(0, 0.49),
    GATES,
    VALUE,
    VALUE,
    VALUE,
    VALUE,
    st.integers(0, 50),
)
def test_reward_is_missing_or_in_the_unit_interval(
    alpha: float,
    f: float,
    n: float,
    gate: str,
    s: float | None,
    o: float | None,
    fv: float | None,
    nv: float | None,
    step: int,
) -> None:
    config = RewardsConfig.model_validate(
        {
            "alpha": alpha,
            "format": f,
            "length": n,
            "structure_gate": gate,
            "alpha_schedule": {"end": 1 - alpha, "over": 10},
        }
    )
    made = combine(parts(s, o, fv, nv), config, step)
    assert (made.reward is None) == bool(made.missing)
    assert made.reward is None or 0 <= made.reward <= 1


@given(st.floats(0, 1), GATES, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_structure_never_pays_less(alpha: float, gate: str, a: float, b: float, outcome: float) -> None:
    config = RewardsConfig.model_validate({"alpha": alpha, "structure_gate": gate})
    low, high = reward(config, min(a, b), outcome), reward(config, max(a, b), outcome)
    assert low is not None
    assert high is not None
    assert low <= high + 1e-12


class Scorer:
    def __init__(self, score: float | None) -> None:
        self.value = score
        self.items: list[Any] = []

    async def score(self, items: Any) -> list[StructureScore | None]:
        self.items += items
        if self.value is None:
            return [None] * len(items)
        steps = (
            StepMatch(index=0, sub_problem="2 + 3", answer="5", teacher_path=0, teacher_step=0, p_answer=1.0),
        )
        return [
            StructureScore(structure=self.value, prefix=0, teacher_steps=1, student_steps=4, steps=steps)
            for _ in items
        ]


PROBLEM = Problem(id="p", question="What is 2 + 3?", answer="5")
RIGHT = Completion(problem_id="p", text="2 + 3 = 5\nThe answer is 5.", tokens=80, finish_reason="stop")
WRONG = Completion(problem_id="p", text="2 + 3 = 6", tokens=160, finish_reason="length")


def score(
    scorer: Scorer, rewards: RewardsConfig, *completions: Completion, step: int = 0
) -> list[RewardRecord]:
    student = StudentConfig(max_completion_tokens=160)
    model = RewardModel(rewards, student, scorer, {"p": PROBLEM}, {"p": [Structure()]})
    return asyncio.run(model.score(completions, step))


def test_every_component_and_what_it_was_made_of_is_noted() -> None:
    scorer = Scorer(0.5)
    right, wrong = score(
        scorer, RewardsConfig(alpha=0.5, format=0.1, length=0.1, length_free=0.75), RIGHT, WRONG, step=7
    )
    # (1 - 0.1 - 0.1) * (0.5 * 0.5 + 0.5 * 1) + 0.1 * 1 + 0.1 * 1 = 0.8
    assert right.reward == pytest.approx(0.8)
    assert right.components == {"structure": 0.5, "outcome": 1.0, "format": 1.0, "length": 1.0}
    # 0.8 * 0.25 and nothing else: no answer stated, at the limit
    assert wrong.reward == pytest.approx(0.2)
    assert wrong.components == {"structure": 0.5, "outcome": 0.0, "format": 0.0, "length": 0.0}
    assert (right.step, right.group, wrong.group, right.steps_found) == (
        7,
        0,
        0,
        4,
    )  # the trainer knows the groups
    assert right.verdicts[0].teacher_step == 0
    assert right.advantage is None


def test_the_stated_answer_is_not_shown_to_the_structure_scorer() -> None:
    scorer = Scorer(0.5)
    score(scorer, RewardsConfig(), RIGHT)
    assert scorer.items[0].student == PathItem(PROBLEM.question, "2 + 3 = 5", PROBLEM.domain, answer="5")


def test_a_fault_of_the_scorer_is_missing_not_zero() -> None:
    (row,) = score(Scorer(None), RewardsConfig(alpha=0.5), RIGHT)
    assert row.reward is None
    assert row.missing == ("structure",)
    assert row.structure is None


def test_structure_without_weight_is_observed_only_where_asked() -> None:
    seen, unseen = Scorer(0.5), Scorer(0.5)
    assert score(seen, RewardsConfig(alpha=0.0), RIGHT)[0].structure == 0.5
    assert score(unseen, RewardsConfig(alpha=0.0, observe_structure=False), RIGHT)[0].structure is None
    assert not unseen.items
    later = RewardsConfig(alpha=0.0, observe_structure=False, alpha_schedule=WeightSchedule(end=1, over=2))
    assert score(unseen, later, RIGHT, step=1)[0].structure == 0.5


@pytest.mark.parametrize(("counts_as", "outcome"), [("wrong", 0.0), ("missing", None)])
def test_why_an_answer_is_undecided_is_kept_with_its_completion(
    counts_as: str, outcome: float | None
) -> None:
    problem = Problem(id="p", question="How many?", answer="5 shelves")
    rewards = RewardsConfig.model_validate({"undecided": counts_as})
    model = RewardModel(rewards, StudentConfig(), Scorer(0.5), {"p": problem}, {"p": [Structure()]})
    texts = ("The answer is 5 crates.", "The answer is 6 shelves.", "I give up.")
    rows = [Completion(problem_id="p", text=text, tokens=9, finish_reason="stop") for text in texts]
    records = asyncio.run(model.score(rows, 0))
    assert [record.undecided for record in records] == ["units that are not known", "", ""]
    assert [record.outcome for record in records] == [outcome, 0.0, 0.0]


def test_structure_without_an_end_keeps_the_configured_share() -> None:
    config = RewardsConfig(alpha=0.5, format=0.0, unfinished=0.25)
    # 0.5 x 0.8 x 0.25 + 0.5 x 0 = 0.1; with an end 0.4
    assert combine(parts(0.8, 0.0, 0.0, 1.0), config, 0, finished=False).reward == pytest.approx(0.1)
    assert combine(parts(0.8, 0.0, 0.0, 1.0), config, 0).reward == pytest.approx(0.4)
    assert combine(parts(None, 0.0, 0.0, 1.0), config, 0, finished=False).missing == ("structure",)


def test_a_guessed_answer_is_paid_the_configured_share_of_its_outcome() -> None:
    config = RewardsConfig(alpha=0.5, format=0.0, guessed=0.25)
    # 0.5 x 0.2 + 0.5 x 1 x 0.25 = 0.225; where the path finds it, or nobody can tell, 0.6
    known = parts(0.2, 1.0, 0.0, 1.0)
    assert combine(known, config, 0, own_answer=False).reward == pytest.approx(0.225)
    assert combine(known, config, 0, own_answer=True).reward == pytest.approx(0.6)
    assert combine(known, config, 0).reward == pytest.approx(0.6)
    assert combine(known, RewardsConfig(alpha=0.5, format=0.0), 0, own_answer=False).reward == pytest.approx(
        0.6
    )


def test_where_nobody_looked_at_the_path_what_a_guess_is_paid_is_missing() -> None:
    config = RewardsConfig(alpha=0.0, format=0.0, guessed=0.0)
    # Alpha is 0, and yet: with the judge down every guess was paid 1 * 1
    made = combine(parts(None, 1.0, 1.0, 1.0), config, 0)
    assert (made.reward, made.missing) == (None, ("structure",))
    assert combine(parts(None, 0.0, 1.0, 1.0), config, 0).missing == ("structure",)
    assert combine(parts(0.2, 1.0, 1.0, 1.0), config, 0).reward == 1.0
    assert combine(parts(0.2, 1.0, 1.0, 1.0), config, 0, own_answer=False).reward == 0.0
    # the outcome carries no weight: only structure is paid, and it is not known either
    assert reward(RewardsConfig(alpha=1.0, format=0.0, guessed=0.0), 0.5, None) == 0.5
    unseen, seen = Scorer(None), RewardsConfig(alpha=0.0, observe_structure=False, guessed=0.5)
    assert score(unseen, seen, RIGHT)[0].missing == ("structure",)
    assert len(unseen.items) == 1  # looked at, to know


def test_a_whole_path_in_words_is_worth_one_where_its_answer_stands_on_a_line_of_its_own() -> None:
    # The teacher's trace states its answer in the text, the student's was cut off before its path is read: 0.35 for each
    # completion, whatever it concluded.
    question = "Every cat is an animal. Animals are not bony. Tom is a cat. True or false: Tom is bony."
    steps = (
        "Tom is a cat.\nEvery cat is an animal.\nTom is an animal.\nAnimals are not bony.\nTom is not bony."
    )
    problem = Problem(id="p", question=question, answer="False", domain="logic")
    teacher = decompose_text(f"{steps}\nThe answer is False.", problem=question)
    model = RewardModel(RewardsConfig(), StudentConfig(), StructureScorer(), {"p": problem}, {"p": [teacher]})
    texts = [f"{steps}\nThe answer is {answer}." for answer in ("False", "True")] + [steps]
    rows = [Completion(problem_id="p", text=text, tokens=9, finish_reason="stop") for text in texts]
    records = asyncio.run(model.score(rows, 0))
    # The teacher's conclusion, the other one (2 halvings), none (1.5)
    assert [record.structure for record in records] == pytest.approx([1.0, 0.25, 2**-1.5])
    assert [record.own_answer for record in records] == [True, False, None]


def test_the_shares_of_all_components_add_up_to_one() -> None:
    config = RewardsConfig(alpha=0.25, format=0.1, length=0.1, components={"repeats": 0.2})
    # 1 - 0.4 = 0.6 for the core: 0.15 structure, 0.45 outcome
    expected = {"structure": 0.15, "outcome": 0.45, "format": 0.1, "length": 0.1, "repeats": 0.2}
    assert config.shares_at(0) == pytest.approx(expected)
