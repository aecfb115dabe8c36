"""The order in which texts are learned: like lengths in one batch, and short ones first where that is asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch

_WINDOW = 16  # batches that are drawn together and then sorted by length


class ByLength(torch.utils.data.Sampler[int]):
    """Indices whose every ``batch`` belong together: of like length, so that little is padded.

    The batches come in random order. The Trainer's own sampler orders them from long to short, over and over: its
    training figures then swing with the length, and are lowest just before the next long ones.

    Args:
        lengths: Tokens of each text.
        batch: Texts of an optimiser step, over all processes.
        easy_first: How slowly longer texts come in during the first pass: the text that is longer than a share r of all has a time
            drawn between ``easy_first * r`` and 1, and texts come in the order of their times. Few times are early, so that
            with 0.5 one of middle length can come after 7% of the pass. Short ones come to its end. 0 mixes at once.
        seed: Seed of the order; each pass has another, the same in every process and after a resumption.
    """

    def __init__(self, lengths: Sequence[int], batch: int, easy_first: float, seed: int) -> None:
        self.lengths = lengths
        self.batch = batch
        self.easy_first = easy_first
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Which pass the next iteration is; called by the trainer."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"order:{self.seed}:{self.epoch}")
        total = len(self.lengths)
        share = self.easy_first if self.epoch == 0 else 0.0
        ranked = sorted(range(total), key=lambda i: self.lengths[i])
        times = {i: rng.uniform(share * rank / total, 1) for rank, i in enumerate(ranked)}
        drawn = sorted(range(total), key=lambda i: times[i])
        for start in range(0, total, self.batch * _WINDOW):
            window = sorted(drawn[start : start + self.batch * _WINDOW], key=lambda i: self.lengths[i])
            batches = [window[i : i + self.batch] for i in range(0, len(window), self.batch)]
            # One that is not full stays last, or all after it would be cut elsewhere.
            partial = batches.pop() if len(batches[-1]) < self.batch else []
            rng.shuffle(batches)
            for indices in (*batches, partial):
                yield from indices
