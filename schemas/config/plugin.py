"""A user's own Python object in a configuration: ``{type: python, object: "my_pkg:MyJudge", options: {...}}``."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from schemas.base import OPERATIONAL, JsonValue, Schema

_NAMES = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_OBJECT = re.compile(rf"{_NAMES}:{_NAMES}")


class PythonObject(Schema):
    """An object that Python code outside of this project defines; the base of one class per kind.

    The code that it comes from counts toward the identity of the stages that use it, the folder does not.

    Attributes:
        kind: What it is, in words, for errors.
        protocol: ``module:name`` of the interface that it must have.
    """

    kind: ClassVar[str] = "object"
    protocol: ClassVar[str] = ""

    type: Literal["python"] = Field(default="python", description="Your own Python object.")
    object: str = Field(
        description="Where it is: module:name, for example my_pkg.judges:MyJudge. A class (or a function that makes the "
        "object) is called with `options`."
    )
    options: dict[str, JsonValue] = Field(default_factory=dict, description="Keyword arguments for it.")
    folder: Annotated[str | None, OPERATIONAL] = Field(
        default=None,
        description="Folder that the module lies in; null looks in the configuration file's folder, in the current one, and "
        "among the installed packages.",
    )

    @field_validator("object")
    @classmethod
    def _named(cls, value: str) -> str:
        if not _OBJECT.fullmatch(value):
            raise ValueError(f"write it as module:name, for example my_pkg.judges:MyJudge, not {value!r}")
        return value
