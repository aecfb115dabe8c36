"""The source ``mixture``: several sources at once, each problem with its domain and the part that it is of."""

from __future__ import annotations

from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.sources import open_source
from rlkd.data.sources.base import Loaded, Source
from rlkd.errors import DataError
from schemas.config.data import MixtureData, MixturePart
from schemas.problem import Problem


class MixtureSource:
    """The problems of all parts, in the splits that each part has itself."""

    def __init__(self, config: MixtureData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Reads every part; see :class:`~rlkd.data.sources.base.Source`."""
        mixed = Loaded()
        generated = set()
        for part in self.config.parts:
            try:
                loaded = open_source(part.source).load(seed)
            except DataError as error:
                raise DataError(f"data.parts, {part.name}: {error}") from None
            _add(part, loaded, mixed)
            if loaded.disjoint:
                generated.add(part.name)
        for name in ("deduplicate", "decontaminate"):
            off = {part.name for part in self.config.parts if not getattr(part.source, name).enabled}
            mixed.alike[name] = frozenset(off | generated)
        return mixed


def _add(part: MixturePart, loaded: Loaded, mixed: Loaded) -> None:
    for split, problems in loaded.splits.items():
        mixed.splits.setdefault(split, []).extend(_named(problem, part) for problem in problems)
        mixed.where.setdefault(split, []).extend(loaded.where[split])
        mixed.parts.setdefault(split, []).extend([part.name] * len(problems))
    mixed.dropped += loaded.dropped
    mixed.rows += loaded.rows
    mixed.notes += [f"{part.name}: {note}" for note in loaded.notes]


def _named(problem: Problem, part: MixturePart) -> Problem:
    """A problem under the name of its part, as is the cluster that it shares with others of it."""
    metadata = problem.metadata
    if metadata.get(CLUSTER_KEY) not in (None, ""):  # null is no cluster, not one named "a:None"
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
