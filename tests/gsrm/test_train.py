"""A model that learns to decompose, in seconds: what it is trained on, what it leaves, and how it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlkd.errors import ConfigError, DataError
from rlkd.gsrm.annotate import ACCEPTED, annotate_paths
from rlkd.gsrm.evaluate import MARKDOWN, OUTPUTS, REPORT, evaluate_decomposer
from rlkd.gsrm.paths import PATHS, collect_paths
from rlkd.gsrm.train import lengthened, student_of, train_decomposer, written_pairs
from rlkd.io import read_rows, write_rows
from rlkd.structure.decomposers.forms import CARD, read_card, trained_form
from rlkd.structure.interfaces import PathItem
from rlkd.student.load import load_student
from rlkd.student.prompts import PromptBook
from schemas.config.student import CheckpointModel
from schemas.gsrm import Annotation, GsrmOutput, GsrmPath, GsrmReport
from schemas.structure import ReasoningStep, Structure

from .conftest import make_config

pytestmark = pytest.mark.slow

Make = Callable[..., Any]

STUDENT: dict[str, Any] = {
    "model": {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 32, "heads": 2, "context": 256},
    "form": "compact",
    "max_prompt_tokens": 128,
    "max_completion_tokens": 64,
}
SFT: dict[str, Any] = {
    "max_epochs": 2,
    "batch_size": 4,
    "eval_every": 2,
    "optimizer": {"learning_rate": 1e-2},
}
GIVEN = ({"sub_problem": "?", "answer": "2", "quote": "1+1=2"},)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def stages(tmp_path: Path, context: Make) -> Callable[..., dict[str, Path]]:
    """Folders of the first two stages, over short paths that came with their steps."""

    def make(count: int = 10) -> dict[str, Path]:
        rows = [
            {"id": i, "problem": f"{i}?", "path": f"1+1=2. It is {i}.", "steps": GIVEN} for i in range(count)
        ]
        file = tmp_path / "paths.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        first = context("gsrm_paths", paths={"type": "file", "path": str(file), "split": {"validation": 0.2}})
        collect_paths(first)
        second = context("gsrm_annotations", {"gsrm_paths": first.folder})
        annotate_paths(second)
        return {"gsrm_paths": first.folder, "gsrm_annotations": second.folder}

    return make


def test_it_is_trained_measured_and_asked_by_its_folder(context: Make, stages: Any) -> None:
    inputs = stages()
    train = context("gsrm_train", inputs, student=STUDENT, sft=SFT)
    result = train_decomposer(train)
    assert (result.rows, result.summary["validation_paths"]) == (7, 2)  # of 10: a tenth for the test, a fifth
    assert result.summary["steps"] == 4  # two batches of 4 and 3, twice
    card = read_card(train.folder / "model")
    assert card is not None and (card.form, card.chat, card.max_tokens) == ("compact", False, 64)
    assert json.loads((train.folder / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1

    inputs["gsrm_train"] = train.folder
    evaluate = context("gsrm_evaluate", inputs, student=STUDENT, evaluate={"resamples": 100})
    measured = evaluate_decomposer(evaluate)
    report = GsrmReport.model_validate_json((evaluate.folder / REPORT).read_text())
    assert report.all.paths == measured.rows == 1 and report.all.steps == 1
    assert set(report.by_domain) == {"math"} and set(report.by_kind) == {"file"}
    assert report.rules is not None and report.rules.boundary.mean >= 0  # the rules on the same paths
    assert measured.metrics["step_f1"] == report.all.step.mean
    assert "step F1" in (evaluate.folder / MARKDOWN).read_text()
    [output] = read_rows(evaluate.folder / OUTPUTS, GsrmOutput)
    assert output.reference[0].answer == "2"

    # An interrupted evaluation asks only for what is left: with everything kept, the model is not even there.
    inputs["gsrm_train"] = train.folder / "gone"
    (evaluate.folder / "work").mkdir(exist_ok=True)
    write_rows(evaluate.folder / "work" / "outputs.jsonl", [output])
    assert evaluate_decomposer(evaluate).metrics == measured.metrics


def test_an_unfinished_training_goes_on_and_a_finished_one_is_not_repeated(
    context: Make, stages: Any
) -> None:
    inputs = stages()
    ctx = context("gsrm_train", inputs, student=STUDENT, sft=SFT)
    train_decomposer(ctx)
    before = (ctx.folder / "model" / "model.safetensors").read_bytes()
    train_decomposer(ctx)  # its checkpoints are still there: nothing is left to train
    assert (ctx.folder / "model" / "model.safetensors").read_bytes() == before
    longer = context("gsrm_train", inputs, student=STUDENT, sft={**SFT, "max_epochs": 3})
    assert train_decomposer(longer).summary["steps"] == 6
    assert longer.events.told == ["continues from step 4"]


def test_muon_and_short_texts_first_go_on_from_a_checkpoint_too(context: Make, stages: Any) -> None:
    inputs = stages()
    rates = {"name": "muon", "learning_rate": 1e-2, "matrix_learning_rate": 1e-2}
    own = {**SFT, "easy_first": 0.5, "optimizer": rates}
    ctx = context("gsrm_train", inputs, student=STUDENT, sft=own)
    assert train_decomposer(ctx).summary["steps"] == 4
    losses = [row["loss"] for row in _metrics(ctx.folder) if "loss" in row]
    longer = context("gsrm_train", inputs, student=STUDENT, sft={**own, "max_epochs": 3})
    assert train_decomposer(longer).summary["steps"] == 6
    assert longer.events.told == ["continues from step 4"]
    again = [row["loss"] for row in _metrics(ctx.folder) if "loss" in row]
    assert again[:4] == losses and again[5] < losses[0]


def _metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("form", ["compact", "json"])
def test_what_it_is_trained_on_is_what_it_is_asked(tmp_path: Path, form: Any) -> None:
    """The tokens of the training prompt are the tokens that the local model gets."""
    from rlkd.completion.local_hf import LocalCompleter
    from rlkd.student.checkpoints import save_student
    from rlkd.student.fresh import fresh_student
    from schemas.config.endpoint import LocalEndpoint

    config = make_config(student={**STUDENT, "form": form})
    own = trained_form(form)
    student = fresh_student(student_of(config, own), ["1+1=2 data solution"], 0)
    save_student(student.model, student.tokenizer, tmp_path / "model")
    item = PathItem("1?", "1+1=2. It is 1.", "math")
    _, question = own.texts(item, config.student.max_chars, False)
    trained = PromptBook(student_of(config, own), student.tokenizer).encode(question)
    completer = LocalCompleter(LocalEndpoint(type="local", path=str(tmp_path / "model"), chat=False))
    completer._load()
    request = own.request(item, config.student.max_chars, 8)
    text = completer._prompt(request)
    assert completer._tokenizer(text, add_special_tokens=True)["input_ids"] == trained
    assert (
        load_student(student_of(config, own), tmp_path / "model").tokenizer(question)["input_ids"] == trained
    )


def test_steps_beyond_what_is_read_are_not_taught() -> None:
    path = "1+1=2. " * 30
    steps = tuple(
        ReasoningStep(index=i, sub_problem="?", answer="2", start=7 * i, end=7 * i + 5) for i in range(30)
    )
    config = make_config(student={**STUDENT, "form": "json", "max_chars": 100})
    row = GsrmPath(id="r", group="g", path=path)
    [(question, text)] = written_pairs(config, trained_form("json"), [row], {"r": Structure(steps=steps)})
    assert question.count("1+1=2") == 14  # 100 characters hold 14 whole times 7, and 2 more
    assert len(json.loads(text)["steps"]) == 14


def test_nothing_to_learn_from_or_to_measure_on(context: Make, stages: Any) -> None:
    inputs = stages()
    rejected = inputs["gsrm_annotations"] / ACCEPTED
    rows = read_rows(rejected, Annotation)
    write_rows(rejected, [])
    with pytest.raises(DataError, match="no training path has an annotation"):
        train_decomposer(context("gsrm_train", inputs, student=STUDENT, sft=SFT))
    with pytest.raises(DataError, match="nothing to measure on"):
        evaluate_decomposer(context("gsrm_evaluate", {**inputs, "gsrm_train": inputs["gsrm_paths"]}))
    write_rows(rejected, rows)
    short = {**STUDENT, "max_prompt_tokens": 2}
    with pytest.raises(DataError, match="raise these limits"):
        train_decomposer(context("gsrm_train", inputs, student=short, sft=SFT))
    assert (inputs["gsrm_paths"] / PATHS).exists() and CARD == "rlkd_gsrm.json"


def test_a_checkpoint_with_a_short_context_is_lengthened(context: Make, stages: Any, tmp_path: Path) -> None:
    from rlkd.student.checkpoints import save_student
    from rlkd.student.fresh import fresh_student

    inputs = stages()
    short = make_config(student={**STUDENT, "model": {**STUDENT["model"], "context": 192}})
    made = fresh_student(student_of(short, trained_form("compact")), ["1+1=2|A|?|| 2|||"], 0)
    save_student(made.model, made.tokenizer, tmp_path / "short")
    model = {"type": "checkpoint", "path": str(tmp_path / "short")}
    asked = {**STUDENT, "model": model, "max_prompt_tokens": 200}
    with pytest.raises(ConfigError, match="= 264 exceed the 192 tokens"):
        train_decomposer(context("too_short", inputs, student=asked, sft=SFT))
    ctx = context("gsrm_train", inputs, student={**asked, "context": 300}, sft=SFT)
    train_decomposer(ctx)
    assert json.loads((ctx.folder / "model" / "config.json").read_text())["max_position_embeddings"] == 300
    assert json.loads((tmp_path / "short" / "config.json").read_text())["max_position_embeddings"] == 192


def test_a_context_that_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="context is for a checkpoint"):
        make_config(student={**STUDENT, "context": 300})
    checkpoint = CheckpointModel(type="checkpoint", path="some/hub-id")
    with pytest.raises(ConfigError, match=r"needs student\.model\.path to be a folder"):
        lengthened(checkpoint, 300, tmp_path / "base")
    folder = tmp_path / "learned"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 64}')
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    with pytest.raises(ConfigError, match="has no rotary positions"):
        lengthened(CheckpointModel(type="checkpoint", path=str(folder)), 300, tmp_path / "base")
