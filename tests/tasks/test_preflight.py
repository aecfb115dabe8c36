"""What the stages to come need is looked at before anything is made, and no server is paid for what could not be trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.errors import ConfigError, RLKDError, UserError
from rlkd.experiments.cell import Cell
from rlkd.student.checkpoints import demo_base_folder
from schemas.artifact import Made
from schemas.config.pipeline import PipelineConfig
from tasks.display import shown_on
from tasks.preflight import look_ahead, look_ahead_cells

NOBODY = "http://127.0.0.1:9/v1"


def listing(*names: str) -> Reply:
    return Reply(raw=json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode())


class Server(SimulatedServer):
    """A server that lists some models, and answers requests for a completion as it is told."""

    def __init__(self, *listed: str, reply: Reply | None = None) -> None:
        super().__init__(lambda body: (reply or Reply("4", 1, 1)) if body else listing(*(listed or ("big",))))

    @property
    def posts(self) -> list[dict[str, Any]]:
        return [seen.body for seen in self.seen if seen.body]


class Told:
    """A display that keeps messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def config(judge: str | None = None, teacher: str | None = None, **more: Any) -> PipelineConfig:
    def endpoint(url: str) -> dict[str, str]:
        return {"type": "openai", "base_url": url, "model": "big"}

    values: dict[str, Any] = {"name": "t", "data": {"type": "world"}}
    if judge is not None:
        values["structures"] = {"judge": {"type": "llm", "endpoint": endpoint(judge)}}
    if teacher is not None:
        values["traces"] = {"teacher": {"type": "endpoint", "endpoint": endpoint(teacher)}}
    found = parse_config(values | more)
    assert isinstance(found, PipelineConfig)
    return found


def test_a_judge_that_is_not_there_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"structures\.judge\.endpoint: no OpenAI-compatible server answers"):
        look_ahead(config(NOBODY), str(tmp_path / "run"))


def test_a_teacher_of_another_protocol_gets_one_request(tmp_path: Path) -> None:
    with (
        Server() as judge,
        SimulatedServer(lambda body: Reply(raw=b'{"generated_text": "hello"}')) as teacher,
        pytest.raises(
            UserError, match=r"traces\.teacher\.endpoint: what answers at .* is no OpenAI-compatible"
        ),
    ):
        look_ahead(config(judge.url, teacher.url), str(tmp_path / "run"))
    assert len(teacher.seen) == 1


def test_servers_that_answer_are_asked_once(tmp_path: Path) -> None:
    with Server() as judge, Server() as teacher:
        look_ahead(config(judge.url, teacher.url), str(tmp_path / "run"))
        assert (len(judge.seen), len(teacher.seen)) == (1, 1)


def test_only_the_servers_of_the_stages_to_come_are_asked(tmp_path: Path) -> None:
    with Server() as teacher:
        found = config(NOBODY, teacher.url)
        look_ahead(found, str(tmp_path / "run"), stages=["data", "traces"])
        assert len(teacher.seen) == 1
        look_ahead(found, str(tmp_path / "run"), stages=["data"])
        assert len(teacher.seen) == 1


def test_a_configuration_without_servers_asks_nothing(tmp_path: Path) -> None:
    look_ahead(config(), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_key_that_is_not_set_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLKD_TEST_KEY", raising=False)
    with Server() as server:
        place = {"type": "openai", "base_url": server.url, "model": "big", "api_key_env": "RLKD_TEST_KEY"}
        found = config(structures={"judge": {"type": "llm", "endpoint": place}})
        with pytest.raises(
            UserError,
            match=r"^structures\.judge\.endpoint: the key .* the environment variable RLKD_TEST_KEY",
        ):
            look_ahead(found, str(tmp_path / "run"))
        look_ahead(found, str(tmp_path / "run"), stages=["data", "traces"])  # which need no judge
        assert server.seen == []


def test_a_model_that_is_not_listed_is_tried_with_one_token(tmp_path: Path) -> None:
    with Server("other") as server:
        look_ahead(config(server.url), str(tmp_path / "run"))
        assert [(body["model"], body["max_tokens"]) for body in server.posts] == [("big", 1)]
    absent = Reply("The model `big` does not exist.", status=404)
    with (
        Server("other", reply=absent) as server,
        pytest.raises(
            UserError, match=r"lists other, but not big, and refuses a request for it .* not exist"
        ),
    ):
        look_ahead(config(server.url), str(tmp_path / "run"))
    told = Told()
    with Server("other", reply=Reply("no chat template", status=400)) as server, shown_on(told):  # type: ignore[arg-type]
        look_ahead(config(server.url), str(tmp_path / "run"))
    [message] = told.messages
    assert message.startswith("structures.judge.endpoint: ") and "no chat template" in message


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"student": {"max_completion_tokens": 9000}}, "exceed the student's context"),
        (
            {
                "student": {"prompt": "{question}\n<think>\n", "output": "boxed"},
                "warm_start": {"enabled": True},
            },
            "never closes; set student.output=think_boxed",
        ),
        ({"launch": {"processes": 2, "parallel": {"type": "fsdp"}}}, "launch.parallel is fsdp"),
        ({"launch": {"processes": 99}}, "launch.processes is 99, but this machine has 2 cores"),
        ({"launch": {"accelerate_config": "/nope.yaml"}}, "launch.accelerate_config: there is no file /nope"),
        ({"rl": {"micro_batch": 128}, "launch": {"processes": 2}}, "rl.micro_batch = 128 must divide the 64"),
    ],
)
def test_what_could_not_be_trained_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], fault: str
) -> None:
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Server("other") as server:  # which would get a request for one token
        found = config(server.url, server.url, **more)
        with pytest.raises(UserError) as raised:
            look_ahead(found, str(tmp_path / "run"))
        assert fault in str(raised.value)
        assert server.seen == []
        look_ahead(found, str(tmp_path / "run"), stages=["data"])  # which needs none of it


def student(folder: Path, **more: Any) -> dict[str, Any]:
    return {"student": {"model": {"type": "checkpoint", "path": str(folder)}, **more}}


@pytest.mark.slow
def test_a_student_that_cannot_be_used_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, small, torn = (
        Path(shutil.copytree(demo_base_folder(), tmp_path / name)) for name in ("whole", "small", "torn")
    )
    settings = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**settings, "vocab_size": 10}))
    weights = (torn / "model.safetensors").read_bytes()
    (torn / "model.safetensors").write_bytes(weights[:-100])
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x05" * 40)
    faults = [
        (student(whole, lora={"target_modules": ["query_proj"]}), "no module query_proj"),
        (student(whole, chat=True), "the tokenizer has no chat template"),
        (student(small), "tokens but the model only 10 embeddings"),
        (student(torn), f"the weights are cut off or damaged ({len(weights) - 100} bytes)"),
        (student(tmp_path / "torn.gguf"), "torn.gguf: "),  # damaged, or the package for such files is missing
        ({"student": {"lora": {"target_modules": ["query_proj"]}}}, "no module query_proj"),
        ({"student": {"model": {"type": "fresh"}, "chat": True}}, "the tokenizer has no chat template"),
    ]
    with Server("other") as server:
        for more, fault in faults:
            with pytest.raises(UserError) as raised:
                look_ahead(config(server.url, server.url, **more), str(tmp_path / "run"))
            assert fault in str(raised.value)
        assert server.seen == []
        look_ahead(config(server.url, server.url, **student(whole)), str(tmp_path / "run"))
        assert len(server.posts) == 1


def test_a_look_that_fails_by_itself_does_not_refuse_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(demo_base_folder(), tmp_path / "whole")

    def crash(*given: Any, **named: Any) -> Made:
        from rlkd.errors import StageError

        raise StageError("stage student: RuntimeError: no such kernel; the full error is in log")

    monkeypatch.setattr("tasks.preflight.run_job", crash)
    told = Told()
    with shown_on(told):  # type: ignore[arg-type]
        look_ahead(config(**student(folder)), str(tmp_path / "run"))
    assert told.messages == [
        "the student could not be looked at before the run (RuntimeError: no such kernel)"
    ]


def test_finished_stages_need_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last stage to come is the report, which needs neither a student nor a server."""
    found = config(NOBODY, NOBODY, launch={"accelerate_config": "/nope.yaml"})
    names = ["data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate"]
    monkeypatch.setattr("tasks.finished.finished_stages", lambda config, output: names)
    look_ahead(found, str(tmp_path / "run"))
    with pytest.raises(RLKDError, match=r"launch\.accelerate_config"):
        look_ahead(found, str(tmp_path / "run"), from_stage="rl")


def test_every_cell_of_an_experiment_is_looked_at_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n' * 3)
    table = {"type": "file", "path": str(tmp_path / "rows.jsonl"), "columns": {"traces": ["answer"]}}
    more = {"traces": {"teacher": {"type": "column"}}, "structures": {"decomposer": {"type": "rules"}}}
    student = {"model": {"type": "checkpoint", "path": "builtin:demo-base"}}
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"student": {**student, "max_completion_tokens": 100_000}},
            "exceed the student's context of 512 tokens",
        ),
        ({"launch": {"processes": 99}}, "launch.processes is 99, but this machine has 2 cores"),
        ({"data": {**table, "path": str(tmp_path / "gone.jsonl")}, **more}, "gone.jsonl"),
        ({"data": {**table, "columns": {"traces": ["solution"]}}, **more}, "solution"),
    ]

    def cells(*changes: dict[str, Any]) -> list[Cell]:
        found = [config(**change) for change in ({}, *changes)]
        return [
            Cell(f"c{i}-s{seed}", f"c{i}", seed, "", {}, own)
            for i, own in enumerate(found)
            for seed in (0, 1)
        ]

    look_ahead_cells(cells(), tmp_path / "x")
    for change, fault in wrong:
        with pytest.raises(ConfigError) as raised:
            look_ahead_cells(cells(change), tmp_path / "x")
        first, *faults = str(raised.value).splitlines()
        assert first == "1 fault; nothing has started"
        assert len(faults) == 1  # though both seeds have it
        assert faults[0].startswith("  - cell c1-s0: ")
        assert fault in faults[0]
    with pytest.raises(ConfigError, match="4 faults; nothing has started"):
        look_ahead_cells(cells(*(change for change, _ in wrong)), tmp_path / "x")


def test_servers_are_asked_once_for_all_cells_and_only_where_nothing_else_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.launching.count_gpus", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Server("big") as server:
        found = [config(server.url, server.url, seed=seed) for seed in range(4)]
        cells = [Cell(f"m-s{own.seed}", "m", own.seed, "", {}, own) for own in found]
        late = config(server.url, launch={"processes": 99})
        with pytest.raises(ConfigError, match=r"cell late-s0: launch.processes is 99"):
            look_ahead_cells([*cells, Cell("late-s0", "late", 0, "", {}, late)], tmp_path / "x")
        assert server.seen == []
        look_ahead_cells(cells[:1], tmp_path / "x")
        once = len(server.seen)
        look_ahead_cells(cells, tmp_path / "x")
        assert len(server.seen) == 2 * once > 0
