from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlkd.rewards.combine import Components, combine, length_term
from schemas.config.rewards import RewardsConfig, WeightSchedule, ever_weighs, weight_at

GATES = st.sampled_from(["always", "wrong", "right"])
VALUE = st.one_of(st.none(), st.floats(0, 1))


def reward(
    config: RewardsConfig,
    s: float | None,
    o: float | None,
    f: float | None = 1.0,
    n: float | None = 1.0,
    step: int = 0,
) -> float | None:
    return combine(Components(s, o, f, n), config, step).reward


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
    made = combine(Components(None, 1.0, 1.0, None), config, 0)
    assert made.reward is None
    assert made.missing == ("structure",)
    assert combine(Components(None, None, None, None), config, 0).missing == (
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
    assert [weight_at(config, "alpha", step) for step in (0, 1, 2, 4, 9)] == pytest.approx(
        [0.8, 0.65, 0.5, 0.2, 0.2]
    )


def test_every_weight_may_change_over_training() -> None:
    config = RewardsConfig(
        alpha=0.5,
        format=0.4,
        format_schedule=WeightSchedule(end=0.0, over=4),
        length_schedule=WeightSchedule(end=0.2, over=10),
    )
    parts = Components(structure=1.0, outcome=0.0, format=1.0, length=0.0)
    # step 0: format 0.4, length 0: 0.6 * 0.5 + 0.4 * 1; step 2: 0.2 and 0.04: 0.76 * 0.5 + 0.2; from step 10: 0 and 0.2: 0.8 * 0.5
    assert [combine(parts, config, step).reward for step in (0, 2, 10, 99)] == pytest.approx(
        [0.7, 0.58, 0.4, 0.4]
    )
    unread = Components(structure=1.0, outcome=0.0, format=None, length=None)
    assert combine(unread, config, 0).missing == ("format",)
    assert combine(unread, config, 5).missing == ("length",)
    assert ever_weighs(config, "length")
    assert not ever_weighs(RewardsConfig(), "length")
    assert not ever_weighs(RewardsConfig(alpha=0.0, alpha_schedule=WeightSchedule(end=0.0, over=1)), "alpha")
    with pytest.raises(ValidationError, match=r"format 0\.6 \+ length 0\.4 must stay below 1"):
        RewardsConfig(format=0.1, format_schedule=WeightSchedule(end=0.6, over=5), length=0.4)


def test_length_term_falls_from_the_free_share_to_the_limit() -> None:
    # Budget 100, 60 free: at 80 tokens (100 - 80) / (100 - 60) = 0.5.
    assert [length_term(n, 100, 0.6) for n in (0, 60, 80, 100, 120)] == pytest.approx([1, 1, 0.5, 0, 0])
    assert length_term(100, 100, 1.0) == 1.0
    assert length_term(101, 100, 1.0) == 0.0


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
    made = combine(Components(s, o, fv, nv), config, step)
    assert (made.reward is None) == bool(made.missing)
    assert made.reward is None or 0 <= made.reward <= 1


@given(st.floats(0, 1), GATES, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_structure_never_pays_less(alpha: float, gate: str, a: float, b: float, outcome: float) -> None:
    config = RewardsConfig.model_validate({"alpha": alpha, "structure_gate": gate})
    low, high = reward(config, min(a, b), outcome), reward(config, max(a, b), outcome)
    assert low is not None
    assert high is not None
    assert low <= high + 1e-12
