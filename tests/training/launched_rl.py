"""RL as a job of these tests: given completions, gradients that are kept, and a first attempt that is killed.

The environment says which: ``GIVEN`` has each prompt get completions that do not depend on the process; ``KILL_AT`` kills the first
process (SIGKILL) when the metrics of that step arrive.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from rlkd.pipeline.context import StageContext
from rlkd.student.sampling import Sampling
from rlkd.training.rl import distil
from schemas.artifact import StageResult

GROUP = 4


def given(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """Stands in for the sampler: a completion for each prompt and place in its group, of 4 to 30 tokens, the last cut off."""
    first = int(os.environ.get("RANK", "0")) * len(prompts)
    made = []
    for i, prompt in enumerate(prompts, first):
        rng = random.Random(f"{list(prompt)} {i % GROUP}")
        whole = i % GROUP < GROUP - 1
        count = rng.randrange(4, 30) if whole else sampling.max_new_tokens
        made.append([rng.randrange(5, 256) for _ in range(count)] + list(sampling.eos_ids[:1]) * whole)
    return made


@contextmanager
def kept_gradients(folder: Path) -> Iterator[None]:
    """Keeps the gradients of each optimiser step in the first process, all in one tensor, as 1.pt, 2.pt, ..."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    folder.mkdir(parents=True, exist_ok=True)

    def keep(optimizer: Any, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        name = f"{len(list(folder.iterdir())) + 1}.pt"
        torch.save(torch.cat([parameter.grad.flatten() for parameter in parameters]), folder / name)

    hook = register_optimizer_step_pre_hook(keep) if os.environ.get("RANK", "0") == "0" else None
    try:
        yield
    finally:
        if hook is not None:
            hook.remove()


def on_given_completions(ctx: StageContext, gradients: Path) -> StageResult:
    """RL on given completions instead of sampled ones."""
    with mock.patch("rlkd.training.grpo.generate_ids", given), kept_gradients(gradients):
        return distil(ctx)


def job(ctx: StageContext) -> StageResult:
    """What the launched processes run."""
    assert os.environ["WORLD_SIZE"] == "2"
    kill_at = os.environ.get("KILL_AT")
    if kill_at and os.environ["RANK"] == "0":
        from killer import Killer  # beside this file, which is on the path of the launched processes

        ctx = replace(ctx, events=Killer(int(kill_at)))
    if "GIVEN" in os.environ:
        return on_given_completions(ctx, ctx.folder / os.environ["GIVEN"])
    return distil(ctx)
