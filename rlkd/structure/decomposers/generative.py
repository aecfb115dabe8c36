"""The paper's GSRM decomposer: a causal LM writes the steps of a path (paper, section 3.1).

Differs from the paper: JSON instead of ``[sub-think 1] ...`` marks (checked as a whole, so that a cut-off or
garbled answer is a fault and not a shorter path), dependencies and quantities beside the three fields, the
stated final answer is no step, one repair attempt, and a fault is missing, never a reward of 0.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rlkd.completion.base import Completer, CompletionRequest, Message, fault_kind, gather
from rlkd.errors import EndpointError
from rlkd.io import sha256_text
from rlkd.structure.backends.cache import open_cache
from rlkd.structure.backends.cached import CachedDecomposer
from rlkd.structure.backends.prompting import defang, prompt_text
from rlkd.structure.decomposers.forms import Form, PromptedForm, read_card, trained_form
from rlkd.structure.decomposers.json_form import ParseFault
from rlkd.structure.interfaces import PathItem
from schemas.config.endpoint import LocalEndpoint
from schemas.config.structure import CacheConfig, GenerativeDecomposerConfig
from schemas.structure import ReasoningStep, Structure

log = logging.getLogger("rlkd.structure")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a path could not be decomposed.

    Attributes:
        kind: ``unreadable`` (what the model wrote is no decomposition), or the endpoint's kind of fault.
        message: What happened.
    """

    kind: str
    message: str


class GenerativeDecomposer:
    """Decomposes paths with any model behind a :class:`~rlkd.completion.base.Completer`.

    Args:
        completer: The model.
        max_tokens: Most tokens of a decomposition (the paper allows 10,000).
        max_chars: Characters of a path that are read; the rest is ignored.
        repair: Whether an answer that cannot be read is sent back once to be corrected (not to a trained GSRM).
        form: How the model is asked and its answer read; by default any instructed model's.

    Attributes:
        name: Model, form with its version, and characters that are read: whatever changes the answers.
        faults: Paths that could not be decomposed, by kind.
        last_fault: What went wrong last; empty where nothing did.
        repaired: Paths whose first decomposition could not be read and whose second could.
    """

    def __init__(
        self,
        completer: Completer,
        max_tokens: int = 4096,
        max_chars: int = 50_000,
        repair: bool = True,
        form: Form | None = None,
    ) -> None:
        self.form = form or PromptedForm()
        self.completer = completer
        self.max_tokens = max_tokens
        self.max_chars = max_chars
        self.repair = repair and self.form.repairs
        self.name = f"generative:{completer.name}@{self.form.version}:{max_chars}"
        self.faults: Counter[str] = Counter()
        self.last_fault = ""
        self.repaired = 0

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order, as many at once as the completer allows; ``None`` where it failed."""
        return [None if isinstance(found, Fault) else found for found in await self.attempt(items)]

    async def attempt(self, items: Sequence[PathItem]) -> list[Structure | Fault]:
        """Decomposes paths, in order, and says why where it failed."""
        return await gather([self._one(item) for item in items])

    async def _one(self, item: PathItem) -> Structure | Fault:
        digest = sha256_text(item.path)
        if not item.path.strip():
            return Structure(decomposer=self.name, path_sha256=digest)
        request = self.form.request(item, self.max_chars, self.max_tokens)
        try:
            steps = await self._ask(request, item.path[: self.max_chars])
        except ParseFault as error:
            return self._count(Fault("unreadable", str(error)))
        except EndpointError as error:
            return self._count(Fault(fault_kind(error), str(error)))
        return Structure(steps=steps, decomposer=self.name, path_sha256=digest)

    async def _ask(self, request: CompletionRequest, path: str) -> tuple[ReasoningStep, ...]:
        text = (await self.completer.complete(request)).text
        try:
            return self.form.read(text, path)
        except ParseFault as fault:
            if not self.repair:
                raise
            complaint = prompt_text("repair").replace("{fault}", str(fault))
        again = (*request.messages, Message("assistant", defang(text)), Message("user", complaint))
        second = await self.completer.complete(replace(request, messages=again))
        steps = self.form.read(second.text, path)
        self.repaired += 1
        return steps

    def _count(self, fault: Fault) -> Fault:
        self.faults[fault.kind] += 1
        self.last_fault = fault.message
        if self.faults[fault.kind] == 1:
            log.warning(
                "a path could not be decomposed (%s): %s; further faults of this kind are only counted",
                fault.kind,
                fault.message,
            )
        return fault


def build(config: GenerativeDecomposerConfig, cache: CacheConfig) -> CachedDecomposer:
    """Builds the decomposer, each path asked for once. Nothing is loaded or connected yet.

    Raises:
        CheckpointError: The folder of a GSRM cannot be used.
    """
    return CachedDecomposer(generative_decomposer(config), open_cache(cache))


def generative_decomposer(config: GenerativeDecomposerConfig) -> GenerativeDecomposer:
    """Builds the decomposer without a cache; a trained GSRM is asked as its folder says.

    Raises:
        CheckpointError: The folder of a GSRM cannot be used.
    """
    from rlkd.completion.build import build_completer

    place, max_tokens, form = config.place, config.max_tokens, config.form
    if isinstance(place, LocalEndpoint):
        folder = Path(os.path.expandvars(place.path)).expanduser()
        card = read_card(folder)
        if card is not None:
            place = place.model_copy(update={"path": str(folder), "chat": card.chat})
            max_tokens = min(max_tokens, card.max_tokens)
            form = card.form if form == "auto" else form
    asked = trained_form(form) if form == "json" or form == "compact" else PromptedForm()
    return GenerativeDecomposer(build_completer(place), max_tokens, config.max_chars, config.repair, asked)
