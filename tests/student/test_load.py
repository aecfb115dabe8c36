from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import CheckpointError, ConfigError
from rlkd.student.checkpoints import check_folder, resolve_model_path, save_student
from rlkd.student.fresh import fresh_student, train_tokenizer
from rlkd.student.load import load_student, prepare_tokenizer, publish_checkpoint
from schemas.config.student import StudentConfig

from ..lazy import torch
from ..training.conftest import STUDENT

TEXTS = ["What is 1 + 2?", "1 + 2 = 3\nThe answer is 3."]
FRESH = StudentConfig.model_validate(STUDENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("student") / "model"
    made = fresh_student(FRESH, TEXTS, seed=0)
    save_student(made.model, made.tokenizer, target)
    return target


def named(path: Path | str, **changes: Any) -> StudentConfig:
    return StudentConfig.model_validate(
        {**STUDENT, "model": {"type": "checkpoint", "path": str(path)}, **changes}
    )


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    file = folder / name
    value = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def test_a_fresh_student_depends_only_on_texts_and_seed(folder: Path) -> None:
    again = fresh_student(FRESH, TEXTS, seed=0)
    saved = load_student(named(folder))
    assert all(
        torch.equal(a, b) for a, b in zip(again.model.parameters(), saved.model.parameters(), strict=True)
    )
    assert again.tokenizer.get_vocab() == saved.tokenizer.get_vocab()
    other = fresh_student(FRESH, TEXTS, seed=1)
    assert not torch.equal(other.model.lm_head.weight, saved.model.lm_head.weight)


def test_any_text_survives_the_fresh_tokenizer() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    text = "Zoë paid 1,234.50 € — naïve?\n\t#### 7 \\boxed{x²} 日本"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_weights_stay_float32_for_training_only(folder: Path) -> None:
    config = named(folder, dtype="bfloat16")
    assert load_student(config).model.dtype == torch.bfloat16
    assert load_student(config, train=True).model.dtype == torch.float32
    frozen = named(folder, dtype="bfloat16", lora={"rank": 2})
    assert load_student(frozen, train=True).model.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_names_what_it_lacks(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(
        CheckpointError, match=f"the checkpoint is incomplete, it lacks {name}; copy it again"
    ):
        load_student(named(copy))


def test_a_missing_shard_is_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    (copy / "model-00001-of-00002.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"lacks model-00002-of-00002.safetensors"):
        check_folder(copy)
    (copy / "model.safetensors.index.json").write_text("{")
    with pytest.raises(CheckpointError, match="not a readable index"):
        check_folder(copy)


def test_torn_weights_are_a_user_error(copy: Path) -> None:
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="the checkpoint cannot be loaded"):
        load_student(named(copy))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none"), "./none", "~/none/of/these"):
        with pytest.raises(CheckpointError, match="there is no checkpoint folder at"):
            resolve_model_path(path)
    assert resolve_model_path("Qwen/Qwen2.5-1.5B-Instruct") == "Qwen/Qwen2.5-1.5B-Instruct"


def test_no_end_token_is_an_error_that_says_how_to_mend_it(copy: Path) -> None:
    edit(copy, "tokenizer_config.json", eos_token=None)
    with pytest.raises(
        CheckpointError, match=r'no end-of-text \(EOS\) token.*set "eos_token" in its tokenizer_config.json'
    ):
        load_student(named(copy))


def test_no_pad_token_takes_a_spare_one_or_is_an_error(copy: Path) -> None:
    edit(copy, "tokenizer_config.json", pad_token=None)
    assert load_student(named(copy)).tokenizer.pad_token == "<pad>"  # in the vocabulary and unused
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.pad_token = tokenizer.eos_token
    prepare_tokenizer(tokenizer, "here")
    assert tokenizer.pad_token == "<pad>"
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "</s>": 1}, "a")), eos_token="</s>"
    )
    with pytest.raises(CheckpointError, match=r"no padding \(PAD\) token and no unused one"):
        prepare_tokenizer(bare, "here")


def test_budgets_beyond_the_context_are_an_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match="= 140 exceed the 96 tokens of context"):
        load_student(named(folder, max_prompt_tokens=100))


def test_a_tokenizer_of_another_model_is_an_error(copy: Path) -> None:
    train_tokenizer(["abcdefgh " * 3, "a lot of other words, quite different ones"], 340).save_pretrained(
        copy
    )
    edit(
        copy,
        "tokenizer.json",
        added_tokens=[*json.loads((copy / "tokenizer.json").read_text())["added_tokens"], added_token(900)],
    )
    with pytest.raises(CheckpointError, match="tokens but the model only"):
        load_student(named(copy))


def added_token(number: int) -> dict[str, Any]:
    return {
        "id": number, "content": "<extra>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True,
    }  # fmt: skip


def test_remote_code_stays_off(copy: Path) -> None:
    edit(
        copy,
        "config.json",
        model_type="odd",
        auto_map={"AutoConfig": "odd.Config", "AutoModelForCausalLM": "odd.Model"},
    )
    (copy / "odd.py").write_text("raise SystemExit('ran')")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_student(named(copy))


def test_publishing_in_float32_copies_the_weights_and_leaves_the_training_state(
    copy: Path, tmp_path: Path
) -> None:
    for name in ("optimizer.pt", "rng_state.pth", "trainer_state.json", "complete.json", "training_args.bin"):
        (copy / name).write_text("{}")
    target = tmp_path / "model"
    publish_checkpoint(named(copy), copy, None, target)
    assert (target / "model.safetensors").read_bytes() == (copy / "model.safetensors").read_bytes()
    assert {p.name for p in target.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks model.safetensors"):
        publish_checkpoint(named(copy), copy, None, target)
    assert (target / "model.safetensors").is_file()  # what was published before stays


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (("q_proj", "no_such"), "no module no_such; its linear layers are"),
        ("no.*such", "no module no.*such"),
        ("[", "is not a regular"),
    ],
)
def test_an_adapter_for_a_module_that_is_not_there_is_refused(folder: Path, target: Any, said: str) -> None:
    config = named(folder, lora={"rank": 2, "target_modules": target})
    with pytest.raises(ConfigError) as error:
        load_student(config, train=True)
    assert said in str(error.value)
    assert load_student(config).model is not None  # nothing is adapted where nothing is trained


@pytest.mark.parametrize(
    "target", ["all-linear", ("q_proj", "model.layers.0.mlp.up_proj"), r".*\.(q|v)_proj"]
)
def test_modules_that_are_there_take_adapters(folder: Path, target: Any) -> None:
    assert (
        load_student(named(folder, lora={"rank": 2, "target_modules": target}), train=True).model is not None
    )


def test_publishing_casts_and_replaces_the_folder_whole(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "stale.txt").touch()
    publish_checkpoint(named(folder, dtype="bfloat16"), folder, None, target)
    assert not (target / "stale.txt").exists()
    assert load_student(named(target, dtype="bfloat16")).model.dtype == torch.bfloat16
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
