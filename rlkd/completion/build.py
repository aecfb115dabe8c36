"""Makes a completer from its configuration."""

from __future__ import annotations

from rlkd.completion.base import Completer
from schemas.config.endpoint import EndpointConfig, LocalEndpoint


def build_completer(config: EndpointConfig) -> Completer:
    """Makes the completer of an endpoint's configuration; nothing is loaded or connected yet."""
    if isinstance(config, LocalEndpoint):
        from rlkd.completion.local_hf import LocalCompleter

        return LocalCompleter(config)
    from rlkd.completion.openai import OpenAICompleter

    return OpenAICompleter(config)
