"""Advantages as TRL's and rank correlations as SciPy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.replay.ranking import advantages, deviation, kendall, mean, pearson, spearman

VALUES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12)


def test_advantages_by_hand() -> None:
    # group 1: mean 0.5, deviation sqrt(0.5) (Bessel); group 2 holds a missing reward: mean 0.5, deviation 0
    groups = [[0.0, 1.0], [0.5, None]]
    first = 0.5 / (math.sqrt(0.5) + 1e-4)
    assert advantages(groups, "group") == [pytest.approx([-first, first]), [0.0, 0.0]]
    assert advantages(groups, "none") == [[-0.5, 0.5], [0.0, 0.0]]
    # batch: 0, 1, 0.5 have mean 0.5 and deviation sqrt(0.5 / 2) = 0.5
    assert advantages(groups, "batch")[0] == pytest.approx([-0.5 / 0.5001, 0.5 / 0.5001])
    assert advantages([[None, None]], "group") == [[0.0, 0.0]]


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_are_those_of_trl(scale: str) -> None:
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("trl.trainer.utils")
    rewards = [[0.1, 0.9, 0.4, None], [0.3, 0.3, 0.3, 0.3], [0.0, 1.0, 1.0, 0.2]]
    table = torch.tensor(
        [[math.nan if r is None else r for r in group] for group in rewards], dtype=torch.float64
    )
    centred = table - torch.nanmean(table, dim=1, keepdim=True)
    spread = {"group": utils.nanstd(table, dim=1, keepdim=True), "batch": utils.nanstd(table)}.get(scale)
    expected = centred if spread is None else centred / (spread + 1e-4)
    expected = torch.nan_to_num(expected, nan=0.0)
    assert torch.allclose(torch.tensor(advantages(rewards, scale), dtype=torch.float64), expected)


def test_correlations_by_hand() -> None:
    # pairs (1,2), (1,3), (2,3): agree, agree, turned round: (2 - 1) / 3
    assert kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert spearman([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)  # 1 - 6 (0 + 1 + 1) / (3 x 8)
    assert pearson([0, 1, 2], [0, 2, 4]) == pytest.approx(1.0)
    assert kendall([1, 1], [1, 2]) is None
    assert spearman([1, 2], [3, 3]) is None
    assert pearson([1], [1]) is None
    assert (mean([]), deviation([3.0]), deviation([1.0, 3.0])) == (None, 0.0, pytest.approx(math.sqrt(2)))


@given(VALUES)
def test_correlations_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert kendall(a, b) is None
        assert spearman(a, b) is None
        return
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
