"""The source ``benchmark``: a benchmark by name, from the user's own copy, from ``$RLKD_DATA`` or from the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlkd.answers.verify import CHOICES_KEY, REFERENCES_KEY
from rlkd.data.benchmarks import (
    BENCHMARK_KEY,
    CLUSTER_KEY,
    Benchmark,
    Item,
    find_benchmark,
    local_files,
)
from rlkd.data.sources.base import DroppedRow, Loaded, Malformed, Source, check_malformed
from rlkd.data.sources.file import read_table
from rlkd.data.sources.hub import load_dataset
from rlkd.data.sources.rows import RawRow, note_halves, shown_row
from rlkd.data.sources.values import paths_of, question_of, text_of
from rlkd.errors import DataError
from rlkd.hub import OFFLINE, reachable
from schemas.config.data import BenchmarkData, GymData, HubData, gym_dataset
from schemas.problem import Problem, Split


class BenchmarkSource:
    """The rows of a benchmark, read as its file says."""

    def __init__(self, config: BenchmarkData) -> None:
        self.config = config
        self.benchmark = find_benchmark(config.name)

    def load(self, seed: int) -> Loaded:
        """Reads every split; see :class:`~rlkd.data.sources.base.Source`."""
        loaded = Loaded()
        for split, rows in self._rows().items():
            self._add(rows, split, loaded)
        name = f"benchmark {self.config.name}"
        check_malformed(loaded.dropped, loaded.rows, self.config.max_malformed_share, name)
        return loaded

    def _rows(self) -> Mapping[Split, Iterable[RawRow]]:
        config, benchmark = self.config, self.benchmark
        files = local_files(config)
        if files:
            return {split: read_table(path) for split, path in files.items()}
        wanted = " and ".join(benchmark.files.values()) or "no file of it"
        if not benchmark.hub:
            raise DataError(
                f"data.name {config.name!r}: $RLKD_DATA does not hold {wanted}, and the benchmark is not on the hub; give your own "
                "copy with --set data.path=..."
            )
        if not os.environ.get(OFFLINE) and not reachable():
            os.environ[OFFLINE] = (
                "1"  # its library would try again for minutes; what this machine has cached still works
            )
        found = load_dataset(
            HubData(
                type="hub",
                dataset=benchmark.hub,
                subset=benchmark.subset,
                revision=benchmark.revision,
                splits={"train": "train"},
            )
        )
        missing = [name for name in benchmark.splits.values() if name not in found]
        if missing:
            raise DataError(
                f"data.name {config.name!r}: {benchmark.hub} has no split {missing[0]!r} any more; it has {', '.join(map(str, found))}"
            )
        return {
            split: _numbered(found[name], benchmark.hub, name) for split, name in benchmark.splits.items()
        }

    def _add(self, rows: Iterable[RawRow], split: Split, loaded: Loaded) -> None:
        problems = loaded.splits.setdefault(split, [])
        places = loaded.where.setdefault(split, [])
        halves: list[str] = []
        for raw in rows:
            try:
                if raw.values is None:
                    raise Malformed("malformed line", raw.fault)
                note_halves(raw, halves)
                made = [
                    _problem(
                        item,
                        f"{self.config.name}:{split}:{raw.number}.{i}",
                        split,
                        self.config.name,
                        self.benchmark,
                    )
                    for i, item in enumerate(self.benchmark.read(raw.values))
                ]
            except Malformed as fault:
                loaded.rows += 1
                loaded.dropped.append(
                    DroppedRow(where=raw.where, reason=fault.reason, detail=fault.detail, row=shown_row(raw))
                )
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
                loaded.rows += 1
                detail = f"{type(error).__name__}: {error}; has the benchmark's form changed?"
                loaded.dropped.append(
                    DroppedRow(
                        where=raw.where, reason="a row of another form", detail=detail, row=shown_row(raw)
                    )
                )
            else:
                loaded.rows += len(made)
                problems += made
                places += [raw.where] * len(made)
        loaded.notes += halves_note(halves)


def halves_note(halves: list[str]) -> list[str]:
    """What is said of rows with half characters."""
    what = "rows hold characters that are no Unicode (halves of surrogate pairs), each replaced by U+FFFD; the first is"
    return [f"{len(halves)} {what} {halves[0]}"] if halves else []


def _numbered(rows: Any, dataset: str, name: str) -> Iterator[RawRow]:
    for number, values in enumerate(rows, 1):
        yield RawRow(f"{dataset}, split {name}, row {number}", number, values)


def _problem(item: Item, number: str, split: Split, name: str, benchmark: Benchmark) -> Problem:
    question = question_of(item.question, "question")
    answer = text_of(item.answer, "answer", "no answer")
    if not question or not answer:
        raise Malformed("no question" if not question else "no answer", "the column is empty")
    if item.choices and answer not in item.choices:
        raise Malformed("no answer", f"{answer!r} is none of the options {', '.join(item.choices)}")
    metadata: dict[str, Any] = {BENCHMARK_KEY: name}
    if item.cluster is not None:
        metadata[CLUSTER_KEY] = str(item.cluster)
    if item.choices:
        metadata[CHOICES_KEY] = dict(item.choices)
    if item.references:
        metadata[REFERENCES_KEY] = list(item.references)
    return Problem(
        id=text_of(item.id, "id") or number,
        question=question,
        answer=answer,
        domain=item.domain or benchmark.domain,
        difficulty=item.difficulty,
        split=split,
        source=f"benchmark:{name}",
        traces=tuple(paths_of(item.traces, "traces")),
        metadata=metadata,
    )


def build(config: BenchmarkData) -> Source:
    """Builds the source of ``type: benchmark``.

    Raises:
        DataError: There is no benchmark of that name.
    """
    gym = gym_dataset(config.name)
    if gym is not None:
        from rlkd.data.sources.reasoning_gym import GymSource

        shared = {
            name: getattr(config, name)
            for name in ("sizes", "deduplicate", "decontaminate", "max_malformed_share")
        }
        return GymSource(GymData(type="reasoning_gym", dataset=gym, **shared))
    return BenchmarkSource(config)
