"""Names of stages as people and configurations write them: checked, and listed as choices in JSON schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from rlkd.errors import UserError
from rlkd.pipeline import stages


class _Named:
    """Marks a text as the name of a stage of a chain: checked, and listed as choices in JSON schemas."""

    def __init__(self, chain: Callable[[], tuple[stages.StageSpec, ...]]) -> None:
        self.chain = chain

    def check(self, text: str) -> str:
        """The name, if there is such a stage.

        Raises:
            ValueError: There is none; the message names those that there are.
        """
        names = [spec.name for spec in self.chain()]
        if text not in names:
            raise ValueError(f"there is no stage {text!r}; the stages are {', '.join(names)}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": [spec.name for spec in self.chain()]}


StageName = Annotated[str, _Named(lambda: stages.STAGES)]
"""Name of a stage of a distillation."""
GsrmStageName = Annotated[str, _Named(lambda: stages.GSRM_STAGES)]
"""Name of a stage of a GSRM's training."""


def named_stage(text: str, chain: tuple[stages.StageSpec, ...]) -> str:
    """A stage's name as a person typed it.

    Raises:
        UserError: The chain has no such stage.
    """
    try:
        return _Named(lambda: chain).check(text)
    except ValueError as error:
        raise UserError(str(error)) from None
