"""The order of training: what belongs to a batch, when long texts come, and that a resumption finds the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..lazy import Lazy

order = Lazy("rlkd.training.order")


def _batches(sampler: Any) -> list[list[int]]:
    drawn = list(sampler)
    return [drawn[i : i + sampler.batch] for i in range(0, len(drawn), sampler.batch)]


def test_each_text_once_and_like_lengths_together() -> None:
    lengths = [i % 10 for i in range(66)]
    sampler = order.ByLength(lengths, 4, 0.0, 0)
    batches = _batches(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(66)) and len(sampler) == 66
    assert [len(batch) for batch in batches] == [4] * 16 + [2]  # the rest stays last
    # 64 texts are sorted together: 16 batches over 10 lengths, none of them spans more than two.
    spans = [[lengths[i] for i in batch] for batch in batches[:16]]
    assert all(max(span) - min(span) <= 1 for span in spans)
    means = [sum(span) for span in spans]
    assert any(a < b for a, b in pairwise(means)) and any(a > b for a, b in pairwise(means))


def test_each_pass_has_its_own_order_which_the_seed_decides() -> None:
    first, again = order.ByLength(range(100), 4, 0.5, 7), order.ByLength(range(100), 4, 0.5, 7)
    once = list(first)
    assert once == list(again) == list(first)
    first.set_epoch(1)
    assert list(first) != once
    assert list(order.ByLength(range(100), 4, 0.5, 8)) != once


def test_long_texts_come_later_and_short_ones_to_the_end() -> None:
    total = 3200
    sampler = order.ByLength(range(total), 4, 0.5, 0)  # the length is the rank
    drawn = list(sampler)
    # A text of rank r comes after 0.5 r / total of the time. Until time t < 0.5 the draws are those of ranks x < 2 t with
    # chance (t - x / 2) / (1 - x / 2): at t = 0.25 that is the integral over x from 0 to 0.5, 0.5 - 1.5 ln(4 / 3) = 0.0685.
    early = drawn[: round(0.0685 * total)]
    assert max(early) < 0.6 * total  # the bound is 0.5; a window that is sorted together adds 64 of 3200
    late = drawn[-total // 10 :]
    assert min(late) < 0.1 * total and max(late) > 0.9 * total
    sampler.set_epoch(1)
    assert max(list(sampler)[: total // 10]) > 0.9 * total  # only the first pass begins with the short ones
