"""Sampling on a GPU with one decoding step recorded as a CUDA graph and replayed for every token.

At a student's size the kernels of a decoding step take a few milliseconds, and starting them from Python, one by one,
takes many times as long. A graph starts them all at once. The forward pass stays the library's own, adapters included.

Shapes: B rows, P prompt tokens (left-padded), L = P + most new tokens, H heads, K key-value heads, D head size,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rlkd.errors import TrainingError
from rlkd.student.sampling import Sampling, choose, cut

ATTENTION = "rlkd_grouped"
"""Name of :func:`grouped_attention` among the library's attention functions."""
_LOOK_EVERY = 16
"""Tokens between looks at whether every row has ended: each look waits for the GPU."""
_WARM_UP = 2
"""Steps before recording, in which libraries allocate what must not be allocated while recording."""


def graphed_generate(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """See :func:`rlkd.student.generate.generate_ids`; on the CPU the same steps run unrecorded."""
    training = model.training
    model.eval()
    try:
        rows = rows_at_once(model, max(map(len, prompts)) + sampling.max_new_tokens)
        return [
            ids
            for start in range(0, len(prompts), rows)
            for ids in _generate(model, prompts[start : start + rows], sampling)
        ]
    finally:
        model.train(training)
        if next(model.parameters()).device.type == "cuda":
            torch.cuda.empty_cache()  # cache and graph are gone: training needs their memory


def rows_at_once(model: Any, length: int) -> int:
    """Rows of ``length`` tokens whose keys and values fit into half of the memory that is free on the GPU; at least 1."""
    weight = next(model.parameters())
    if weight.device.type != "cuda":
        return 1 << 30
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    bytes_each = (
        2 * config.num_hidden_layers * config.num_key_value_heads * size * weight.element_size() * length
    )
    free = (
        torch.cuda.mem_get_info(weight.device)[0]
        + torch.cuda.memory_reserved(weight.device)
        - torch.cuda.memory_allocated(weight.device)
    )
    return max(1, free // 2 // bytes_each)


@lru_cache(maxsize=8)
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One a device: every stream that multiplies matrices keeps a workspace for good."""
    return torch.cuda.Stream(device)


def _generate(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    device = next(model.parameters()).device
    state = _State(model, prompts, sampling, device)
    logits = state.prefill()
    tokens = torch.full((len(prompts), sampling.max_new_tokens), sampling.pad_id, device=device)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    eos = torch.tensor(sampling.eos_ids, device=device)
    with _attending(model):
        advance: Callable[[], Tensor] | None = None
        for step in range(sampling.max_new_tokens):
            chosen = choose(logits.float(), sampling)
            tokens[:, step] = torch.where(ended, sampling.pad_id, chosen)
            ended |= torch.isin(chosen, eos)
            if step + 1 == sampling.max_new_tokens or (step % _LOOK_EVERY == 0 and bool(ended.all())):
                break
            state.feed(chosen)
            advance = advance or state.recorded()
            logits = advance()
    return [cut(row, sampling.eos_ids) for row in tokens.tolist()]


class _State:
    """The buffers of a decoding step, at fixed addresses: what a graph reads and writes."""

    def __init__(
        self, model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, device: torch.device
    ) -> None:
        self.model, self.device = model, device
        self.width = max(map(len, prompts))
        self.length = self.width + sampling.max_new_tokens
        padding = [self.width - len(ids) for ids in prompts]
        self.ids = torch.tensor(
            [[sampling.pad_id] * n + list(ids) for n, ids in zip(padding, prompts, strict=True)],
            device=device,
        )
        self.real = (
            torch.arange(self.width, device=device) >= torch.tensor(padding, device=device)[:, None]
        )  # (B, P)
        self.cache = _cache(model.config, self.length)
        self.token = torch.zeros(len(prompts), 1, dtype=torch.long, device=device)
        self.position = self.real.sum(1, keepdim=True)  # (B, 1) of the next token
        dtype = model.get_input_embeddings().weight.dtype
        self.bias = torch.full((len(prompts), 1, 1, self.length), float("-inf"), dtype=dtype, device=device)
        self.bias[:, 0, 0, : self.width].masked_fill_(self.real, 0.0)
        self.at = self.width

    def prefill(self) -> Tensor:
        """Runs the prompts; logits (B, V) of the next token."""
        positions = (self.real.cumsum(1) - 1).clamp(min=0)
        causal = torch.ones(self.width, self.length, dtype=torch.bool, device=self.device).tril()
        real = torch.nn.functional.pad(self.real, (0, self.length - self.width))
        # Padded queries attend to themselves only to stay finite; nothing reads them.
        mask = (causal & real[:, None, None]) | torch.eye(
            self.width, self.length, dtype=torch.bool, device=self.device
        )
        return self._forward(self.ids, mask, positions)

    def feed(self, chosen: Tensor) -> None:
        """Sets the tokens (B,) that the next step reads."""
        self.token.copy_(chosen[:, None])
        self.bias[..., self.at] = 0.0
        self.at += 1

    def recorded(self) -> Callable[[], Tensor]:
        """The step as a function of the buffers: a graph's replay on a GPU."""
        if self.device.type != "cuda":
            return self._step
        places = [(layer, layer.cumulative_length.clone()) for layer in self.cache.layers]
        start = self.position.clone()
        stream = _side_stream(self.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):  # writes keys where the first steps will write theirs
                self._step()
                self._go_back(places, start)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            # What other threads ask of the GPU meanwhile (NCCL's watchdog does) must not spoil the recording.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                logits = self._step()
        except (
            RuntimeError
        ) as error:  # torch is left in the middle of a recording: this process cannot sample any more
            raise TrainingError(
                f"the decoding step of this student cannot be recorded as a CUDA graph ({str(error).splitlines()[0]}); set RLKD_CUDA_GRAPHS=0 "
                "in the environment, to sample with the library's loop, and run again"
            ) from error

        def replay() -> Tensor:
            graph.replay()
            return logits

        return replay

    def _go_back(self, places: list[tuple[Any, Tensor]], start: Tensor) -> None:
        for layer, place in places:
            layer.cumulative_length.copy_(place)
        self.position.copy_(start)

    def _step(self) -> Tensor:
        logits = self._forward(self.token, self.bias, self.position)
        self.position.add_(1)
        return logits

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits


def _cache(config: Any, length: int) -> Any:
    """The library's static cache, which also takes keys and values of two types, as autocast makes them."""
    from transformers import StaticCache
    from transformers.cache_utils import StaticLayer

    class Layer(StaticLayer):  # type: ignore[misc]
        def update(
            self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
        ) -> tuple[Tensor, Tensor]:
            found: tuple[Tensor, Tensor] = super().update(
                key_states.to(value_states.dtype), value_states, *args, **kwargs
            )
            return found

    cache = StaticCache(config=config, max_cache_len=length)
    cache.layers = [Layer(length) for _ in cache.layers]
    return cache


def grouped_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one query a row; keys and values are read once for all the heads that share them.

    Args:
        module: The attention layer.
        query: (B, H, 1, D).
        key: (B, K, L, D).
        value: (B, K, L, D).
        attention_mask: (B, 1, 1, L), added to the scores.
        scaling: Factor on the scores; by default 1 / sqrt(D).
        others: What other attention functions take; not needed here.

    Returns:
        (B, 1, H, D), and nothing for the weights.
    """
    rows, heads, _, size = query.shape
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], size)
    scale = size**-0.5 if scaling is None else scaling
    weights = ((grouped @ key.transpose(-1, -2)) * scale + attention_mask).softmax(-1, dtype=torch.float32)
    return (weights.to(value.dtype) @ value).view(rows, 1, heads, size), None


@contextmanager
def _attending(model: Any) -> Iterator[None]:
    """The model's layers use :func:`grouped_attention`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, grouped_attention)
    config: Any = model.config
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before
