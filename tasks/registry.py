"""Models by their registered names: ``models:/rlkd-gsrm/3`` in a configuration becomes the folder that holds the model.

Done when a run starts, so that the library reads folders only, a name that means another version tomorrow is
pinned for the run, and the content of the folder counts toward the identity of its stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from schemas.base import Schema
from tasks import tracking

Config = TypeVar("Config", bound=Schema)
PREFIX = "models:/"
_FIELDS = ("model", "path")


def resolve_models(config: Config, uri: str) -> Config:
    """Puts the folders of the registered models that a configuration names into it.

    Args:
        config: Any configuration, or a section of one.
        uri: Where MLflow is; not asked where no registered model is named.

    Raises:
        UserError: There is no such model, or its files cannot be had.
    """
    if not names_in(config.model_dump(mode="json")):
        return config
    return _resolved_model(config, uri)


def _resolved_model(config: Config, uri: str) -> Config:
    """A copy with folders in the place of names: text for text, so that nothing needs to be validated again."""
    changed = {
        name: resolved
        for name in type(config).model_fields
        if (resolved := _resolved(name, value := getattr(config, name), uri)) is not value
    }
    return config.model_copy(update=changed) if changed else config


def names_in(value: Any) -> list[str]:
    """Finds the registered names in a configuration's dump."""
    if isinstance(value, Mapping):
        own = [text for key, text in value.items() if _is_name(key, text)]
        return own + [name for item in value.values() for name in names_in(item)]
    if isinstance(value, list):
        return [name for item in value for name in names_in(item)]
    return []


def _is_name(key: str, value: Any) -> bool:
    return key in _FIELDS and isinstance(value, str) and value.startswith(PREFIX)


def _resolved(key: str, value: Any, uri: str) -> Any:
    if isinstance(value, Schema):
        return _resolved_model(value, uri)
    if _is_name(key, value):
        return str(tracking.model_folder(uri, value))
    if isinstance(value, Mapping):
        return {name: _resolved(name, item, uri) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolved("", item, uri) for item in value)
    return value
