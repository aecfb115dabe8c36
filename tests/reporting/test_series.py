from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rlkd.reporting.series import Series, first_of, quadrant, read_ledger, read_metrics, smooth, summarise
from rlkd.rewards.ledger import Ledger
from schemas.config.rewards import RewardsConfig
from schemas.rollout import RewardRecord


def record(step: int, group: int, reward: float | None, **values: Any) -> RewardRecord:
    parts = {"structure": reward, "outcome": 1.0, "format": 1.0}
    parts |= {name: values.pop(name) for name in list(values) if name in parts}
    row: dict[str, Any] = {
        "step": step,
        "group": group,
        "problem_id": f"{step}/{group}",
        "completion": "",
        "tokens": 10,
        "finish_reason": "stop",
        "components": parts,
        "reward": reward,
        "missing": () if reward is not None else ("structure",),
    }
    return RewardRecord(**{**row, **values})


def test_ledger_by_step_and_group(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add([record(0, 0, 0.2), record(0, 0, 0.6), record(0, 1, 0.5), record(0, 1, 0.5)])
    ledger.flush()
    ledger.add(
        [
            record(1, 0, 1.0, finish_reason="length"),
            record(1, 0, None),
            record(1, 1, None),
            record(1, 1, None),
        ]
    )
    ledger.flush()
    found = read_ledger(tmp_path)
    # Step 0: (0.2 + 0.6 + 0.5 + 0.5) / 4; step 1: the one reward that is there.
    assert found.curves["reward"].values == (pytest.approx(0.45), 1.0)
    # Step 0: group 1 does not differ. Step 1: one reward cannot differ, and a group without any neither.
    assert found.curves["no_signal"].values == (0.5, 1.0)
    assert found.curves["missing"].values == (0.0, 0.75)
    assert found.curves["truncated"].values == (0.0, 0.25)
    assert [part.label for part in found.health] == ["first step", "last step", "all 2 steps"]
    total = found.health[-1]
    assert (total.completions, total.groups, total.no_difference, total.missing, total.truncated) == (
        8,
        4,
        3,
        3,
        1,
    )
    # Rewards that are missing are left out: (0.2 + 0.6 + 0.5 + 0.5 + 1) / 5.
    assert total.reward == pytest.approx(0.56)
    assert found.quadrants[0].n == 4


def test_early_and_late_are_a_fifth_of_the_steps() -> None:
    steps = np.arange(20, dtype=float)
    columns = dict.fromkeys(("reward", "structure", "outcome", "format", "tokens", "truncated"), steps / 20)
    found = summarise({**columns, "step": steps, "group": np.zeros(20)})
    assert [part.label for part in found.health] == ["first 4 steps", "last 4 steps", "all 20 steps"]
    assert found.health[0].reward == pytest.approx((0 + 1 + 2 + 3) / 4 / 20)
    assert found.health[1].reward == pytest.approx((16 + 17 + 18 + 19) / 4 / 20)


def test_one_step_has_no_early_and_late(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add([record(0, 0, 0.2)])
    ledger.flush()
    found = read_ledger(tmp_path)
    assert [part.label for part in found.health] == ["the only step"]
    assert [part.label for part in found.quadrants] == ["the only step"]


def test_a_step_without_any_reward_leaves_a_gap() -> None:
    columns = {name: np.array([0.5, np.nan]) for name in ("reward", "structure")}
    columns |= {name: np.array([1.0, 1.0]) for name in ("outcome", "format", "tokens", "truncated")}
    found = summarise({**columns, "step": np.array([0.0, 1.0]), "group": np.zeros(2)})
    assert found.curves["reward"] == Series((0.0,), (0.5,))
    assert found.health[1].reward is None


def test_no_ledger(tmp_path: Path) -> None:
    assert not read_ledger(tmp_path / "absent").curves
    assert not read_ledger(tmp_path).curves


def test_metrics_leave_out_what_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 2, "loss": 0.5, "note": "x"}\n\n{"step": 1, "loss": 0.75, "eval_loss": NaN}\n{"step": 3, "flag": true}\n'
    )
    found = read_metrics(path)
    assert found == {"loss": Series((1, 2), (0.75, 0.5))}
    assert first_of(found, "train_loss", "loss") is found["loss"]
    assert not first_of(found, "eval_loss")
    assert read_metrics(tmp_path / "absent.jsonl") == {}


def test_a_line_that_a_killed_process_left_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo')
    assert read_metrics(path) == {"loss": Series((1,), (0.5,))}
    path.write_text('{"step": 1, "lo\n{"step": 2, "loss": 0.5}\n')
    with pytest.raises(ValueError, match="control character"):
        read_metrics(path)  # in the middle it is no accident of a kill


def test_quadrants_by_hand() -> None:
    found = quadrant("x", [0.9, 0.5, 0.2, 0.7, 0.1, None, 0.9], [1, 0, 1, 1, 0, 1, None])
    # Five rows have both: two right and structured, one right and not, one wrong and structured, one neither.
    assert found.n == 5
    assert (found.right_structured, found.right_unstructured) == (0.4, 0.2)
    assert (found.wrong_structured, found.wrong_unstructured) == (0.2, 0.2)
    assert quadrant("empty", [], []).n == 0


def test_smooth_averages_over_what_there_is() -> None:
    found = smooth(Series((0, 1, 2), (0.0, 3.0, 9.0)), 3)
    assert found.values == (1.5, 4.0, 6.0)
    assert smooth(Series(), 3) == Series()


def test_further_components_have_curves_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    parts = {"structure": 0.5, "outcome": 1.0, "format": 1.0, "length": 1.0}
    rows = [record(0, 0, 0.5), record(0, 0, 0.5)]
    ledger.add(
        row.model_copy(update={"components": {**parts, "brevity": value}})
        for row, value in zip(rows, (0.25, 0.75), strict=True)
    )
    ledger.flush()
    curves = read_ledger(tmp_path).curves
    assert curves["brevity"].values == (0.5,)  # (0.25 + 0.75) / 2
    assert "length" not in curves


def test_no_component_hides_a_curve(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add([record(0, 0, 0.5)])
    ledger.flush()
    for name in read_ledger(tmp_path).curves:
        with pytest.raises(ValidationError, match=f"'{name}' is taken"):
            RewardsConfig(components={name: 0.1})
