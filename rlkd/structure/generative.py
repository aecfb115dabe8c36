"""The paper's GSRM decomposer: a causal LM writes the steps of a path (paper, section 3.1).

Differs from the paper: JSON instead of ``[sub-think 1] ...`` marks (checked as a whole, so that a cut-off or
garbled answer is a fault and not a shorter path), dependencies and quantities beside the three fields, the
stated final answer is no step, one repair attempt, and a fault is missing, never a reward of 0.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from rlkd.completion.base import Completer, CompletionRequest, Message, fault_kind, gather
from rlkd.errors import EndpointError
from rlkd.io import sha256_text
from rlkd.structure.base import PathItem
from rlkd.structure.parsing import STEPS_SCHEMA, ParseFault, parse_steps
from rlkd.structure.prompting import PROMPT_VERSION, data_block, defang, prompt_domain, prompt_text
from schemas.structure import ReasoningStep, Structure

log = logging.getLogger("rlkd.structure")


class GenerativeDecomposer:
    """Decomposes paths with any model behind a :class:`~rlkd.completion.base.Completer`.

    Args:
        completer: The model.
        max_tokens: Most tokens of a decomposition (the paper allows 10,000).
        max_chars: Characters of a path that are read; the rest is ignored.
        repair: Whether an answer that cannot be read is sent back once to be corrected.

    Attributes:
        name: Model and prompt version.
        faults: Paths that could not be decomposed, by kind.
        repaired: Paths whose first decomposition could not be read and whose second could.
    """

    def __init__(self, completer: Completer, max_tokens: int = 4096, max_chars: int = 50_000, repair: bool = True) -> None:
        self.completer = completer
        self.max_tokens = max_tokens
        self.max_chars = max_chars
        self.repair = repair
        self.name = f"generative:{completer.name}@{PROMPT_VERSION}"
        self.faults: Counter[str] = Counter()
        self.repaired = 0

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order, as many at once as the completer allows; ``None`` where it failed."""
        return await gather([self._one(item) for item in items])

    async def _one(self, item: PathItem) -> Structure | None:
        digest = sha256_text(item.path)
        if not item.path.strip():
            return Structure(decomposer=self.name, path_sha256=digest)
        messages = decompose_messages(item, self.max_chars)
        try:
            steps = await self._ask(messages, item.path[: self.max_chars])
        except ParseFault as fault:
            self._count("unreadable", str(fault))
            return None
        except EndpointError as fault:
            self._count(fault_kind(fault), str(fault))
            return None
        return Structure(steps=steps, decomposer=self.name, path_sha256=digest)

    async def _ask(self, messages: tuple[Message, ...], path: str) -> tuple[ReasoningStep, ...]:
        text = await self._write(messages)
        try:
            return parse_steps(text, path)
        except ParseFault as fault:
            if not self.repair:
                raise
            complaint = prompt_text("repair").replace("{fault}", str(fault))
        again = (*messages, Message("assistant", defang(text)), Message("user", complaint))
        steps = parse_steps(await self._write(again), path)
        self.repaired += 1
        return steps

    async def _write(self, messages: tuple[Message, ...]) -> str:
        request = CompletionRequest(messages=messages, max_tokens=self.max_tokens, json_schema=STEPS_SCHEMA)
        return (await self.completer.complete(request)).text

    def _count(self, kind: str, message: str) -> None:
        self.faults[kind] += 1
        if self.faults[kind] == 1:
            log.warning("a path could not be decomposed (%s): %s; further faults of this kind are only counted", kind, message)


def decompose_messages(item: PathItem, max_chars: int) -> tuple[Message, ...]:
    """The request to decompose a path: instructions and an example for its domain, then the data."""
    system = prompt_text("decompose") + "\n\n" + prompt_text(f"decompose_{prompt_domain(item.domain)}")
    data = data_block({"problem": item.problem[:max_chars], "solution": item.path[:max_chars]})
    return Message("system", system), Message("user", f"{data}\nWrite the steps of this solution as JSON.")
