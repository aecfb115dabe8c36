"""Muon and AdamW as one optimiser: who gets which parameters, that both step, follow a schedule, and are resumed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.config.training import FineTuneOptimizerConfig

from ..lazy import Lazy, torch

ours = Lazy("rlkd.training.optimizer")

SETTINGS = FineTuneOptimizerConfig(
    name="muon", learning_rate=1e-3, matrix_learning_rate=1e-1, weight_decay=0.25
)


def tiny() -> Any:
    """A table, a matrix, a norm and a head, asked for as in transformers."""

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table = torch.nn.Embedding(6, 4)
            self.layer = torch.nn.Linear(4, 4)
            self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)
            self.head = torch.nn.Linear(4, 6, bias=False)

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.table

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.head

        def learn(self, optimizer: Any) -> None:
            loss = self.head(self.frozen(self.layer(self.table.weight))).square().sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return Tiny()


def _names(model: Any, group: dict[str, Any]) -> set[str]:
    own = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}


def test_matrices_of_layers_are_for_muon_and_the_rest_for_adamw() -> None:
    model = tiny()
    first, second = ours.muon(model, SETTINGS).param_groups
    assert _names(model, first) == {"layer.weight"}
    assert _names(model, second) == {"table.weight", "layer.bias", "head.weight"}
    assert (first["lr"], first["weight_decay"]) == (0.1, 0.25)
    assert (second["lr"], second["weight_decay"]) == (0.001, 0.0)


def test_it_steps_as_the_two_would_alone() -> None:
    model, other = tiny(), tiny()
    together = ours.muon(model, SETTINGS)
    alone = [
        torch.optim.Muon([other.layer.weight], lr=0.1, weight_decay=0.25),
        torch.optim.AdamW(
            [other.table.weight, other.layer.bias, other.head.weight],
            lr=1e-3,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        ),
    ]
    for _ in range(3):
        model.learn(together)
        other.head(other.frozen(other.layer(other.table.weight))).square().sum().backward()
        for part in alone:
            part.step()
            part.zero_grad()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_schedule_reaches_both() -> None:
    model = tiny()
    optimizer = ours.muon(model, SETTINGS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    before = [parameter.clone() for parameter in model.parameters()]
    model.learn(optimizer)
    schedule.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [True, True, True, False, False, True]  # all but the frozen layer
    after = [parameter.clone() for parameter in model.parameters()]
    model.learn(optimizer)  # at rate 0
    assert all(torch.equal(a, b) for a, b in zip(after, model.parameters(), strict=True))


def test_what_is_saved_goes_on_as_if_it_had_not_stopped() -> None:
    model = tiny()
    optimizer = ours.muon(model, SETTINGS)
    model.learn(optimizer)
    resumed = copy.deepcopy(model)
    again = ours.muon(resumed, SETTINGS)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # as a file would
    model.learn(optimizer)
    resumed.learn(again)
    for mine, theirs in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_closure_is_evaluated() -> None:
    optimizer = ours.muon(tiny(), SETTINGS)
    assert optimizer.step(lambda: 3.0) == pytest.approx(3.0)
