"""Puts the fake stages, and a count of validations, into every Python process whose environment asks for it."""

import os
import sys
from pathlib import Path

if os.environ.get("FAKE_STAGES"):
    import fake_stages

    fake_stages.install()

if os.environ.get("COUNT_VALIDATIONS"):

    def _count(self: object, context: object) -> None:
        """One line with this process's id for each whole configuration that pydantic validates, however it is reached."""
        with Path(os.environ["COUNT_VALIDATIONS"]).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {' '.join(sys.argv[:1])}\n")

    from schemas.config.pipeline import PipelineConfig

    PipelineConfig.model_post_init = _count
    PipelineConfig.__pydantic_post_init__ = "model_post_init"
    PipelineConfig.model_rebuild(force=True)
