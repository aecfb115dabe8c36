"""The teacher ``endpoint``: a language model behind an OpenAI-compatible server."""

from __future__ import annotations

from rlkd.completion.openai import OpenAICompleter
from rlkd.data.teachers._sampled import LanguageModelTeacher
from schemas.config import traces as settings
from schemas.problem import Problem


def build(config: settings.EndpointTeacher, problems: list[Problem]) -> LanguageModelTeacher:
    """Builds the teacher of ``type: endpoint``; nothing is sent yet."""
    endpoint = config.endpoint
    return LanguageModelTeacher(
        config, OpenAICompleter(endpoint), endpoint.model, config.send_seed, endpoint.concurrency, pilot=True
    )
