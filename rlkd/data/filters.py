"""Removing problems: duplicate ids, exact and near duplicates, overlap with the evaluation splits.

Every filter takes and returns problems by split with a :class:`Located` for each, and adds what it
drops to a list. Evaluation splits come first: where a training and a test problem are the same, the
training problem goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rlkd.data.sources.base import DroppedRow
from schemas.config.data import DecontaminationConfig, DeduplicationConfig
from schemas.problem import Problem, Split

ORDER: tuple[Split, ...] = ("test", "ood", "validation", "train")
"""Who keeps a problem that occurs in several splits."""

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SHORTEST = 5
"""Evaluation questions of fewer words are too common to search for inside other questions."""


@dataclass(frozen=True)
class Located:
    """A problem and where it was read."""

    problem: Problem
    where: str

    def dropped(self, reason: str, detail: str = "") -> DroppedRow:
        """The record of leaving it out."""
        row = {"id": self.problem.id, "question": self.problem.question, "answer": self.problem.answer}
        return DroppedRow(where=self.where, reason=reason, detail=detail, row=row)


Splits = dict[Split, list[Located]]


def _in_order(splits: Splits) -> Iterator[tuple[Split, Located]]:
    for split in ORDER:
        for located in splits.get(split, []):
            yield split, located


def _regroup(splits: Splits, kept: Sequence[tuple[Split, Located]]) -> Splits:
    regrouped: Splits = {split: [] for split in splits}
    for split, located in kept:
        regrouped[split].append(located)
    return regrouped


def unique_ids(splits: Splits, dropped: list[DroppedRow]) -> Splits:
    """Drops rows that repeat an id of their own split; ids shared by two splits get the split's name in front."""
    seen: dict[Split, set[str]] = {split: set() for split in splits}
    kept: list[tuple[Split, Located]] = []
    for split, located in _in_order(splits):
        if located.problem.id in seen[split]:
            dropped.append(
                located.dropped("duplicate id", f"id {located.problem.id!r} occurs before in {split}")
            )
            continue
        seen[split].add(located.problem.id)
        kept.append((split, located))
    used = [name for names in seen.values() for name in names]
    shared = {name for name in used if used.count(name) > 1} if len(set(used)) < len(used) else set()
    for i, (split, located) in enumerate(kept):
        if located.problem.id in shared:
            renamed = located.problem.model_copy(update={"id": f"{split}:{located.problem.id}"})
            kept[i] = (split, Located(renamed, located.where))
    return _regroup(splits, kept)


def normal_text(text: str) -> str:
    """A question without case, punctuation, spacing and typographic variants."""
    return " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers of a text."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def drop_duplicates(splits: Splits, config: DeduplicationConfig, dropped: list[DroppedRow]) -> Splits:
    """Drops exact and near duplicates, within and across splits (datasketch MinHash LSH).

    A near duplicate has at least the threshold's Jaccard similarity of word shingles, measured on the
    candidates that MinHash finds, *and* the same numbers: the same story with another number is
    another problem. Exact duplicates are equal but for case, punctuation and spacing.
    """
    from datasketch import MinHash, MinHashLSH

    index = (
        MinHashLSH(threshold=config.threshold, num_perm=config.permutations) if config.threshold < 1 else None
    )
    exact: dict[str, str] = {}
    shingles_of: dict[str, frozenset[str]] = {}
    numbers_of: dict[str, list[str]] = {}
    kept: list[tuple[Split, Located]] = []
    for split, located in _in_order(splits):
        question = located.problem.question
        # The signs and operators that normal_text removes are what a formula differs by.
        text = (
            f"{normal_text(question)}|{re.sub(r'[^-+*/^=<>().]', '', question)}"
            if _is_formula(question)
            else normal_text(question)
        )
        if text in exact:
            dropped.append(located.dropped("exact duplicate", f"of {exact[text]}"))
            continue
        key = f"{split}/{located.problem.id}"
        if index is not None and not _is_formula(question):
            words = text.split()
            shingles = frozenset(
                " ".join(words[i : i + config.shingle])
                for i in range(max(1, len(words) - config.shingle + 1))
            )
            numbers = sorted(_NUMBER.findall(question))
            sketch = MinHash(num_perm=config.permutations)
            sketch.update_batch([s.encode("utf-8", "surrogatepass") for s in shingles])
            twin = next(
                (
                    k
                    for k in sorted(index.query(sketch))
                    if numbers_of[k] == numbers and _jaccard(shingles_of[k], shingles) >= config.threshold
                ),
                None,
            )
            if twin is not None:
                dropped.append(located.dropped("near duplicate", f"of {twin.partition('/')[2]}"))
                continue
            index.insert(key, sketch, check_duplication=False)
            shingles_of[key], numbers_of[key] = shingles, numbers
        exact[text] = located.problem.id
        kept.append((split, located))
    return _regroup(splits, kept)


def _is_formula(text: str) -> bool:
    """Whether operators, not words, make up a question (``Solve 3x - 2 = 7``)."""
    return len(re.findall(r"[-+*/^=<>]", text)) * 4 > len(text.split())


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b)


def decontaminate(splits: Splits, config: DecontaminationConfig, dropped: list[DroppedRow]) -> Splits:
    """Drops training and validation problems that share ``ngram`` consecutive words with a test problem.

    An evaluation question shorter than that (but not than five words) must not occur whole. Words are compared without
    case and punctuation, numbers included.
    """
    grams: dict[int, dict[tuple[str, ...], str]] = {}
    for split in ("test", "ood"):
        for located in splits.get(split, []):
            words = words_of(located.problem.question)
            size = min(config.ngram, len(words))
            if size >= min(_SHORTEST, config.ngram):
                for i in range(len(words) - size + 1):
                    grams.setdefault(size, {}).setdefault(tuple(words[i : i + size]), located.problem.id)
    kept: list[tuple[Split, Located]] = []
    for split, located in _in_order(splits):
        match = (
            _overlap(words_of(located.problem.question), grams) if split in ("train", "validation") else None
        )
        if match is None:
            kept.append((split, located))
        else:
            gram, other = match
            dropped.append(located.dropped("overlaps evaluation", f"shares {' '.join(gram)!r} with {other}"))
    return _regroup(splits, kept)


def _overlap(
    words: list[str], grams: dict[int, dict[tuple[str, ...], str]]
) -> tuple[tuple[str, ...], str] | None:
    for size, table in grams.items():
        for i in range(len(words) - size + 1):
            gram = tuple(words[i : i + size])
            if gram in table:
                return gram, table[gram]
    return None
