"""Muon for the weight matrices, AdamW for the rest, as the one optimiser that a trainer takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from schemas.config.training import FineTuneOptimizerConfig


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimisers, each over parameters of its own, as one: schedules, checkpoints and steps reach all of them.

    Args:
        parts: The optimisers. Their groups and states are held here; they only step.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._parts = [(part, len(part.param_groups)) for part in parts]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        start = 0
        for part, size in self._parts:
            # Anew each time: a checkpoint that is loaded replaces both.
            part.param_groups, part.state = self.param_groups[start : start + size], self.state
            part.step()
            start += size
        return loss


def muon(model: torch.nn.Module, settings: FineTuneOptimizerConfig) -> CombinedOptimizer:
    """Muon over the weight matrices of the layers; AdamW over embeddings, head, norms and biases.

    Args:
        model: The model; parameters that are not trained are left out.
        settings: The rates; both fall and rise by the same schedule.
    """
    tables = {
        id(module.weight)
        for module in (model.get_input_embeddings(), model.get_output_embeddings())  # type: ignore[operator]
        if module is not None
    }
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trained if p.ndim == 2 and id(p) not in tables]
    others = [p for p in trained if p.ndim != 2 or id(p) in tables]
    return CombinedOptimizer(
        torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(others, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    )
