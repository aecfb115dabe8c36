"""The teacher ``local``: a language model in this process."""

from __future__ import annotations

from rlkd.data.teachers._sampled import LanguageModelTeacher
from schemas.config import traces as settings
from schemas.problem import Problem


def build(config: settings.LocalTeacher, problems: list[Problem]) -> LanguageModelTeacher:
    """Builds the teacher of ``type: local``; nothing is loaded yet."""
    from rlkd.completion.local_hf import LocalCompleter

    endpoint = config.endpoint
    # Twice as many are under way as one batch holds, so that the next one is full.
    return LanguageModelTeacher(
        config, LocalCompleter(endpoint), endpoint.path, False, 2 * endpoint.batch_size
    )
