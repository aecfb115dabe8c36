"""A causal LM in this process, behind the same interface as an HTTP endpoint.

Requests that wait at the same time are generated together, so that callers need not know about batches.
For small judges and trained decomposers (GSRM) on the machine that trains; a large one belongs behind vLLM.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from rlkd.completion import seeded
from rlkd.completion.base import CompletionFault, CompletionRequest, CompletionResult, Usage
from rlkd.errors import CheckpointError
from rlkd.student.special_tokens import end_ids
from schemas.config.endpoint import LocalEndpoint

TOP_LOGPROBS = 64
"""First-token alternatives that are handed back."""
_SAMPLE = 1 << 20
"""Bytes at either end of a weights file that its digest reads."""
_TAIL = 64
"""Last tokens in which a stop is looked for at every step."""
_Waiting = tuple[CompletionRequest, "asyncio.Future[CompletionResult]"]


class LocalCompleter:
    """Greedy (or sampled) generation and first-token log-probabilities with transformers.

    A request with a seed draws by itself (:mod:`rlkd.completion.seeded`), whatever else is asked.
    The model is loaded at the first request, which waits for it. JSON schemas are not enforced: the reader of the text is
    tolerant. One generation runs at a time, in a thread, so that the event loop stays free.

    Args:
        config: Model folder and limits.
    """

    def __init__(self, config: LocalEndpoint) -> None:
        self.config = config
        self.name = model_name(config)
        self.usage = Usage()
        self._model: Any = None
        self._tokenizer: Any = None
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"LocalCompleter({self.config.path})"

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        """Generates; see :class:`~rlkd.completion.base.Completer`.

        Raises:
            CompletionFault: The prompt leaves no room in the context, or the text was cut off.
            CheckpointError: The model cannot be loaded.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[CompletionResult] = loop.create_future()
        self.usage.requests += 1
        self._waiting.append((request, future))
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._worker = loop.create_task(self._work())
        try:
            result = await future
        except CompletionFault as fault:
            self.usage.faults[fault.kind] += 1
            raise
        self.usage.add(result)
        return result

    async def aclose(self) -> None:
        """Lets go of the weights."""
        self._model = self._tokenizer = None

    async def _work(self) -> None:
        """Generates until nothing waits; one batch holds requests with the same settings."""
        await asyncio.sleep(0)  # lets the callers of this turn of the loop queue up first
        while batch := self._next_batch():
            try:
                self._load()  # here, not in the thread: two that import at once can find half-made modules
                results = await asyncio.to_thread(self._generate, [request for request, _ in batch])
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error) if isinstance(error, Exception) else future.cancel()
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, CompletionFault):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _next_batch(self) -> list[_Waiting]:
        self._waiting = [item for item in self._waiting if not item[1].done()]  # a cancelled caller is done
        groups: defaultdict[tuple[object, ...], list[_Waiting]] = defaultdict(list)
        for item in self._waiting:
            request = item[0]
            alike = (request.max_tokens, request.temperature, request.stop, request.seed is None)
            groups[alike].append(item)
        batch = next(iter(groups.values()), [])[: self.config.batch_size]
        taken = {id(item) for item in batch}
        self._waiting = [item for item in self._waiting if id(item) not in taken]
        return batch

    def _load(self) -> None:
        if self._model is not None:
            return
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        path, options = (
            self.config.path,
            {"revision": self.config.revision, "trust_remote_code": self.config.trust_remote_code},
        )
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, **options)
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=getattr(torch, self.config.dtype), **options
            )
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{path}: not a causal LM that can be loaded ({first}); check the endpoint's path"
            ) from None
        device = self.config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token_id is None:
            raise CheckpointError(
                f"{path}: the tokenizer has neither a pad nor an EOS token; set one in tokenizer_config.json"
            )
        self._tokenizer, self._model = tokenizer, model.to(device).eval()

    def _prompt(self, request: CompletionRequest) -> str:
        if request.prompt is not None:
            return request.prompt
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        if self.config.chat and self._tokenizer.chat_template:
            return _templated(self._tokenizer, messages, self.config.path)
        return "".join(message["content"].rstrip() + "\n" for message in messages)

    def _generate(self, requests: list[CompletionRequest]) -> list[CompletionResult | CompletionFault]:
        """One batch; requests whose prompt leaves no room in the context are faults."""
        chat = self.config.chat and bool(self._tokenizer.chat_template)
        room = getattr(self._model.config, "max_position_embeddings", None) or 1 << 30
        ids = [
            self._tokenizer(self._prompt(request), add_special_tokens=request.prompt is not None or not chat)[
                "input_ids"
            ]
            for request in requests
        ]
        results: list[CompletionResult | CompletionFault | None] = [None] * len(requests)
        for i, (request, tokens) in enumerate(zip(requests, ids, strict=True)):
            if not tokens or len(tokens) + request.max_tokens > room:
                results[i] = CompletionFault(
                    "rejected",
                    f"{self.config.path}: {len(tokens)} prompt tokens and {request.max_tokens} to write do not fit into {room}",
                )
        fit = [i for i, result in enumerate(results) if result is None]
        if fit:
            written = self._run([ids[i] for i in fit], [requests[i] for i in fit])
            for i, result in zip(fit, written, strict=True):
                results[i] = result
        return [result for result in results if result is not None]

    def _run(
        self, ids: list[list[int]], requests: list[CompletionRequest]
    ) -> list[CompletionResult | CompletionFault]:
        import torch

        first = requests[0]
        inputs = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt", padding_side="left").to(
            self._model.device
        )
        width = inputs["input_ids"].shape[1]
        sampling: dict[str, Any] = {"do_sample": False}
        if first.temperature > 0 and first.seed is None:
            sampling = {"do_sample": True, "temperature": first.temperature}
        elif first.temperature > 0:
            asked = [(own, request.seed or 0) for own, request in zip(ids, requests, strict=True)]
            drawn = seeded.draws(asked, first.max_tokens).to(self._model.device)
            choice = seeded.choice(drawn, width, first.temperature, self._model.generation_config)
            sampling["logits_processor"] = [choice]
        if first.stop:
            sampling["stopping_criteria"] = [self._stops(first.stop, width)]
        with torch.inference_mode():
            output = self._model.generate(
                **{name: inputs[name] for name in ("input_ids", "attention_mask")},
                max_new_tokens=first.max_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                return_dict_in_generate=True,
                output_logits=any(request.logprobs for request in requests),
                **sampling,
            )
        new_tokens = output.sequences[:, width:].tolist()
        logits = output.logits[0].float().log_softmax(-1) if output.logits else None
        ends = set(end_ids(self._model, self._tokenizer))
        results: list[CompletionResult | CompletionFault] = []
        for row, (request, tokens) in enumerate(zip(requests, new_tokens, strict=True)):
            alternatives = (
                self._alternatives(logits[row]) if request.logprobs and logits is not None else None
            )
            results.append(self._read(request, len(ids[row]), tokens, ends, alternatives))
        return results

    def _stops(self, stop: tuple[str, ...], prompt_tokens: int) -> Any:
        """A criterion that ends a row whose text holds a stop (the library's own fails on word-level tokenizers)."""
        import torch

        def ended(sequences: Any, scores: Any, **_: Any) -> Any:
            texts = [self._tokenizer.decode(row[prompt_tokens:][-_TAIL:]) for row in sequences]
            return torch.tensor(
                [any(text in tail for text in stop) for tail in texts], device=sequences.device
            )

        return ended

    def _read(
        self,
        request: CompletionRequest,
        prompt_tokens: int,
        tokens: list[int],
        ends: set[int],
        alternatives: Any,
    ) -> CompletionResult | CompletionFault:
        end = next((i for i, token in enumerate(tokens) if token in ends), None)
        written = tokens if end is None else tokens[:end]
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        cuts = [text.find(stop) for stop in request.stop if stop in text]
        finished = end is not None or bool(cuts)
        if cuts:
            text = text[: min(cuts)]
        if not finished and not request.allow_truncated:
            return CompletionFault(
                "truncated", f"{self.config.path}: cut off at {request.max_tokens} tokens; raise max_tokens"
            )
        count = len(written) + (end is not None)
        return CompletionResult(text, "stop" if finished else "length", prompt_tokens, count, alternatives)

    def _alternatives(self, row_V: Any) -> tuple[tuple[str, float], ...]:
        """The most likely first tokens with their log-probabilities.

        Args:
            row_V: Log-probabilities over the vocabulary, shape [V].
        """
        top = row_V.topk(min(TOP_LOGPROBS, row_V.shape[-1]))
        texts = [self._tokenizer.decode([token]) for token in top.indices.tolist()]
        return tuple(zip(texts, top.values.tolist(), strict=True))


def _templated(tokenizer: Any, messages: list[dict[str, str]], path: str) -> str:
    """Fills a chat template; where it refuses a system message (Gemma's does), that text goes to the top of the user's turn.

    Raises:
        CheckpointError: The template cannot be filled either way.
    """
    from jinja2.exceptions import TemplateError

    system = [message["content"] for message in messages if message["role"] == "system"]
    others = [dict(message) for message in messages if message["role"] != "system"]
    folded = others
    if system and others:
        folded = [{**others[0], "content": "\n\n".join([*system, others[0]["content"]])}, *others[1:]]
    for tried in (messages, folded):
        try:
            text: str = tokenizer.apply_chat_template(tried, tokenize=False, add_generation_prompt=True)
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            continue
        return text
    raise CheckpointError(
        f"{path}: the chat template cannot be filled ({said}); set chat to false in this endpoint"
    )


def model_name(config: LocalEndpoint) -> str:
    """Makes a name that changes when the weights do: path, revision, and for a folder a digest of its files.

    The digest reads both ends and the size of every weights file, not all of it: a model that was
    trained further differs there, and a name must not take a minute to make.
    """
    folder = Path(config.path)
    if not folder.is_dir():
        return config.path + (f"@{config.revision}" if config.revision else "")
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".safetensors", ".json"):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            if size > 2 * _SAMPLE:
                file.seek(-_SAMPLE, 2)
                digest.update(file.read())
    return f"{folder.name}@{digest.hexdigest()[:12]}"
