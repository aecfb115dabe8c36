"""A tiny random Llama and a byte-level tokenizer."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny() -> Any:
    from rlkd.student.fresh import fresh_student
    from schemas.config.student import StudentConfig

    config = StudentConfig.model_validate(
        {
            "model": {
                "type": "fresh",
                "vocabulary": 64,
                "layers": 2,
                "width": 32,
                "heads": 4,
                "context": 128,
            },
            "max_prompt_tokens": 40,
            "max_completion_tokens": 40,
        }
    )
    return fresh_student(config, ["What is 2 + 3?", "The answer is 5."], seed=3)
