"""lm-eval's own tasks on our checkpoints: a small task of one's own, and a tiny random model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flows.cli.main import run_command
from rlkd.errors import UserError
from rlkd.evaluation.harness import run_lm_eval
from rlkd.student.export import export_student
from rlkd.student.fresh import fresh_student
from schemas.config.student import StudentConfig

STUDENT = StudentConfig.model_validate(
    {
        "model": {"type": "fresh", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "context": 256},
        "prompt": "Q: {question}\nA: ",
        "max_prompt_tokens": 64,
        "max_completion_tokens": 8,
    }
)


def test_without_lm_eval_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(UserError, match=r"pip install 'rlkd\[lm-eval\]'"):
        run_lm_eval(tmp_path, ["gsm8k"], STUDENT)
    assert (
        run_command(["evaluate", "http://127.0.0.1:9/v1#m", "--lm-eval", "gsm8k", "-o", str(tmp_path)]) == 2
    )
    assert "takes checkpoints" in capsys.readouterr().err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported tiny model, and a task file with two problems beside it."""
    pytest.importorskip("lm_eval", reason="lm-eval is not installed (pip install 'rlkd[lm-eval]')")
    from rlkd.student.checkpoints import save_student

    place = tmp_path_factory.mktemp("harness")
    student = fresh_student(STUDENT, ["What is 1 + 1?"] * 20, seed=0)
    save_student(student.model, student.tokenizer, place / "model")
    export_student(place / "model", place / "export", STUDENT, {}, "card")
    rows = [{"question": "1 + 1?", "answer": "2"}, {"question": "2 + 1?", "answer": "3"}]
    (place / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "sums.yaml").write_text(
        f"""task: local_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {place / "sums.jsonl"}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["2", "3"]
doc_to_target: "{{{{['2', '3'].index(answer)}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
    )
    return place


@pytest.mark.slow
def test_a_task_of_ones_own_on_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    model = str(folder / "export")
    code = run_command(["evaluate", model, "--lm-eval", str(folder / "sums.yaml"), "-o", str(tmp_path)])
    assert code == 0
    (file,) = tmp_path.glob("*/evaluation.json")
    (found,) = json.loads(file.read_text())["lm_eval"]
    assert (found["task"], found["metric"], found["n"]) == ("local_sums", "acc", 2)
    assert found["value"] in (0.0, 0.5, 1.0)
    assert found["se"] is not None


@pytest.mark.slow
def test_an_unknown_task(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.tasks import TaskManager

    class Few(TaskManager):  # type: ignore[misc]
        """Only the task file of this test: reading lm-eval's own index takes 15 s."""

        def __init__(self, include_path: object = None, include_defaults: bool = True) -> None:
            super().__init__(include_path=str(folder), include_defaults=False)

    monkeypatch.setattr("lm_eval.tasks.TaskManager", Few)
    with pytest.raises(UserError, match="no task 'local_sum'; did you mean local_sums"):
        run_lm_eval(folder / "export", ["local_sum"], STUDENT)
