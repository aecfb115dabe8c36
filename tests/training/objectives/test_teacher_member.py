from __future__ import annotations

import math

import pytest

from rlkd.training.objectives.teacher_member import shape_advantages, shaped_weight

from ...lazy import torch


def test_the_weight_makes_the_gradient_of_the_shaped_ratio() -> None:
    gamma, advantage = 0.1, 1.5
    logits = torch.tensor([0.2, -1.0, 0.7, -3.0], dtype=torch.float64, requires_grad=True)
    log_p = logits.log_softmax(-1)[3]
    p = log_p.exp()
    (wanted,) = torch.autograd.grad(p / (p + gamma) * advantage, logits, retain_graph=True)
    ratio = (log_p - log_p.detach()).exp()  # 1, as in a loss with one update a round
    (made,) = torch.autograd.grad(ratio * advantage * shaped_weight(log_p.detach(), gamma), logits)
    assert torch.allclose(wanted, made)


def test_weights_by_hand() -> None:
    # gamma 0.1: p = 0.1 gives 0.1 * 0.1 / 0.04 = 0.25, the most there is; p = 1 gives 0.1 / 1.21 = 0.0826; p = 0.001 gives
    # 0.0001 / 0.010201 = 0.0098, where the unshaped ratio would have 0.001.
    log_p = torch.tensor([[0.1, 1.0, 0.001]], dtype=torch.float64).log()
    assert shaped_weight(log_p, 0.1)[0].tolist() == pytest.approx([0.25, 0.1 / 1.21, 0.0001 / 0.101**2])


def test_only_the_teachers_member_is_weighed() -> None:
    log_p = torch.full((2, 3), math.log(0.1))
    advantages = torch.tensor([[2.0], [-1.0]])
    found = shape_advantages(advantages, log_p, torch.tensor([True, False]), 0.1)
    assert found[0].tolist() == pytest.approx([0.5] * 3)  # 2 x 0.25
    assert found[1].tolist() == pytest.approx([-1.0] * 3)
