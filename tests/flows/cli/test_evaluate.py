from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from flows.cli.evaluate import cell, evaluate_model
from flows.cli.main import run_command
from flows.cli.models import find_model
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import config_digest, parse_config
from rlkd.errors import UserError
from rlkd.io import write_json_atomic, write_rows
from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student
from schemas.artifact import RunManifest, StageEntry
from schemas.benchmarks import Figure, ModelEvaluation
from schemas.problem import Problem

from ...locks import held_elsewhere

ROWS = [
    {"id": f"e{i}", "question": f"{i} + 1?", "answer": str(i + 1), "traces": [], "cluster": i // 2}
    for i in range(6)
]


def answer_three(body: dict[str, Any]) -> Reply:
    """A server that has the model, which always answers 3."""
    return Reply("\\boxed{3}", 5, 5) if body else Reply(raw=b'{"data": [{"id": "big"}]}')


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a random student and its training data, a benchmark file, and the student as a bare checkpoint."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("place")
    model = {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 256}
    teacher = {"type": "endpoint", "endpoint": {"base_url": "http://127.0.0.1:9/v1", "model": "big"}}
    values: dict[str, Any] = {
        "name": "small",
        "data": {"type": "file", "path": "rows.jsonl"},
        "traces": {"teacher": teacher | {"answers": str(folder / "answers")}},
        "student": {"model": model, "max_prompt_tokens": 32, "max_completion_tokens": 8, "output": "boxed"},
        "evaluate": {"samples": 2, "pass_at": [1, 2]},
        "tracking": {"enabled": False},
    }
    config = parse_config(values)
    student = fresh_student(config.student, ["1 + 1?"] * 20, seed=0)
    save_student(student.model, student.tokenizer, folder / "warm_start" / "model")
    (folder / "data").mkdir()
    write_rows(folder / "data" / "train.jsonl", [Problem(id="t", question="0 + 1?", answer="1")])
    made = {"data": "data", "warm_start": "warm_start"}
    manifest = RunManifest(
        name="small",
        config=config.model_dump(mode="json"),
        config_digest=config_digest(config),
        store=str(folder),
        stages=tuple(StageEntry(name=n, status="done", uri=str(folder / f)) for n, f in made.items()),
        status="done",
    )
    (folder / "run").mkdir()
    write_json_atomic(folder / "run" / "run.json", manifest)
    (folder / "easy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


def evaluation(root: Path) -> list[ModelEvaluation]:
    return [
        ModelEvaluation.model_validate_json(file.read_text())
        for file in sorted(root.glob("*/evaluation.json"))
    ]


def test_a_run_and_its_teacher_side_by_side(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = f"easy_math={place / 'easy.jsonl'}"
    evaluate_model(f"{place / 'run'}", [on], None, [], str(tmp_path), False)
    assert f"{place / 'run'}:warm_start\teasy_math\t5" in capsys.readouterr().out
    with SimulatedServer(answer_three) as server:
        place_of = [f"traces.teacher.endpoint.base_url={server.url}"]
        evaluate_model(f"{place / 'run'}:teacher", [on], None, place_of, str(tmp_path), False)
    said = capsys.readouterr().out
    # one of 5 answers is 3: 20%, in 3 clusters (the problem of the sixth row's cluster mate was trained on)
    lines = [line for line in said.splitlines() if "\teasy_math\t5\t" in line]
    assert len(lines) == 2
    assert ":teacher" in lines[1] and "20.0 ±" in lines[1]
    assert "1 problems that were trained on left out" in said
    assert "5 problems in 3 clusters" in said
    teacher, student = sorted(evaluation(tmp_path), key=lambda found: found.model)
    assert teacher.model.endswith(":teacher") and teacher.cost.startswith("15 requests")
    assert student.benchmarks[0].samples == 2 and student.benchmarks[0].majority is not None


def test_differences_to_further_models(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = f"easy_math={place / 'easy.jsonl'}"
    run, bare = str(place / "run"), str(place / "warm_start" / "model")
    with SimulatedServer(answer_three) as server:
        setting = f"traces.teacher.endpoint.base_url={server.url}"
        arguments = ["evaluate", f"{run}:teacher", "--against", run, "--on", on, "--set", setting]
        assert run_command([*arguments, "--samples", "0", "-o", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    found = {one.model: one for one in evaluation(tmp_path)}
    assert set(found) == {f"{run}:teacher", f"{run}:warm_start"}
    (greedy, strict) = found[f"{run}:teacher"].differences
    assert (greedy.a, greedy.b, greedy.reading) == (f"{run}:warm_start", f"{run}:teacher", "greedy")
    # the teacher has 1 of 5 right, the random student none
    assert greedy.difference.mean == pytest.approx(0.2) and greedy.difference.n == 5
    assert strict.reading == "strict" and found[f"{run}:warm_start"].differences == ()
    assert f"easy_math\t{run}:warm_start\tgreedy accuracy\t5\t+20.0 ±" in said
    assert run_command(["evaluate", run, "--against", run, "--on", on]) == 2
    assert "a model is named twice" in capsys.readouterr().err
    assert run_command(["evaluate", run, "--against", f"{bare}x/y/z", "--on", on]) == 2


def test_a_bare_checkpoint_is_asked_by_its_own_conventions(place: Path, tmp_path: Path) -> None:
    found = find_model(str(place / "warm_start" / "model"), None, ["evaluate.temperature=0.5"])
    student = found.config.student
    # no chat template; a context of 256: half of it for the answer
    assert (student.chat, student.output) == (False, "boxed")
    assert (student.max_prompt_tokens, student.max_completion_tokens) == (128, 128)
    assert "{question}" in student.prompt and "boxed" in student.prompt
    assert (found.config.evaluate.samples, found.config.evaluate.temperature) == (4, 0.5)


def test_the_command_takes_several_benchmarks_and_prints_json(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = f"easy_math={place / 'easy.jsonl'}"
    model = str(place / "run")
    code = run_command(
        ["evaluate", model, "--on", on, "--problems", "2", "--samples", "0", "--json", "-o", str(tmp_path)]
    )
    assert code == 0
    said = capsys.readouterr().out
    found = ModelEvaluation.model_validate_json(said[said.index("{") :])
    assert (found.benchmarks[0].problems, found.benchmarks[0].samples) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "nowhere/model"], "at least one benchmark"),
        (["evaluate", "nowhere/model/x", "--on", "gsm8k"], "there is no checkpoint folder"),
        (["evaluate", "http://127.0.0.1:9/v1", "--on", "gsm8k"], "name the model behind the address"),
        (["evaluate", "teacher", "--on", "gsm8k"], "name it with --config"),
        (["evaluate", "models:/none/1", "--on", "gsm8k"], "holds no MLflow database"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run_command(arguments) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_checkpoint_of_a_run(place: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint 'rlkd' yet"):
        find_model(f"{place / 'run'}:rlkd")


def test_cells() -> None:
    half = Figure(mean=0.5, se=0.125, low=0.3, high=0.7, n=16, clusters=16)
    none = Figure(mean=0.0, se=0.0, low=0.0, high=0.161, n=20, clusters=20)
    assert cell({"accuracy": half}) == "50.0 ±12.5"
    assert cell({"exact_match": half, "f1": half}) == "EM 50.0 ±12.5, F1 50.0 ±12.5"
    assert cell({"accuracy": none}) == "0.0 (0 to 16)"


def test_a_server_that_is_not_there_is_said_at_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = f"easy_math={place / 'easy.jsonl'}"
    assert run_command(["evaluate", "http://127.0.0.1:9/v1#m", "--on", on, "-o", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no OpenAI-compatible server answers at http://127.0.0.1:9/v1 (ConnectError" in said


def test_an_endpoint_that_answers_nothing_says_why(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(body: dict[str, Any]) -> Reply:
        return Reply("out of order", status=400) if body else Reply(raw=b'{"data": [{"id": "big"}]}')

    with SimulatedServer(broken) as server:
        arguments = ["evaluate", f"{server.url}#big", "--on", f"easy_math={place / 'easy.jsonl'}"]
        assert run_command([*arguments, "-o", str(tmp_path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "none of 6 problems was answered (last fault: big at" in said and "out of order" in said


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_asked(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback of `mkdir`, after the weights were loaded."""
    monkeypatch.setattr("flows.cli.evaluate._measure", lambda *args: pytest.fail("the model was asked"))
    on = f"easy_math={place / 'easy.jsonl'}"
    assert run_command(["evaluate", str(place / "run"), "--on", on, "-o", "/dev/null/x"]) == 2
    assert "cannot write to /dev/null/x: Not a directory; choose another --output" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.cli.evaluate.write_json_atomic", full)
    on = f"easy_math={place / 'easy.jsonl'}"
    assert run_command(["evaluate", str(place / "run"), "--on", on, "-o", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"the disk that holds {tmp_path} is full" in said
    assert "kept: every answer that was written;" in said


def test_a_neighbour_that_cannot_be_read_is_passed_over(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`{}` in a neighbour's folder ended the command in a ValidationError when all answers were made."""
    for name, content in (("old", b"{}"), ("torn", b"\xff\xfe")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_bytes(content)
    on = f"easy_math={place / 'easy.jsonl'}"
    assert run_command(["evaluate", str(place / "run"), "--on", on, "-o", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert "easy_math" in told.out
    for name in ("old", "torn"):
        assert (
            f"{tmp_path / name / 'evaluation.json'} cannot be read (damaged, or from another version)"
            in told.err
        )


def test_a_second_evaluation_of_a_model_says_that_it_waits(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = f"easy_math={place / 'easy.jsonl'}"
    arguments = ["evaluate", str(place / "run"), "--on", on, "-o", str(tmp_path)]
    assert run_command(arguments) == 0
    (lock,) = tmp_path.glob("*/.lock")
    capsys.readouterr()
    free = threading.Event()
    threading.Timer(1.0, free.set).start()
    with held_elsewhere(lock, free):
        assert run_command(arguments) == 0
    assert (
        f"another process evaluates {place / 'run'}:warm_start in {lock.parent}; waiting"
        in capsys.readouterr().err
    )
