"""Batched, seeded sampling from a local student: what evaluation and `generate` use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlkd.errors import ConfigError
from rlkd.student.generate import generate_ids
from rlkd.student.sampling import Sampling
from rlkd.student.special_tokens import end_ids
from schemas.rollout import Completion


class LocalSampler:
    """Samples completions from a causal LM on this machine.

    Args:
        model: The model.
        tokenizer: Its tokenizer, with end-of-text and pad tokens.
        add_special_tokens: Whether the tokenizer adds its own special tokens to prompts given as text (off for a
            chat template, which writes them itself).
        whole: Makes the whole completion of a sampled text: puts back what the prompt has opened
            (:meth:`rlkd.student.prompts.PromptBook.whole`).
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        add_special_tokens: bool = True,
        whole: Callable[[str], str] = str,
    ) -> None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.add_special_tokens = add_special_tokens
        self.whole = whole
        self.eos_ids = end_ids(model, tokenizer)

    def generate(
        self,
        prompts: Sequence[str | Sequence[int]],
        max_new_tokens: int,
        temperature: float | None = None,
        batch_size: int = 128,
        seed: int = 0,
        *,
        top_p: float = 1.0,
        problem_ids: Sequence[str] | None = None,
    ) -> list[Completion]:
        """One completion for each prompt, in order. Repeat a prompt for several samples of it.

        Prompts are taken in order of length, so that a batch holds little padding. The same prompts, settings
        and seed give the same completions.

        Args:
            prompts: Rendered prompts, as text or token ids.
            max_new_tokens: Longest completion.
            temperature: Sampling temperature; ``None`` is greedy.
            batch_size: Completions generated at once.
            seed: Seed of the sampling.
            top_p: Nucleus sampling; 1 keeps all tokens.
            problem_ids: Ids noted in the completions.

        Raises:
            ConfigError: A prompt is empty, or does not fit the model's context.
        """
        import torch

        encoded = self._encode(prompts, max_new_tokens)
        names = problem_ids if problem_ids is not None else [""] * len(encoded)
        order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), encoded[i], i))
        sampling = Sampling(max_new_tokens, temperature, top_p, self.eos_ids, self.tokenizer.pad_token_id)
        results: dict[int, Completion] = {}
        device = next(self.model.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                outputs = generate_ids(self.model, [encoded[i] for i in batch], sampling)
                texts = self.tokenizer.batch_decode(outputs, skip_special_tokens=True)
                for i, ids, text in zip(batch, outputs, texts, strict=True):
                    finished = bool(ids) and ids[-1] in self.eos_ids
                    results[i] = Completion(
                        problem_id=names[i],
                        text=self.whole(text),
                        tokens=len(ids),
                        finish_reason="stop" if finished else "length",
                    )
        return [results[i] for i in range(len(encoded))]

    def _encode(self, prompts: Sequence[str | Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        encoded = []
        for i, prompt in enumerate(prompts):
            ids = self._ids(prompt) if isinstance(prompt, str) else list(prompt)
            if not ids:
                raise ConfigError(f"prompt {i} is empty; student.prompt must hold {{question}} or other text")
            if context is not None and len(ids) + max_new_tokens > context:
                raise ConfigError(
                    f"prompt {i} has {len(ids)} tokens; with {max_new_tokens} new ones it exceeds the model's context of {context}"
                )
            encoded.append(ids)
        return encoded

    def _ids(self, prompt: str) -> list[int]:
        ids = list(self.tokenizer(prompt, add_special_tokens=self.add_special_tokens)["input_ids"])
        while self.add_special_tokens and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return ids
