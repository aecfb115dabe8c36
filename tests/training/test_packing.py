from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.student.packable import PACKED

from ..lazy import Lazy, torch
from .test_shared_prompt import model as small_model

packing = Lazy("rlkd.training.packing")


def text(*ids: int, prompt: int = 1) -> dict[str, list[int]]:
    return {"input_ids": list(ids), "labels": [-100] * prompt + list(ids[prompt:])}


def test_short_texts_share_a_row() -> None:
    assert packing.fill([5, 2, 3, 5]) == [[0], [3], [2, 1]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_every_text_is_in_one_row_and_no_row_is_longer_than_the_longest(lengths: list[int]) -> None:
    rows = packing.fill(lengths)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= max(lengths) for row in rows)
    assert len(rows) <= len(lengths)


def test_positions_begin_again_and_nothing_is_learned_over_a_border() -> None:
    made = packing.PackRows(pad_id=0)(
        [
            text(5, 6, 7, 8),
            text(3, 4),
            text(
                9,
            ),
            text(2, 1, prompt=0),
        ]
    )
    # Longest 4: the long one alone, then 3 4 with 2 1 (2 + 2), then 9 with three of padding.
    assert made["input_ids"].tolist() == [[5, 6, 7, 8], [3, 4, 2, 1], [9, 0, 0, 0]]
    assert made["position_ids"].tolist() == [[0, 1, 2, 3], [0, 1, 0, 1], [0, 0, 1, 2]]
    assert made["labels"].tolist() == [[-100, 6, 7, 8], [-100, 4, -100, 1], [-100] * 4]
    assert "attention_mask" not in made


@pytest.mark.parametrize("kind", sorted(PACKED))
def test_loss_and_gradient_are_those_of_single_texts(kind: str) -> None:
    model = small_model(kind)
    texts = [text(*torch.randint(1, 40, (n,)).tolist(), prompt=2) for n in (9, 4, 5, 3)]
    learned = sum(len(t["input_ids"]) - 2 for t in texts)  # 7 + 2 + 3 + 1 = 13
    for row in texts:
        batch = {name: torch.tensor([values]) for name, values in row.items()}
        model(**batch, use_cache=False, num_items_in_batch=learned).loss.backward()
    alone = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    packed = packing.PackRows(pad_id=0)(texts)
    assert len(packed["input_ids"]) == 3  # 9; 5 + 4; 3 with padding
    model(**packed, use_cache=False, num_items_in_batch=learned).loss.backward()
    together = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(alone, together, strict=True))
