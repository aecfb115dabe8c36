"""Removing problems: duplicate ids, exact and near duplicates, overlap with the evaluation splits.

Every filter takes and returns problems by split with a :class:`Located` for each, and adds what it
drops to a list. Evaluation splits come first: where a training and a test problem are the same, the
training problem goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rlkd.data.sources.base import DroppedRow
from schemas.config.data import DecontaminationConfig, DeduplicationConfig
from schemas.problem import Problem, Split

ORDER: tuple[Split, ...] = ("test", "ood", "validation", "train")
"""Who keeps a problem that occurs in several splits."""

_WORD = re.compile(r"\w+")
_SYMBOL = re.compile(r"\d+(?:[.,]\d+)*|[+*/^=<>|!%√∑∫×÷≤≥≠]|(?<![A-Za-z])-|-(?![A-Za-z])")
_SHORTEST = 5
"""Evaluation questions of fewer words are too common to search for inside other questions."""


@dataclass(frozen=True)
class Located:
    """A problem, where it was read, and the part of a mixture that it is of (empty without one)."""

    problem: Problem
    where: str
    part: str = ""

    def dropped(self, reason: str, detail: str = "") -> DroppedRow:
        """Records why a problem was left out."""
        row = {"id": self.problem.id, "question": self.problem.question, "answer": self.problem.answer}
        return DroppedRow(where=self.where, reason=reason, detail=detail, row=row)


Splits = dict[Split, list[Located]]
_Grams = dict[int, dict[tuple[str, ...], str]]
"""Runs of words by their length, each with the id of a problem that has it."""


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
    counts = Counter(name for names in seen.values() for name in names)
    shared = {name for name, count in counts.items() if count > 1}
    for i, (split, located) in enumerate(kept):
        if located.problem.id in shared:
            renamed = located.problem.model_copy(update={"id": f"{split}:{located.problem.id}"})
            kept[i] = (split, replace(located, problem=renamed))
    return _regroup(splits, kept)


def words_of(text: str) -> list[str]:
    """Splits a text into lower-case words and numbers."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def symbols_of(text: str) -> list[str]:
    """Finds the numbers and operators of a text, in order: what two problems of the same wording differ by."""
    return _SYMBOL.findall(unicodedata.normalize("NFKC", text))


def drop_duplicates(
    splits: Splits,
    config: DeduplicationConfig,
    dropped: list[DroppedRow],
    alike: frozenset[str] = frozenset(),
) -> Splits:
    """Drops exact and near duplicates, within and across splits (datasketch MinHash LSH).

    Exact duplicates are equal but for case, punctuation and spacing. Near duplicates have at least
    the threshold's Jaccard similarity of word shingles (measured on the candidates that MinHash
    finds, so its variance drops nothing), the same numbers and operators in the same order, and the
    same answer: the same story with another number, or with "half" for "twice", is another problem.

    Args:
        splits: The problems.
        config: What is near.
        dropped: Takes what is dropped.
        alike: Parts of a mixture whose problems share their wording: they are compared with other parts only.
    """
    index = _NearDuplicates(config, alike)
    exact: dict[str, Located] = {}
    kept: list[tuple[Split, Located]] = []
    for split, located in _in_order(splits):
        problem = located.problem
        text = f"{' '.join(words_of(problem.question))}|{' '.join(symbols_of(problem.question))}"
        first = exact.get(text)
        if first is not None and not (located.part == first.part and located.part in alike):
            known = first.problem
            other = "" if known.answer == problem.answer else f", which has another answer ({known.answer!r})"
            dropped.append(located.dropped("exact duplicate", f"of {known.id}{other}"))
            continue
        twin = index.twin_or_add(located)
        if twin is not None:
            dropped.append(located.dropped("near duplicate", f"of {twin.id}"))
            continue
        exact.setdefault(text, located)
        kept.append((split, located))
    return _regroup(splits, kept)


class _NearDuplicates:
    """The problems seen so far, found again by similarity."""

    def __init__(self, config: DeduplicationConfig, alike: frozenset[str]) -> None:
        from datasketch import MinHash, MinHashLSH

        self._sketch = MinHash(num_perm=config.permutations)
        self._index = MinHashLSH(threshold=config.threshold, num_perm=config.permutations)
        self._config = config
        self._alike = alike
        self._seen: list[tuple[Located, frozenset[str]]] = []

    def twin_or_add(self, located: Located) -> Problem | None:
        """Finds the problem that this one nearly repeats; where there is none, remembers this one and returns ``None``."""
        problem = located.problem
        words, size = words_of(problem.question), self._config.shingle
        shingles = frozenset(" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))
        sketch = self._sketch.copy()
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
        for key in sorted(self._index.query(sketch)):
            seen, other_shingles = self._seen[key]
            other = seen.problem
            if seen.part == located.part and seen.part in self._alike:
                continue
            if (
                _jaccard(other_shingles, shingles) >= self._config.threshold
                and other.answer == problem.answer
                and symbols_of(other.question) == symbols_of(problem.question)
            ):
                return other
        self._index.insert(len(self._seen), sketch, check_duplication=False)
        self._seen.append((located, shingles))
        return None


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b)


def decontaminate(
    splits: Splits,
    config: DecontaminationConfig,
    dropped: list[DroppedRow],
    alike: frozenset[str] = frozenset(),
) -> Splits:
    """Drops training and validation problems that share ``ngram`` consecutive words with a test problem.

    An evaluation question shorter than that (but not than five words) must not occur whole. Words are compared without
    case and punctuation, numbers included. Parts of a mixture whose problems are ``alike`` are compared with other parts only.
    """
    grams: dict[str, _Grams] = {}
    for split in ("test", "ood"):
        for located in splits.get(split, []):
            words = words_of(located.problem.question)
            size = min(config.ngram, len(words))
            if size >= min(_SHORTEST, config.ngram):
                table = grams.setdefault(located.part, {}).setdefault(size, {})
                for i in range(len(words) - size + 1):
                    table.setdefault(tuple(words[i : i + size]), located.problem.id)
    kept: list[tuple[Split, Located]] = []
    for split, located in _in_order(splits):
        match = None
        if split in ("train", "validation"):
            others = [g for part, g in grams.items() if part != located.part or part not in alike]
            match = _overlap(words_of(located.problem.question), others)
        if match is None:
            kept.append((split, located))
        else:
            gram, other = match
            dropped.append(located.dropped("overlaps evaluation", f"shares {' '.join(gram)!r} with {other}"))
    return _regroup(splits, kept)


def _overlap(words: list[str], grams: Sequence[_Grams]) -> tuple[tuple[str, ...], str] | None:
    for size, table in (item for part in grams for item in part.items()):
        for i in range(len(words) - size + 1):
            gram = tuple(words[i : i + size])
            if gram in table:
                return gram, table[gram]
    return None
