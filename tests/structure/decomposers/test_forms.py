"""Written forms: what a trained model is asked is what it was trained on, and its card says how."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import CheckpointError
from rlkd.structure.decomposers.forms import (
    CARD,
    CompactForm,
    JsonForm,
    PromptedForm,
    read_card,
    trained_form,
)
from rlkd.structure.decomposers.generative import Fault, GenerativeDecomposer, generative_decomposer
from rlkd.structure.interfaces import PathItem
from schemas.config.structure import GenerativeDecomposerConfig
from schemas.structure import Calculation, ReasoningStep, Structure

ITEM = PathItem("Eggs?", "She has 16-3=13 eggs.\nThe answer is 13.", "math")
STEP = ReasoningStep(
    index=0,
    sub_problem="How many?",
    answer="13",
    quantities=("16", "3"),
    operation="-",
    start=8,
    end=15,
    calculations=(Calculation(value=13, operands=(16, 3), operation="-", text="16-3=13"),),
)


@pytest.mark.parametrize("name", ["json", "compact"])
def test_what_a_form_writes_it_reads(name: Any) -> None:
    form = trained_form(name)
    assert form.read(form.write([STEP], ITEM.path), ITEM.path) == (STEP,)
    assert form.read(form.write([], ITEM.path), ITEM.path) == ()


def test_the_training_prompt_is_the_request() -> None:
    request = JsonForm().request(ITEM, 1000, 50)
    system, question = JsonForm().texts(ITEM, 1000, chat=True)
    assert [message.content for message in request.messages] == [system, question]
    # Without a chat template a local model sees the messages one after another, each with a line break.
    assert JsonForm().texts(ITEM, 1000, chat=False) == ("", f"{system}\n{question}\n")
    compact = CompactForm().request(ITEM, 1000, 50)
    assert compact.prompt == CompactForm().texts(ITEM, 1000, chat=False)[1]
    assert compact.json_schema is None and compact.max_tokens == 50


def test_only_so_many_characters_are_shown() -> None:
    item = PathItem("", "x" * 100 + "END", "math")
    assert "END" not in str(CompactForm().request(item, 100, 50).prompt)
    assert "END" not in JsonForm().request(item, 100, 50).messages[1].content


def test_a_trained_model_is_not_told_of_its_fault(scripted: Any) -> None:
    completer = scripted(lambda request: "nonsense\n=")
    decomposer = GenerativeDecomposer(completer, form=CompactForm())
    [found] = asyncio.run(decomposer.attempt([ITEM]))
    assert isinstance(found, Fault)
    assert found.kind == "unreadable" and "line 0 has 1 fields" in found.message
    assert len(completer.requests) == 1 and dict(decomposer.faults) == {"unreadable": 1}


def test_a_compact_decomposition_becomes_a_structure(scripted: Any) -> None:
    decomposer = GenerativeDecomposer(
        scripted(lambda request: "She has 16-3=13|A|How many?|| 13|16;3|-|\nThe answer is 13|B\n="),
        form=CompactForm(),
    )
    [found] = asyncio.run(decomposer.decompose([ITEM]))
    assert isinstance(found, Structure)
    [step] = found.steps
    assert ITEM.path[step.start : step.end] == "She has 16-3=13"
    assert [c.text for c in step.calculations] == ["16-3=13"]
    assert found.decomposer == "generative:scripted@compact4:50000"


def _card(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    card = {"form": "compact", "version": 4, "chat": False, "max_tokens": 64, **changes}
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_the_folder_says_how_a_model_is_asked(tmp_path: Path) -> None:
    folder = _card(tmp_path / "gsrm")
    made = generative_decomposer(GenerativeDecomposerConfig(type="generative", model=str(folder)))
    assert isinstance(made.form, CompactForm)
    assert made.max_tokens == 64
    assert "@compact4:" in made.name
    asked = GenerativeDecomposerConfig(type="generative", model=str(folder), form="prompted", max_tokens=32)
    made = generative_decomposer(asked)
    assert isinstance(made.form, PromptedForm) and made.max_tokens == 32
    plain = generative_decomposer(GenerativeDecomposerConfig(type="generative", model="some/instruct-model"))
    assert isinstance(plain.form, PromptedForm)


def test_a_served_model_is_asked_as_the_configuration_says() -> None:
    server = {"type": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "gsrm"}
    config = GenerativeDecomposerConfig.model_validate(
        {"type": "generative", "endpoint": server, "form": "json"}
    )
    assert isinstance(generative_decomposer(config).form, JsonForm)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "cannot be read"),
        ('{"form": "xml"}', "cannot be read"),
        (None, "writes version 9 of the form compact"),
    ],
)
def test_a_card_of_another_kind_is_refused(tmp_path: Path, text: str | None, fault: str) -> None:
    folder = _card(tmp_path / "gsrm", version=9)
    if text is not None:
        (folder / CARD).write_text(text)
    with pytest.raises(CheckpointError, match=fault):
        read_card(folder)
    assert read_card(tmp_path) is None


def test_a_model_or_an_endpoint_must_be_named() -> None:
    for wrong in ({}, {"model": "a", "endpoint": {"type": "local", "path": "b"}}):
        with pytest.raises(ValueError, match="either a `model`"):
            GenerativeDecomposerConfig.model_validate({"type": "generative", **wrong})
