"""The teacher ``local``: a language model in this process."""

from __future__ import annotations

from dataclasses import replace

from rlkd.completion.base import CompletionRequest
from rlkd.data.teachers._sampled import LanguageModelTeacher
from schemas.config import traces as settings
from schemas.problem import Problem


class LocalTeacher(LanguageModelTeacher):
    """A language model in this process; each request draws by its seed."""

    def key(self, request: CompletionRequest, index: int, seed: int) -> str:
        """Computes what an answer is found by.

        The request's seed follows from the run's and the number of the sample, which count anyway; without it the answers
        stay found that were given before requests had one.
        """
        return super().key(replace(request, seed=None), index, seed)


def build(config: settings.LocalTeacher, problems: list[Problem]) -> LocalTeacher:
    """Builds the teacher of ``type: local``; nothing is loaded yet."""
    from rlkd.completion.local_hf import LocalCompleter

    endpoint = config.endpoint
    # Twice as many are under way as one batch holds, so that the next one is full.
    return LocalTeacher(config, LocalCompleter(endpoint), endpoint.path, True, 2 * endpoint.batch_size)
