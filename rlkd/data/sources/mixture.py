"""The source ``mixture``: several sources at once, each problem with its domain and the part that it is of."""

from __future__ import annotations

from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.sources import open_source
from rlkd.data.sources.base import Loaded, Source
from rlkd.data.splits import SPLITS, carve, located
from rlkd.errors import DataError
from schemas.config.data import MixtureData, MixturePart
from schemas.problem import Problem


class MixtureSource:
    """The problems of all parts, each part with the splits that it would have alone."""

    def __init__(self, config: MixtureData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Reads every part; see :class:`~rlkd.data.sources.base.Source`."""
        mixed = Loaded()
        for split in SPLITS:
            mixed.splits[split], mixed.where[split], mixed.parts[split] = [], [], []
        generated = set()
        for part in self.config.parts:
            try:
                loaded = open_source(part.source).load(seed)
                self._add(part, loaded, seed, mixed)
            except DataError as error:
                raise DataError(f"data.parts, {part.name}: {error}") from None
            if loaded.disjoint:
                generated.add(part.name)
        for name in ("deduplicate", "decontaminate"):
            off = {part.name for part in self.config.parts if not getattr(part.source, name).enabled}
            mixed.alike[name] = frozenset(off | generated)
        if not mixed.splits["train"]:
            del mixed.splits["train"]  # for evaluation only
        return mixed

    def _add(self, part: MixturePart, loaded: Loaded, seed: int, mixed: Loaded) -> None:
        notes: list[str] = []
        own = located(loaded)
        splits = own if loaded.disjoint else carve(own, part.source, seed, notes)
        for split, rows in splits.items():
            mixed.splits[split] += [_named(row.problem, part) for row in rows]
            mixed.where[split] += [row.where for row in rows]
            mixed.parts[split] += [part.name] * len(rows)
        mixed.dropped += loaded.dropped
        mixed.rows += loaded.rows
        mixed.notes += [f"{part.name}: {note}" for note in (*loaded.notes, *notes)]


def _named(problem: Problem, part: MixturePart) -> Problem:
    """A problem under the name of its part, as is the cluster that it shares with others of it."""
    metadata = problem.metadata
    if CLUSTER_KEY in metadata:
        metadata = {**metadata, CLUSTER_KEY: f"{part.name}:{metadata[CLUSTER_KEY]}"}
    return problem.model_copy(
        update={
            "id": f"{part.name}:{problem.id}",
            "domain": part.domain or problem.domain,
            "metadata": metadata,
        }
    )


def build(config: MixtureData) -> Source:
    """Builds the source of ``type: mixture``."""
    return MixtureSource(config)
