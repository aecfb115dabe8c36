"""Pre-training of the base student, its tokenizer, and the checkpoint that ships with the project."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.demo import pretrain
from rlkd.demo.tiny_model import build_model, build_tokenizer
from rlkd.errors import ConfigError, TrainingError
from rlkd.worlds import get_world, world_names
from schemas.config.pretrain import PretrainSettings, TinyModelSettings
from schemas.config.world import WorldSettings

from ..lazy import torch

SHIPPED = Path(__file__).parents[2] / "rlkd" / "models" / "demo_base"
TINY = PretrainSettings(
    steps=3,
    batch_size=4,
    threads=1,
    compile=False,
    second=None,
    eval_problems=4,
    model=TinyModelSettings(hidden_size=16, layers=2, heads=2, intermediate_size=24),
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_any_ascii_text_survives_the_tokenizer(text: str, tokenizer) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("domain", world_names())
def test_world_text_is_few_tokens_and_survives(domain: str, tokenizer) -> None:
    world, rng = get_world(domain), random.Random(0)
    for _ in range(30):
        problem = world.to_problem(world.generate(rng, WorldSettings()))
        for text in (problem.question + "\n", world.solve(problem), world.wander(problem, rng)):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.decode(ids) == text
            assert tokenizer.unk_token_id not in ids
            # words and phrases are whole tokens: at most two for each 7 characters
            assert len(ids) <= len(text) * 2 / 7


def test_tokens_of_a_step_by_hand(tokenizer) -> None:
    text = "To find Dan, I need Bob and Ann.\nSo Bob: Ann 3 plus Eve 14 is 17."
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == (
        [
            "To find ",
            "Dan",
            ", I need ",
            "Bob",
            " and ",
            "Ann",
            ".\nSo ",
            "Bob",
            ": ",
            "Ann",
            " 3",
            " plus ",
            "Eve",
            " 14",
            " is",
            " 17",
            ".",
        ]
    )


def test_non_ascii_becomes_unknown(tokenizer) -> None:
    assert tokenizer("Zoë")["input_ids"][-1] == tokenizer.unk_token_id


def test_saved_tokenizer_loads_alone(tmp_path: Path, tokenizer) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert (again.eos_token, again.pad_token) == ("<eos>", "<pad>")
    text = "So Bob: Ann 3 plus Eve 4 is 7."
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.decode(again(text)["input_ids"]) == text


def test_flat_loss_equals_the_models_own(tokenizer) -> None:
    model = build_model(TINY.model, tokenizer, 0)
    ids, labels = next(pretrain.batches(TINY, tokenizer))
    mine = pretrain.path_loss(model, ids, labels, torch.float32)
    own = model(input_ids=ids, labels=labels).loss
    assert mine.item() == pytest.approx(own.item(), abs=1e-5)
    assert pretrain.path_loss(model, ids, labels, torch.bfloat16).item() == pytest.approx(
        own.item(), abs=0.02
    )


def test_batches_are_repeatable_and_prompts_carry_no_loss(tokenizer) -> None:
    ids, labels = next(pretrain.batches(TINY, tokenizer))
    again, _ = next(pretrain.batches(TINY, tokenizer))
    assert torch.equal(ids, again)
    for row, marks in zip(ids, labels, strict=True):
        path = row[marks != -100]
        assert path[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(path[:1]) == "To find "
        prompt = tokenizer.decode(row[: int((marks != -100).nonzero()[0])])
        assert prompt.endswith("?\n")


def test_easy_problems_come_first(tokenizer) -> None:
    wanted = TINY.model_copy(update={"steps": 24, "easy_share": 0.5})
    stream = pretrain.batches(wanted, tokenizer)
    lengths = [next(stream)[0].shape[1] for _ in range(24)]
    assert sum(lengths[:12]) < sum(lengths[12:])


@pytest.mark.parametrize(("step", "factor"), [(0, 0.1), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)])
def test_one_cycle(step: int, factor: float) -> None:
    # 10 of 100 steps rise; half of the cosine is at 10 + 90 / 2 = 55
    assert pretrain.one_cycle(step, 100, 0.1) == pytest.approx(factor)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_same_seed_same_checkpoint(tmp_path: Path, optimizer: str) -> None:
    from safetensors.torch import load_file

    wanted = TINY.model_copy(update={"optimizer": optimizer})
    for name in ("a", "b"):
        summary = pretrain.run(wanted, tmp_path / name)
    first, second = (load_file(tmp_path / n / "model.safetensors") for n in ("a", "b"))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert summary["solutions_seen"] == 12
    written = json.loads((tmp_path / "b" / "pretraining.json").read_text())
    assert PretrainSettings.model_validate(written["settings"]) == wanted
    assert 0 <= written["figures"]["greedy_accuracy"] <= 1


@pytest.mark.slow
def test_pretraining_goes_on_from_a_student_of_the_family(tmp_path: Path, tokenizer) -> None:
    from safetensors.torch import load_file

    pretrain.run(TINY, tmp_path / "first")
    # A rate near 0 leaves the weights where they were: those of the first student, not fresh ones.
    on = {"start": str(tmp_path / "first"), "seed": 5, "learning_rate": 1e-12, "matrix_learning_rate": 1e-12}
    pretrain.run(TINY.model_copy(update=on), tmp_path / "second")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_pretraining_goes_on_from_no_other_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = build_model(TINY.model, build_tokenizer(), 0)
    other.resize_token_embeddings(150)
    other.save_pretrained(tmp_path / "other")
    build_tokenizer().save_pretrained(tmp_path / "other")
    words = ["--output", str(tmp_path / "o"), "--set"]
    assert pretrain.main([*words, f"start={tmp_path / 'other'}"]) == 2
    assert (
        "a llama of 150 tokens, not a student of this family (llama, 197 tokens)" in capsys.readouterr().out
    )
    assert pretrain.main([*words, f"start={tmp_path / 'absent'}"]) == 2
    assert "there is no checkpoint folder at" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


def test_a_loss_that_is_no_number_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "path_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(TrainingError, match="loss is nan at step 0"):
        pretrain.train(TINY)


@pytest.mark.parametrize(
    ("size", "weights"),
    [
        # Each layer: 4 width^2 of attention, 3 width x feed-forward, 2 width of norms; 197 tokens and a last norm of a width.
        ("0.3M", 4 * (4 * 80**2 + 3 * 80 * 216 + 2 * 80) + 198 * 80),
        ("0.8M", 4 * (4 * 128**2 + 3 * 128 * 344 + 2 * 128) + 198 * 128),
        ("5M", 6 * (4 * 256**2 + 3 * 256 * 688 + 2 * 256) + 198 * 256),
    ],
)
def test_sizes_of_the_family(size: str, weights: int, tokenizer) -> None:
    wanted = pretrain.load_settings(None, ["steps=7"], size)
    assert wanted.steps == 7
    model = build_model(wanted.model, tokenizer, 0)
    assert sum(p.numel() for p in model.parameters()) == weights


def test_a_width_that_does_not_fit_the_heads_is_refused() -> None:
    with pytest.raises(ConfigError, match="a width of 100 does not divide into 4 heads of an even size"):
        pretrain.load_settings(None, ["model.hidden_size=100"])


def test_settings_faults_are_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("steps: 0\nsteeps: 3\n")
    with pytest.raises(ConfigError, match=r"(?s)steps: .*steeps: "):
        pretrain.load_settings(file, [])
    with pytest.raises(ConfigError, match="no '='"):
        pretrain.load_settings(None, ["steps"])
    with pytest.raises(ConfigError, match="cannot read"):
        pretrain.load_settings(tmp_path / "absent.yaml", [])
    assert pretrain.load_settings(None, ["wander.focus=0.5", "steps=7"]).wander.focus == 0.5
    assert pretrain.main(["--output", str(tmp_path / "o"), "--set", "steps=x"]) == 2
    assert "steps" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_shipped_checkpoint_is_small_and_its_steps_are_right() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    files = [f for f in SHIPPED.iterdir() if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 8 * 2**20
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    written = json.loads((SHIPPED / "pretraining.json").read_text())
    settings = PretrainSettings.model_validate(written["settings"])
    assert written["figures"]["greedy_step_rightness"] >= 0.95
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32)
    few = settings.model_copy(update={"eval_problems": 24, "seed": settings.seed + 1000})
    found = pretrain.figures(model, tokenizer, few)
    assert found["greedy_step_rightness"] >= 0.9
    assert found["sampled_step_rightness"] >= 0.85
    assert found["sampled_accuracy"] < 0.8
