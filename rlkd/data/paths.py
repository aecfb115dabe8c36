"""Where datasets are: environment variables in paths, with a default for ``RLKD_DATA``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rlkd.errors import DataError

DEFAULT_DATA = Path("../shared/data")
"""Taken for an unset ``RLKD_DATA`` where it exists, relative to the current folder."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def expand_path(text: str, homepage: str = "") -> Path:
    """A configured path with ``~`` and environment variables replaced.

    Args:
        text: The path as configured, for example ``$RLKD_DATA/gsm8k``.
        homepage: Where the data can be had, for the error.

    Raises:
        DataError: A variable is not set and has no default.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = os.environ.get(name)
        if found:
            return found
        if name == "RLKD_DATA" and DEFAULT_DATA.is_dir():
            return str(DEFAULT_DATA)
        hint = f"; the data can be had at {homepage}" if homepage else ""
        raise DataError(
            f"data.path {text!r}: the environment variable {name} is not set; set it to the folder that holds your "
            f"datasets (export {name}=/path/to/data), or give the folder itself with --set data.path=...{hint}"
        )

    return Path(_VARIABLE.sub(value, text)).expanduser()
