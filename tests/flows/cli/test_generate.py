from __future__ import annotations

import io
from pathlib import Path

import pytest

from flows.cli.generate import find_checkpoint, generate_completions
from rlkd.config.load import config_digest, parse_config
from rlkd.errors import UserError
from rlkd.io import write_json_atomic
from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student
from schemas.artifact import RunManifest, StageEntry

CONFIG = parse_config(
    {
        "name": "talk",
        "data": {"type": "world"},
        "student": {
            "model": {
                "type": "fresh",
                "vocabulary": 300,
                "layers": 1,
                "width": 16,
                "heads": 2,
                "context": 128,
            },
            "max_prompt_tokens": 32,
            "max_completion_tokens": 8,
        },
    }
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a random student after RL, and its base."""
    folder = tmp_path_factory.mktemp("run")
    student = fresh_student(CONFIG.student, ["Ann has 3 pens. How many pens?"] * 20, seed=0)
    for name in ("base", "model"):
        save_student(student.model, student.tokenizer, folder / "rl" / name)
    manifest = RunManifest(
        name="talk",
        config=CONFIG.model_dump(mode="json"),
        config_digest=config_digest(CONFIG),
        store=str(folder),
        stages=(
            StageEntry(name="warm_start", status="skipped"),
            StageEntry(name="rl", status="done", uri=str(folder / "rl")),
        ),
        status="done",
    )
    write_json_atomic(folder / "run.json", manifest)
    return folder


def _manifest(run: Path) -> RunManifest:
    return RunManifest.model_validate_json((run / "run.json").read_text())


def test_the_last_checkpoint_that_the_run_has_is_the_default(run: Path) -> None:
    assert find_checkpoint(_manifest(run), CONFIG, None) == ("rlkd", run / "rl" / "model")
    assert find_checkpoint(_manifest(run), CONFIG, "base") == ("base", run / "rl" / "base")
    with pytest.raises(UserError, match="has no checkpoint 'warm_start' yet; it has base, rlkd"):
        find_checkpoint(_manifest(run), CONFIG, "warm_start")
    with pytest.raises(UserError, match="the checkpoints are base, warm_start, rlkd"):
        find_checkpoint(_manifest(run), CONFIG, "final")
    nothing = _manifest(run).model_copy(update={"stages": ()})
    with pytest.raises(UserError, match="has no student yet"):
        find_checkpoint(nothing, CONFIG, None)


def test_a_student_answers_the_same_twice_when_greedy(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        generate_completions(str(run), "How many pens?", None, 1, None)
        outputs.append(capsys.readouterr())
    assert outputs[0].out == outputs[1].out
    assert outputs[0].err == "(rlkd of talk)\n"


def test_several_samples_and_standard_input(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("How many pens?\n"))
    generate_completions(str(run), "-", "base", 3, None)
    assert capsys.readouterr().out.count("---\n") == 3


def test_problems_that_cannot_be_asked_are_user_errors(run: Path) -> None:
    with pytest.raises(UserError, match="the problem is empty"):
        generate_completions(str(run), "  ", None, 1, None)
    with pytest.raises(UserError, match=r"more than student\.max_prompt_tokens = 32; shorten it"):
        generate_completions(str(run), "many pens " * 100, None, 1, None)


@pytest.mark.slow
def test_a_registered_student_is_asked_as_it_was_trained(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    from rlkd.config.load import resolved_yaml
    from tasks import tracking

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match="runs holds no MLflow database"):
        generate_completions("models:/student@talk", "How many pens?", None, 1, None)
    uri = tracking.tracking_uri(Path("runs"))
    (tmp_path / "config.yaml").write_text(resolved_yaml(CONFIG))
    parent = tracking.begin_run(uri, CONFIG, config_digest(CONFIG), "", tmp_path / "config.yaml")
    tracking.log_student(uri, parent, "student", run / "rl" / "model", "d" * 64, {}, "", "talk")
    generate_completions(str(run), "How many pens?", None, 1, None)
    expected = capsys.readouterr().out
    for name in ("models:/student@talk", "models:/student/1"):
        generate_completions(name, "How many pens?", None, 1, None)
        assert capsys.readouterr().out == expected
    with pytest.raises(UserError, match="--checkpoint is for a run folder"):
        generate_completions("models:/student/1", "How many pens?", "base", 1, None)
