"""The Hugging Face hub: asked once, briefly, whether it can be reached.

Its libraries try again for minutes before they say that there is no network. Told that they are offline, they use what
this machine has and say at once what is missing. They read that setting when they are imported.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from schemas.base import Schema
from schemas.config.data import HubData
from schemas.config.endpoint import LocalEndpoint
from schemas.config.objective import DistilConfig
from schemas.config.run import RunConfig
from schemas.config.structure import EmbeddingJudgeConfig
from schemas.config.student import CheckpointModel

OFFLINE = "HF_HUB_OFFLINE"
_WAIT_S = 5.0
_NAMES = {
    HubData: "dataset",
    LocalEndpoint: "path",
    EmbeddingJudgeConfig: "model",
    CheckpointModel: "path",
    DistilConfig: "path",
}
"""Which setting of a section may be an id on the hub."""


def address() -> str:
    """``$HF_ENDPOINT``, or the public hub."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def hub_ids(config: Schema) -> list[str]:
    """What a configuration names that is not on this disk."""
    found: list[str] = []
    for kind, name in _NAMES.items():
        if isinstance(config, kind):
            value = os.path.expandvars(str(getattr(config, name)))
            if not value.startswith("builtin:") and not Path(value).expanduser().exists():
                found.append(value)
    for name in type(config).model_fields:
        value = getattr(config, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Schema):
                found += hub_ids(item)
    return found


def go_offline_if_cut_off(config: RunConfig) -> str:
    """Lets the hub's libraries use this machine's cache only, where a configuration needs the hub and it cannot be reached.

    Returns:
        A sentence that says so; empty where nothing has changed.
    """
    wanted = hub_ids(config)
    if not wanted or os.environ.get(OFFLINE) or reachable():
        return ""
    os.environ[OFFLINE] = "1"
    return (
        f"{address()} could not be reached within {_WAIT_S:.0f} s; of {' and '.join(dict.fromkeys(wanted))}, only what this machine "
        "has cached can be used (see to the network, set HF_ENDPOINT, or name local folders)"
    )


def reachable(wait_s: float = _WAIT_S) -> bool:
    """Whether the hub answers anything at all."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urlopen(Request(address(), method="HEAD"), timeout=wait_s):
                answers.append(True)
        except HTTPError:
            answers.append(True)  # an answer, if not a kind one
        except (URLError, OSError, ValueError):
            answers.append(False)

    # In a thread: looking up a name has no time-out of its own.
    asking = threading.Thread(target=ask, daemon=True, name="hub")
    asking.start()
    asking.join(wait_s)
    return bool(answers and answers[0])
