"""Several texts in one row of a batch, so that little is padded; each text sees itself only, and its positions begin at 0.

A batch of texts of 120 to 400 tokens, padded to the longest, is 40% padding. Packed into rows no longer than the longest text
there is hardly any, and no row is longer than before, so that attention costs no more either. Attention finds the borders by
the positions that begin again. The loss is the mean over the same tokens, equal up to rounding.

Shapes: B texts, R packed rows, L tokens of the longest text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackRows:
    """Collates tokenised texts (``input_ids``, ``labels``) into packed rows.

    Attributes:
        pad_id: Token for what stays empty at the end of a row.
    """

    pad_id: int

    def __call__(self, texts: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Tensor]:
        """Packs a batch.

        Returns:
            ``input_ids``, ``labels`` (-100 where nothing is learned) and ``position_ids``, each (R, L). There is no mask: the
            library derives it from the positions.
        """
        lengths = [len(text["input_ids"]) for text in texts]
        rows, longest = fill(lengths), max(lengths)
        ids_RL = torch.full((len(rows), longest), self.pad_id)
        labels_RL = torch.full((len(rows), longest), -100)
        positions_RL = torch.zeros(len(rows), longest, dtype=torch.long)
        for row, members in enumerate(rows):
            at = 0
            for index in members:
                end = at + lengths[index]
                ids_RL[row, at:end] = torch.as_tensor(texts[index]["input_ids"])
                labels_RL[row, at:end] = torch.as_tensor(texts[index]["labels"])
                labels_RL[row, at] = -100  # no text predicts the first token of the next
                positions_RL[row, at:end] = torch.arange(lengths[index])
                at = end
            positions_RL[row, at:] = torch.arange(longest - at)  # padding is a text of its own
        return {"input_ids": ids_RL, "labels": labels_RL, "position_ids": positions_RL}


def fill(lengths: Sequence[int]) -> list[list[int]]:
    """Shares texts out over rows of the longest one's length: the long ones first, each into the fullest row that has room.

    Args:
        lengths: Tokens of each text.

    Returns:
        The texts of each row, by number.

    Example:
        Lengths 5, 2, 3, 5 make three rows: [0], [3] and [2, 1] (3 + 2 = 5).
    """
    longest = max(lengths)
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        fitting = [row for row, left in enumerate(room) if left >= lengths[index]]
        if fitting:
            row = min(fitting, key=lambda r: room[r])
        else:
            row = len(rows)
            rows.append([])
            room.append(longest)
        rows[row].append(index)
        room[row] -= lengths[index]
    return rows
