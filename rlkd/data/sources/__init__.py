"""Where problems come from: one file per kind of source, found by its type.

``data.type: NAME`` is built by the function ``build(config)`` of ``rlkd/data/sources/NAME.py``; ``type: python`` is a
user's own object. Nothing lists them: a file is imported only when its type is asked for.
"""

from __future__ import annotations

import importlib

from rlkd.data.sources.base import DroppedRow, Loaded, Source
from rlkd.errors import DataError
from rlkd.plugins import make_plugin
from schemas.config.data import DataConfig
from schemas.config.plugin import PythonObject

__all__ = ["DroppedRow", "Loaded", "Source", "load_rows", "open_source"]


def open_source(config: DataConfig) -> Source:
    """Opens the source that a configuration names; nothing is read yet.

    Raises:
        ConfigError: A user's own object cannot be made.
    """
    if isinstance(config, PythonObject):
        own: Source = make_plugin(config)
        return own
    found: Source = importlib.import_module(f"rlkd.data.sources.{config.type}").build(config)
    return found


def load_rows(config: DataConfig, seed: int) -> Loaded:
    """Loads the source that a configuration names, before the data stage does: to see whether there is anything in it.

    Raises:
        DataError: It cannot be read, or has not one row.
    """
    loaded = open_source(config).load(seed)
    if not loaded.rows:
        where = getattr(config, "path", None)
        raise DataError(
            f"data{f'.path {where}' if where else ''}: there is not one row to read; name data with problems in it"
        )
    return loaded
