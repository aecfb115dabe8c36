from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.cli.export import engine_command, export_model
from flows.cli.main import run_command
from flows.cli.models import find_model
from rlkd.config.load import config_digest, parse_config
from rlkd.errors import UserError
from rlkd.io import write_json_atomic
from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student
from schemas.artifact import RunManifest, StageEntry
from schemas.evaluation import CheckpointMetrics, EvalReport, Interval, SplitMetrics

HALF = Interval(mean=0.5, low=0.4, high=0.6, n=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a random student after RL, and its evaluation."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("runs") / "small"
    model = {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 256}
    config = parse_config(
        {
            "name": "small",
            "description": "A small one.",
            "data": {"type": "benchmark", "name": "svamp"},
            "traces": {"teacher": {"type": "column"}},
            "student": {"model": model, "prompt": "Q: {question}\nA: ", "max_prompt_tokens": 64, "max_completion_tokens": 16},
        }
    )  # fmt: skip
    student = fresh_student(config.student, ["What is 1 + 1?"] * 20, seed=0)
    save_student(student.model, student.tokenizer, folder / "rl" / "model")
    metrics = SplitMetrics(accuracy=HALF, structure=HALF, format=HALF, tokens=HALF)
    report = EvalReport(
        checkpoints=(CheckpointMetrics(checkpoint="rlkd", split="test", overall=metrics),), paired=()
    )
    (folder / "evaluate").mkdir()
    write_json_atomic(folder / "evaluate" / "eval_report.json", report)
    manifest = RunManifest(
        name="small",
        config=config.model_dump(mode="json"),
        config_digest=config_digest(config),
        store=str(folder),
        stages=tuple(
            StageEntry(name=name, status="done", uri=str(folder / name)) for name in ("rl", "evaluate")
        ),
        status="done",
    )
    write_json_atomic(folder / "run.json", manifest)
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "student"
    export_model(str(run), str(folder))
    return folder


def test_it_loads_and_its_chat_is_the_prompt_of_the_training(run: Path, exported: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    model, tokenizer = AutoModelForCausalLM.from_pretrained(exported), AutoTokenizer.from_pretrained(exported)
    before = AutoModelForCausalLM.from_pretrained(run / "rl" / "model")
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model(ids).logits, before(ids).logits)
    chat = [{"role": "user", "content": "What is 1 + 1?"}]
    asked = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert asked == "Q: What is 1 + 1?\nA: "
    generation = GenerationConfig.from_pretrained(exported)
    assert (generation.max_new_tokens, generation.do_sample) == (16, False)
    assert generation.eos_token_id == tokenizer.eos_token_id != generation.pad_token_id
    assert not list(exported.glob("*.bin")) and not list(exported.glob("*.pt"))


def test_the_card_says_data_teacher_method_evaluation_licence_and_commands(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    for said in (
        "benchmark svamp",
        "paths that came with the data",
        "alpha = 0.5",
        "50.0% [40.0, 60.0]",
        "RLKD (this one)",
        "svamp: MIT",
        f"vllm serve {exported}",
        "arXiv 2505.16142",
    ):
        assert said in card, said


def test_an_export_is_asked_as_it_was_trained(exported: Path) -> None:
    student = find_model(str(exported)).config.student
    assert (student.prompt, student.output, student.max_completion_tokens) == (
        "Q: {question}\nA: ",
        "answer_line",
        16,
    )


def test_an_earlier_export_is_replaced_and_nothing_else(run: Path, exported: Path, tmp_path: Path) -> None:
    (exported / "README.md").write_text("old")
    export_model(str(run), str(exported))
    assert "arXiv" in (exported / "README.md").read_text()
    (tmp_path / "mine.txt").write_text("mine")
    assert run_command(["export", str(run), str(tmp_path)]) == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", str(run), "/dev/null/x/student"]) == 2
    assert "cannot write to /dev/null/x: Not a directory; name another folder" in capsys.readouterr().err


def test_a_full_disk_leaves_the_earlier_export(
    run: Path, exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    before = (exported / "README.md").read_text()
    monkeypatch.setattr("rlkd.student.export.write_json_atomic", full)
    assert run_command(["export", str(run), str(exported)]) == 1
    assert f"the disk that holds {exported.parent} is full" in capsys.readouterr().err
    assert (exported / "README.md").read_text() == before


def test_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no engine 'tgi'"):
        engine_command("tgi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="vllm is not installed"):
        engine_command("vllm")
    with pytest.raises(UserError, match="no serving engine"):
        engine_command(None)


@pytest.mark.slow
def test_the_registered_version_points_at_the_export(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from tasks import tracking

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    made = tracking.client(uri).create_run(tracking.experiment(uri, "rlkd"))
    folder = tmp_path / "student"
    export_model(str(run), str(folder))
    tags = {"test_accuracy_final": "0.5"}
    version = tracking.register_export(uri, made.info.run_id, "rlkd-student", folder, tags)
    assert tracking.register_export(uri, made.info.run_id, "rlkd-student", folder, tags) == version == "1"
    assert tracking.model_folder(uri, "models:/rlkd-student@exported") == folder
    (folder / "README.md").write_text("changed")
    with pytest.raises(UserError, match="not what was registered"):
        tracking.model_folder(uri, "models:/rlkd-student/1")
    assert tracking.register_export(uri, made.info.run_id, "rlkd-student", folder, tags) == "2"


@pytest.mark.slow
def test_a_served_run_answers_a_request(run: Path, tmp_path: Path) -> None:
    """The engine's own server, asked by the client that teachers and judges are asked by; loopback only."""
    try:
        engine_command("transformers")
    except UserError as error:
        pytest.skip(str(error))
    from rlkd.completion.base import CompletionRequest, Message
    from rlkd.completion.openai import OpenAICompleter
    from schemas.config.endpoint import OpenAIEndpoint

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-P",
        "-m",
        "flows.cli.main",
        "serve",
        str(run),
        "--engine",
        "transformers",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "RLKD_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    log = tmp_path / "log"
    with log.open("w") as said:
        server = subprocess.Popen(
            [*command, "--device", "cpu"], stdout=said, stderr=said, env=environment, start_new_session=True
        )
    try:
        folder = next(
            iter(_wait_for(lambda: list((tmp_path / "served").glob("*/student.json")), server, log))
        ).parent
        assert (folder / "model.safetensors").is_symlink()
        _wait_for(lambda: _listens(port), server, log)
        endpoint = OpenAIEndpoint(base_url=f"http://127.0.0.1:{port}/v1", model=str(folder), timeout_s=60)
        completer = OpenAICompleter(endpoint)

        async def ask() -> Any:
            request = CompletionRequest(
                messages=(Message("user", "What is 1 + 1?"),), max_tokens=4, allow_truncated=True
            )
            try:
                return await completer.complete(request)
            finally:
                await completer.aclose()

        assert isinstance(asyncio.run(ask()).text, str)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    assert json.loads((folder / "student.json").read_text())["student"]["prompt"] == "Q: {question}\nA: "


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(ready: Any, server: subprocess.Popen[bytes], log: Path) -> Any:
    for _ in range(6000):  # generously: other work may fill the machine
        if found := ready():
            return found
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())
