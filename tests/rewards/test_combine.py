from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlkd.rewards.combine import combine
from schemas.config.plugin import PythonObject
from schemas.config.rewards import ComponentConfig, RewardsConfig, WeightSchedule, ever_weighs

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
