"""What ``rlkd check`` says of a student whose texts cannot share rows in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.cli.check.findings import Findings
from schemas.config.training import FineTuneConfig, RLConfig

if TYPE_CHECKING:
    from rlkd.student.examine import Sizes


def note_packing(
    student: Sizes,
    tuning: FineTuneConfig | None,
    rl: RLConfig | None,
    completion_limit: int,
    found: Findings,
) -> None:
    """Says that a student is trained on padded rows, why, and what that costs; nothing where its texts are packed.

    Args:
        student: The student.
        tuning: The warm start, or the training of a GSRM; ``None`` where there is none.
        rl: RL; ``None`` where there is none.
        completion_limit: ``student.max_completion_tokens``.
        found: Has the lengths that were found, and gets the line.
    """
    costs = []
    if tuning is not None and tuning.packing:
        more = padding(found.trace_tokens, tuning.batch_size)
        much = f" ({more:.1f} times the tokens of the traces that are there)" if more else ""
        costs.append(f"fine-tuning pads the texts of a batch to the longest{much}")
    if rl is not None and rl.share_prompts:
        prompt = sum(found.prompt_tokens) / len(found.prompt_tokens) if found.prompt_tokens else 0.0
        more = rl.group_size * (prompt + completion_limit) / (prompt + rl.group_size * completion_limit)
        much = f" ({more:.1f} times the tokens, with completions of {completion_limit})" if prompt else ""
        costs.append(f"RL computes a prompt for each of its {rl.group_size} completions{much} and pads them")
    if student.unpacked and costs:
        found.add("packing", f"not packed: {student.unpacked}; {', '.join(costs)}", "note")


def padding(lengths: Sequence[float], batch: int) -> float:
    """Positions of padded batches over tokens, with texts in the order that they are in; 0 without texts.

    Example:
        Lengths 2, 4 and 6 in batches of 2: 2 * 4 + 6 positions for 12 tokens, 1.17 times.
    """
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return sum(max(own) * len(own) for own in batches) / sum(lengths) if sum(lengths) else 0.0
