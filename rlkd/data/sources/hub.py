"""Hugging Face datasets: an id on the hub, or a local dataset folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlkd.data.sources.base import Loaded, check_malformed
from rlkd.data.sources.rows import RawRow, add_rows
from rlkd.errors import DataError
from schemas.config.data import HubData


class HubSource:
    """A dataset that ``datasets.load_dataset`` (or, for a saved one, ``load_from_disk``) can read."""

    def __init__(self, config: HubData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Reads every mapped split; see :class:`~rlkd.data.sources.base.Source`."""
        config = self.config
        dataset = load_dataset(config)
        loaded = Loaded()
        stem = config.dataset.rstrip("/").rsplit("/", 1)[-1]
        for split, name in config.splits.items():
            if name not in dataset:
                raise DataError(
                    f"data.splits.{split}: dataset {config.dataset} has no split {name!r}; it has {', '.join(map(str, dataset))}"
                )
            rows = _rows(dataset[name], f"{config.dataset}, split {name}")
            add_rows(rows, split, f"{stem}:{name}", config, loaded)
        check_malformed(loaded.dropped, loaded.rows, config.max_malformed_share, config.dataset)
        return loaded


def _rows(split: Any, where: str) -> Iterator[RawRow]:
    for number, values in enumerate(split, 1):
        yield RawRow(f"{where}, row {number}", number, values)


def load_dataset(config: HubData) -> Any:
    """Loads a dataset, all of its splits.

    Raises:
        DataError: It cannot be loaded.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            "data.type 'hub' needs the datasets library; install it with: pip install 'rlkd[train]'"
        ) from None
    folder = Path(config.dataset)
    try:
        if (folder / "dataset_dict.json").is_file():
            return datasets.load_from_disk(str(folder))
        return datasets.load_dataset(config.dataset, config.subset, revision=config.revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        subset = f" (subset {config.subset})" if config.subset else ""
        raise DataError(
            f"data.dataset {config.dataset!r}{subset}: cannot be loaded ({first[:300]}); check the id, the subset, the network and, for a gated one, your login"
        ) from error


def build(config: HubData) -> HubSource:
    """Builds the source of ``type: hub``."""
    return HubSource(config)
