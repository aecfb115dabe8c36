"""Credit for single steps: the reward knows which of a path's steps failed, so those tokens answer for it.

GRPO gives every token of a completion the same advantage A (arXiv 2402.03300, section 4.1.2); its process supervision (section 4.1.3)
needs a reward for each step. Here the matches of the structure reward say which steps are the teacher's:

    A_t = A (1 - credit)   where t lies in a step that does not explain the sign of A: one that matches, for A < 0; one that
                           matches none of the teacher's, for A > 0
    A_t = A                elsewhere: the steps that explain it, the answer, the end.

The stated answer is a step too where it is known whether it is what the path finds: one that is not ("So Wes: ... is in. The answer
is out.") explains A < 0, so that a path of matched steps does not answer for it, and earns nothing for A > 0: it was guessed.
A completion without a step that explains the sign keeps A everywhere: what was wrong with it lies elsewhere. Assumes that
a step fails by itself, not because of one before it. No paper's: theirs estimate the value of a step from more samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.alignment import SURE, StepMatch
from schemas.rollout import RewardRecord


def is_matched(verdict: StepMatch) -> bool:
    """Tells whether a step is one of the teacher's: the score gives it half of a step's credit or more, or it is aligned with one, with
    the same intent and an equal answer as far as a judge said.

    The credit tells of steps that are split off (``3 + 4 = 7`` and ``16 - 7 = 9`` for ``16 - 3 - 4 = 9``: the first follows none of
    the teacher's by itself, and answered for A < 0), and of what counts where sub-problems alone do.
    """
    if verdict.credit is not None and verdict.credit >= SURE:
        return True
    said = (verdict.p_intent, verdict.p_answer)
    return verdict.teacher_step is not None and all(p is None or p >= SURE for p in said)


def token_weights(record: RewardRecord, advantage: float, ends: Sequence[int], credit: float) -> list[float]:
    """Computes what each token's advantage is multiplied with.

    Args:
        record: The scored completion, with the places of its steps.
        advantage: Its advantage.
        ends: Where each of its tokens ends in the text, in code points.
        credit: ``rl.objective.step_credit``.
    """
    whole = [1.0] * len(ends)
    if len(record.spans) != len(record.verdicts) or advantage == 0:
        return whole
    spared, explain = [], False
    for verdict, span in zip(record.verdicts, record.spans, strict=True):
        if is_matched(verdict) == (advantage > 0):
            explain = True
        elif span[1] > span[0]:
            spared.append(span)
    if record.own_answer is False:
        if advantage < 0:
            explain = True
        elif record.spans:
            spared.append((max(end for _, end in record.spans), ends[-1]))
    if not explain:
        return whole
    starts = [0, *ends[:-1]]
    return [
        1.0 - credit if end > start and any(a < end and start < b for a, b in spared) else 1.0
        for start, end in zip(starts, ends, strict=True)
    ]


def token_ends(ids: Sequence[int], text: str, decode: Callable[[Sequence[int]], str]) -> list[int]:
    """Finds where each token of a completion ends in its text; special tokens take no place.

    Tokens are decoded one by one; where their texts do not add up to the whole (a letter in several byte tokens), the
    beginnings are decoded instead, which takes longer.

    Args:
        ids: The tokens.
        text: The text of all of them.
        decode: Decodes tokens, special ones left out.
    """
    ends, total = [], 0
    for token in ids:
        total += len(decode([token]))
        ends.append(total)
    if total == len(text):
        return ends
    return [min(len(decode(ids[: i + 1])), len(text)) for i in range(len(ids))]
