from __future__ import annotations

from rlkd.training.objectives.batches import merged

from ...lazy import torch


def test_rows_of_two_batches_are_padded_and_put_in_order() -> None:
    one = {
        "prompt_ids": torch.tensor([[5, 6], [7, 8]]), "prompt_mask": torch.ones(2, 2, dtype=torch.long),
        "completion_ids": torch.tensor([[1], [2]]), "completion_mask": torch.ones(2, 1, dtype=torch.long),
        "advantages": torch.tensor([0.5, -0.5]), "num_items_in_batch": torch.tensor(2),
    }  # fmt: skip
    other = {
        "prompt_ids": torch.tensor([[9]]), "prompt_mask": torch.ones(1, 1, dtype=torch.long),
        "completion_ids": torch.tensor([[3, 4]]), "completion_mask": torch.ones(1, 2, dtype=torch.long),
        "advantages": torch.tensor([1.0]), "num_items_in_batch": torch.tensor(2),
    }  # fmt: skip
    found = merged([(one, [1]), (other, [0])], pad_id=0)
    assert found["prompt_ids"].tolist() == [[7, 8], [0, 9]]  # padded on the left
    assert found["prompt_mask"].tolist() == [[1, 1], [0, 1]]
    assert found["completion_ids"].tolist() == [[2, 0], [3, 4]]  # on the right
    assert found["completion_mask"].tolist() == [[1, 0], [1, 1]]
    assert found["advantages"].tolist() == [-0.5, 1.0]
