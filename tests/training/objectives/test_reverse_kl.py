from __future__ import annotations

from rlkd.training.objectives.reverse_kl import with_teacher

from ...lazy import torch


def test_in_expectation_the_gradient_is_that_of_the_reverse_kl() -> None:
    student = torch.tensor([0.3, -0.4, 1.1, 0.0], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([1.0, 0.2, -0.5, 0.1], dtype=torch.float64).log_softmax(-1)
    log_p = student.log_softmax(-1)
    (wanted,) = torch.autograd.grad((log_p.exp() * (log_p - teacher)).sum(), student, retain_graph=True)
    # The expected gradient of the loss -ratio A over the student's own tokens, each with its probability.
    advantages = with_teacher(torch.zeros(4, 1), log_p.detach()[:, None], teacher[:, None], 1.0)[:, 0]
    loss = -(log_p.exp().detach() * advantages * log_p).sum()
    (made,) = torch.autograd.grad(loss, student)
    assert torch.allclose(wanted, made)


def test_the_teachers_part_is_added_to_the_reward_s() -> None:
    advantages = torch.tensor([[1.0], [0.0]])
    student, teacher = torch.tensor([[-1.0, -2.0], [-0.5, -0.5]]), torch.tensor([[-2.0, -1.0], [-0.5, -1.5]])
    # 1 - 0.5 (-1 + 2) = 0.5; 1 - 0.5 (-2 + 1) = 1.5; 0; -0.5 (-0.5 + 1.5) = -0.5
    assert with_teacher(advantages, student, teacher, 0.5).tolist() == [[0.5, 1.5], [0.0, -0.5]]
