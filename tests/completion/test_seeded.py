from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..lazy import Lazy, torch

seeded = Lazy("rlkd.completion.seeded")


def chosen(draw: float, scores: list[float], temperature: float = 1.0, **limits: Any) -> int:
    """The token of the first step that is left with a score."""
    settings = SimpleNamespace(**{"top_k": 0, "top_p": None, "min_p": None} | limits)
    choose = seeded.choice(torch.tensor([[draw]]), 2, temperature, settings)
    left = choose(torch.zeros(1, 2, dtype=torch.long), torch.tensor([scores]).log())
    assert torch.isfinite(left).sum() == 1
    return int(left.argmax())


def test_a_draw_falls_on_a_token_by_its_probability() -> None:
    # The likely ones first: 0.5 (token 1) up to 0.5, 0.3 (token 2) up to 0.8, 0.2 (token 0) up to 1.
    scores = [0.2, 0.5, 0.3]
    assert [chosen(draw, scores) for draw in (0.0, 0.49, 0.51, 0.79, 0.81, 1 - 1e-6)] == [1, 1, 2, 2, 0, 0]


def test_what_the_model_declares_limits_the_choice() -> None:
    scores = [0.2, 0.5, 0.3]
    assert chosen(0.99, scores, top_k=2) == 2
    assert chosen(0.62, scores, top_k=2) == 1  # 0.5 of 0.8 is 0.625
    assert chosen(0.99, scores, top_p=0.5) == 1  # before token 2 there is 0.5 already
    assert chosen(0.99, scores, top_p=0.6) == 2
    assert chosen(0.99, scores, min_p=0.5) == 2  # 0.2 is under half of 0.5
    assert chosen(0.99, scores, top_k=None) == 0  # the library's 50, of three


def test_temperature_sharpens_or_flattens() -> None:
    # Squares 0.04, 0.25, 0.09 of 0.38 in all: token 1 up to 0.658, token 2 up to 0.895.
    scores = [0.2, 0.5, 0.3]
    assert [chosen(draw, scores, 0.5) for draw in (0.65, 0.67, 0.89, 0.9)] == [1, 2, 2, 0]


def test_draws_belong_to_prompt_and_seed() -> None:
    alone = seeded.draws([([5, 6], 1)], 4)
    together = seeded.draws([([5, 7], 1), ([5, 6], 1), ([5, 6], 2)], 4)
    assert together.shape == (3, 4)
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], alone[0])
    assert not torch.equal(together[2], alone[0])
    assert bool(((together >= 0) & (together < 1)).all())
