"""Modules that the tests of a file import when they run: each worker of `make fast` collects every file, few need torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for a module that takes long to import, until something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, item: str) -> Any:
        if item.startswith("_"):  # pytest asks everything in a file what it is
            raise AttributeError(item)
        return getattr(import_module(self._name), item)


torch = Lazy("torch")
