from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import UserError
from rlkd.io import write_json_atomic, write_rows
from rlkd.reporting.compare import compare_runs, load_run
from schemas.artifact import RunManifest, StageEntry
from schemas.evaluation import ProblemOutput

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(
        folder_name: str,
        correct: list[int],
        seed: int = 0,
        data: str = "same",
        checkpoint: str = "rlkd",
        **run: Any,
    ) -> Path:
        folder, store = tmp_path / folder_name, tmp_path / "store" / folder_name
        folder.mkdir()
        store.mkdir(parents=True)
        rows = [
            ProblemOutput(
                checkpoint=which,  # type: ignore[arg-type]
                split="test",
                problem_id=f"p{i}",
                domain="math",
                difficulty=None,
                completion="",
                answer=None,
                correct=bool(right) if which != "base" else False,
                structure=0.5 + 0.5 * right,
                format=1.0,
                tokens=1,
                finish_reason="stop",
            )
            for which in ("base", checkpoint)
            for i, right in enumerate(correct)
        ]
        write_rows(store / "outputs.jsonl", rows)
        stages = (
            StageEntry(name="data", status="done", sha256=data),
            StageEntry(name="evaluate", status="done", uri=str(store)),
        )
        manifest = {
            "name": folder_name,
            "config": {"seed": seed},
            "config_digest": "",
            "store": "",
            "stages": stages,
        }
        write_json_atomic(folder / "run.json", RunManifest.model_validate({**manifest, **run}))
        return folder

    return build


def test_the_last_checkpoint_is_the_method(make: Make) -> None:
    assert load_run(str(make("rlkd", [1, 0]))).checkpoint == "rlkd"
    assert load_run(str(make("sft", [1, 0], checkpoint="warm_start"))).checkpoint == "warm_start"


def test_methods_and_paired_differences(make: Make) -> None:
    text = compare_runs(
        [str(make("rlkd", [1, 1, 1, 0])), str(make("sft", [1, 0, 0, 0], checkpoint="warm_start"))],
        resamples=200,
    )
    lines = text.splitlines()
    assert lines[2] == "| Method | Seeds | Accuracy, in distribution | Structure, in distribution |"
    assert lines[4].startswith("| rlkd | 0 | 75.0% [")
    assert lines[5].startswith("| sft | 0 | 25.0% [")
    # (1-1) + (1-0) + (1-0) + (0-0) over 4 problems: 50 points; structure is half of that.
    assert "| seed 0 | +50.0 [" in text
    assert "| +0.250 [" in text
    assert "Every run" not in text


def test_seeds_are_paired_with_their_own(make: Make) -> None:
    arguments = [
        f"RLKD={make('a0', [1, 1, 0, 0], 0)}",
        f"RLKD={make('a1', [1, 1, 1, 1], 1)}",
        f"more SFT={make('b0', [0, 0, 0, 0], 0)}",
        f"more SFT={make('b1', [0, 1, 1, 1], 1)}",
    ]
    text = compare_runs(arguments, resamples=200)
    assert "| RLKD | 0, 1 | 75.0% [" in text
    assert "| RLKD | a1 | 1 | 100.0% [" in text
    assert "| seed 0 | +50.0 [" in text  # 2 of 4
    assert "| seed 1 | +25.0 [" in text  # 1 of 4
    assert "| all 2 | +37.5 [" in text


def test_a_problem_that_two_seeds_have_is_one_problem(make: Make) -> None:
    # Another seed splits the data in another way, so that its data has another digest; the problems are the same. Two seeds
    # that answer them alike say as much as one: the interval is that of either.
    right = [1, 0, 0, 1, 1] * 8
    runs = [f"RLKD={make(f'a{seed}', right, seed, data=f'split {seed}')}" for seed in (0, 1)]
    lines = compare_runs(runs, resamples=400).splitlines()
    method = next(line for line in lines if line.startswith("| RLKD | 0, 1 | "))
    alone = next(line for line in lines if line.startswith("| RLKD | a0 | 0 | "))
    assert method.split(" | ")[2:] == alone.split(" | ")[3:]


def test_other_data_or_seeds_are_not_paired(make: Make) -> None:
    first = str(make("a", [1, 0]))
    assert "nothing can be paired" in compare_runs([first, str(make("b", [1, 0], seed=1))], resamples=100)
    assert "nothing can be paired" in compare_runs(
        [first, str(make("c", [1, 0], data="other"))], resamples=100
    )


def test_structure_scores_by_other_settings_do_not_compare(make: Make) -> None:
    one, other = (
        make("a", [1]),
        make("b", [1], config={"seed": 0, "structures": {"alignment": {"type": "prefix"}}}),
    )
    assert "structure scores do not compare" in compare_runs([str(one), str(other)], resamples=100)
    assert "do not compare" not in compare_runs([str(one), str(make("c", [1]))], resamples=100)


def test_equal_students_have_no_difference(make: Make) -> None:
    text = compare_runs([str(make(name, [1, 0, 1])) for name in ("a", "b")], resamples=100)
    assert "| seed 0 | 0.0 [0.0, 0.0] | 0.000 [0.000, 0.000] |" in text


def test_runs_of_one_preset_with_other_settings_are_two_methods(make: Make) -> None:
    one = make("one", [1, 1], name="demo", config={"seed": 0, "rewards": {"alpha": 0.5}})
    same = make("same", [1, 0], name="demo", config={"seed": 1, "rewards": {"alpha": 0.5}})
    other = make("other", [0, 0], name="demo", config={"seed": 0, "rewards": {"alpha": 0}})
    text = compare_runs([str(one), str(other)], resamples=100)
    assert "| one | 0 | 100.0% [" in text and "| other | 0 | 0.0% [" in text
    assert "**one against other**" in text and "| seed 0 | +100.0 [" in text
    assert "| demo | 0, 1 | 75.0% [" in compare_runs(
        [str(one), str(same)], resamples=100
    )  # seeds of one method


def test_a_run_is_not_counted_twice(make: Make) -> None:
    one = str(make("one", [1]))
    with pytest.raises(
        UserError, match=r"one is named twice \(evaluated in .*\), and would count as two; name it once"
    ):
        compare_runs([one, one])
    with pytest.raises(UserError, match="one is named twice"):
        compare_runs([f"x={one}", f"y={one}"])  # no labels make two students of one
    reused = make("reused", [1])
    manifest = RunManifest.model_validate_json((Path(one) / "run.json").read_text())
    write_json_atomic(reused / "run.json", manifest)
    with pytest.raises(UserError, match=r"one and \S+reused hold one student"):
        compare_runs([one, str(reused)])


def test_what_cannot_be_compared_is_said_in_one_sentence(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: it has no run\.json"):
        load_run(str(tmp_path / "absent"))
    with pytest.raises(UserError, match="has no evaluation; finish it with: rlkd run"):
        load_run(str(make("early", [1], stages=())))
    gone = make("gone", [1])
    (tmp_path / "store" / "gone" / "outputs.jsonl").unlink()
    with pytest.raises(UserError, match=r"outputs\.jsonl is gone"):
        load_run(str(gone))
    (tmp_path / "store" / "gone" / "outputs.jsonl").write_text("")
    with pytest.raises(
        UserError, match=r"outputs\.jsonl has no answers; make it again with: rlkd run .* --from evaluate"
    ):
        load_run(str(gone))
    with pytest.raises(UserError, match=r"run\.json: config\.seed is 'x', which is no whole number; run the"):
        load_run(str(make("seeded", [1], config={"seed": "x"})))
    (gone / "run.json").write_text('{"name": 1}')
    with pytest.raises(UserError, match="damaged, or from another version"):
        load_run(str(gone))


def test_a_path_with_an_equals_sign_is_a_path(make: Make) -> None:
    found = load_run(str(make("alpha=0", [1])))
    assert found.label == "alpha=0"
