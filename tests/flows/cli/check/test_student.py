"""What `rlkd check` says of a student before hours are spent on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.cli.check.distill import examine
from flows.cli.check.findings import Findings
from flows.cli.check.packing import note_packing
from rlkd.config.load import parse_config
from rlkd.student.checkpoints import save_student
from rlkd.student.examine import Sizes
from rlkd.student.fresh import fresh_student
from rlkd.student.probe import Probe, ProbeError
from schemas.config.student import StudentConfig
from schemas.config.training import FineTuneConfig, RLConfig

FRESH = {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 640}
CHATML = (
    "{% for m in messages %}<bos>{{ m.role }}\n{{ m.content }}<pad>\n{% endfor %}"
    "{% if add_generation_prompt %}<bos>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("checked") / "model"
    made = fresh_student(
        StudentConfig.model_validate(
            {"model": FRESH, "max_prompt_tokens": 400, "max_completion_tokens": 200}
        ),
        ["1 + 2 = 3"],
        seed=0,
    )
    save_student(made.model, made.tokenizer, target)
    return target


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def found(
    folder: Path, run: Path, offline: bool = False, **student: Any
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Rows by what they are about, and what is wrong."""
    config = parse_config(
        {
            "name": "check",
            "data": {"type": "world", "world": {"n_train": 6, "n_validation": 2, "n_test": 4, "n_ood": 2}},
            "student": {
                "model": {"type": "checkpoint", "path": str(folder)},
                "max_prompt_tokens": 400,
                "max_completion_tokens": 200,
                **student,
            },
        }
    )
    findings = examine(config, str(run), offline)
    return {what: (verdict, details) for what, verdict, details in findings.rows}, findings.wrong


def test_the_special_tokens_are_said(folder: Path, tmp_path: Path) -> None:
    rows, wrong = found(folder, tmp_path / "run")
    assert wrong == []
    assert rows["special tokens"] == ("ok", "EOS is <eos>, PAD is <pad>")


def test_a_student_that_is_not_packed_is_said_and_what_it_costs(folder: Path, tmp_path: Path) -> None:
    rows, wrong = found(folder, tmp_path / "run")
    assert wrong == []
    assert "packing" not in rows
    rows, wrong = found(folder, tmp_path / "run", attention="eager")
    assert wrong == []
    verdict, text = rows["packing"]
    assert verdict == "note"
    assert text.startswith(
        "not packed: student.attention is eager, and only sdpa keeps the texts of a row apart; fine-tuning pads the texts of a "
        "batch to the longest, RL computes a prompt for each of its 8 completions ("
    )
    assert text.endswith(" times the tokens, with completions of 200) and pads them")


def test_what_padding_costs() -> None:
    findings = Findings(prompt_tokens=[100.0, 60.0], trace_tokens=[2.0, 4.0, 6.0])
    student = Sizes(1, layers=1, width=1, vocabulary=1, context=None, unpacked="it is so")
    note_packing(student, FineTuneConfig(batch_size=2), RLConfig(group_size=4), 40, findings)
    # 2 * 4 + 6 positions for 12 tokens: 1.17; 4 * (80 + 40) = 480 tokens for 80 + 4 * 40 = 240.
    assert findings.rows == [
        (
            "packing",
            "note",
            "not packed: it is so; fine-tuning pads the texts of a batch to the longest (1.2 times the tokens of the traces that are there), "
            "RL computes a prompt for each of its 4 completions (2.0 times the tokens, with completions of 40) and pads them",
        )
    ]
    off = Findings()
    note_packing(student, FineTuneConfig(packing=False), RLConfig(share_prompts=False), 40, off)
    note_packing(student, None, None, 40, off)
    assert off.rows == []  # it was not asked for


def probing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[str]:
    """Has every student measured; returns the models that were."""
    asked: list[str] = []

    def measure(student: StudentConfig, checkpointing: bool = False) -> Any:
        asked.append(getattr(student.model, "path", ""))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("rlkd.student.probe.measure", measure)
    monkeypatch.setattr("flows.cli.check.distill._SMALL", 0)
    return asked


def test_weights_on_this_machine_are_measured_offline_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    probe = Probe(1000, 2.0, 1200, token_s=0.01, step_s=0.1, row_s=0.02, device="here")
    asked = probing(monkeypatch, probe)
    rows, _ = found(folder, tmp_path / "run", offline=True)
    assert asked == [str(folder)]
    assert "measured on a small step, 1000 MB" in rows["memory"][1]


def test_a_measurement_that_failed_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing(monkeypatch, ProbeError("the small step took longer than 240 s on this machine"))
    rows, wrong = found(folder, tmp_path / "run")
    assert wrong == []
    assert (
        "from the model's sizes alone, nothing was measured: the small step took longer than 240 s on this machine; "
        in rows["memory"][1]
    )


def test_the_end_of_a_turn_is_the_end_of_text_in_chat(copy: Path, tmp_path: Path) -> None:
    (copy / "chat_template.jinja").write_text(CHATML.replace("<pad>", "<bos>"))
    rows, wrong = found(copy, tmp_path / "run", chat=True)
    assert wrong == []
    assert rows["special tokens"][1] == (
        "EOS is <bos>, PAD is <pad>; EOS is <bos>, with which the chat template ends a turn (the tokenizer has <eos>)"
    )


def test_a_template_that_opens_a_tag_is_said(copy: Path, tmp_path: Path) -> None:
    (copy / "chat_template.jinja").write_text(
        CHATML.replace("<pad>", "<eos>").replace("assistant\n", "assistant\n<think>\n")
    )
    rows, wrong = found(copy, tmp_path / "run", chat=True, output="think_boxed")
    assert wrong == []
    assert rows["prompt"] == ("ok", "ends with <think>, from which traces and completions go on")
    _, wrong = found(copy, tmp_path / "run", chat=True, output="boxed")
    assert "never closes; set student.output=think_boxed" in wrong[0]


def test_a_template_that_refuses_a_system_message_is_one_sentence(copy: Path, tmp_path: Path) -> None:
    refusal = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    )
    (copy / "chat_template.jinja").write_text(refusal + CHATML.replace("<pad>", "<eos>"))
    _, wrong = found(copy, tmp_path / "run", chat=True, system="Be brief.")
    assert len(wrong) == 1
    assert wrong[0].startswith("student.system: the chat template refuses a system message")
    assert found(copy, tmp_path / "run", chat=True, system="Be brief.", system_role="user")[1] == []


def test_a_student_without_a_template_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    _, wrong = found(folder, tmp_path / "run", chat=True)
    assert wrong == [
        "student.chat is on, but the tokenizer has no chat template; set student.chat=false and a student.prompt"
    ]


def test_more_tokens_than_embeddings_are_one_sentence(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))
    _, wrong = found(copy, tmp_path / "run")
    assert len(wrong) == 1
    assert f"has {config['vocab_size']} tokens but the model only 100 embeddings" in wrong[0]


def test_an_adapter_for_nothing_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    _, wrong = found(folder, tmp_path / "run", lora={"target_modules": ["query_proj"]})
    assert len(wrong) == 1
    assert "student.lora.target_modules:" in wrong[0]
    assert "no module query_proj; its linear layers are down_proj, gate_proj, k_proj" in wrong[0]


def test_a_broken_gguf_file_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="gguf is not installed: pip install gguf")
    file = tmp_path / "torn.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x05" * 40)
    _, wrong = found(file, tmp_path / "run")
    assert len(wrong) == 1
    assert "torn.gguf: the GGUF file is cut off or damaged (48 bytes); fetch it again" in wrong[0]
