"""The data stage, end to end on real files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import load_config, parse_config
from rlkd.data.filters import symbols_of, words_of
from rlkd.errors import DataError, WorldError

PRESETS = Path(__file__).resolve().parents[2] / "flows" / "presets"
GSM8K = Path(os.environ.get("RLKD_DATA") or "../shared/data") / "gsm8k"
needs_gsm8k = pytest.mark.skipif(
    not GSM8K.is_dir(), reason="GSM8K is not there: set RLKD_DATA to the folder that holds gsm8k/"
)


def test_every_row_is_kept_dropped_or_unused(tmp_path: Path, kit: Any, run_data: Any) -> None:
    items = kit.rows(40)
    items += [
        "{broken",
        {"question": "no answer here", "answer": "  "},
        {"question": "q", "answer": "no mark"},
        items[3],
    ]
    run = run_data(
        kit.file_config(
            kit.write_jsonl(tmp_path / "a.jsonl", items),
            max_malformed_share=0.1,
            sizes={"train": 20, "validation": 5},
        )
    )
    assert run.summary["loaded"] == 44
    assert run.summary["dropped"] == {"no answer": 2, "malformed line": 1, "exact duplicate": 1}
    # 40 good problems: 10% = 4 become the test split, 5 validation, 31 are left, 20 of them asked for.
    assert run.summary["kept"] == {"train": 20, "validation": 5, "test": 4, "ood": 0}
    assert run.summary["unused"] == 11
    assert run.result.rows == 29
    broken = next(row for row in run.dropped if row["reason"] == "malformed line")
    assert broken["where"] == "a.jsonl, line 41"
    assert broken["row"] == "{broken"
    assert run.events.done[-1] == (5, 5)


def test_splits_are_disjoint_and_come_from_the_seed(tmp_path: Path, kit: Any, run_data: Any) -> None:
    path = kit.write_jsonl(tmp_path / "a.jsonl", kit.rows(50))
    config = kit.file_config(path, sizes={"validation": 5, "test": 10})
    first, again = run_data(config), run_data(config)
    other = run_data(config.model_copy(update={"seed": 1}))
    names = ("train", "validation", "test")
    assert [first.ids(name) for name in names] == [again.ids(name) for name in names]
    assert first.ids("test") != other.ids("test")
    everything = [i for name in names for i in first.ids(name)]
    assert len(everything) == len(set(everything)) == 50
    assert all(problem.split == name for name in names for problem in first.split(name))


def test_a_smaller_training_set_is_a_part_of_a_larger_one(tmp_path: Path, kit: Any, run_data: Any) -> None:
    path = kit.write_jsonl(tmp_path / "a.jsonl", kit.rows(50))
    small = run_data(kit.file_config(path, sizes={"train": 10, "validation": 5, "test": 10}))
    large = run_data(kit.file_config(path, sizes={"train": 20, "validation": 5, "test": 10}))
    assert large.ids("train")[:10] == small.ids("train")
    assert large.ids("test") == small.ids("test")


def test_own_splits_stay_and_only_validation_is_carved(tmp_path: Path, kit: Any, run_data: Any) -> None:
    kit.write_jsonl(tmp_path / "d" / "train.jsonl", kit.rows(20))
    kit.write_jsonl(tmp_path / "d" / "test.jsonl", kit.rows(8, start=100))
    kit.write_jsonl(tmp_path / "d" / "hard.jsonl", kit.rows(6, start=200))
    files = {"train": "train.jsonl", "test": "test.jsonl", "ood": "hard.jsonl"}
    run = run_data(kit.file_config(tmp_path / "d", files=files, sizes={"validation": 4, "ood": 5}))
    assert run.summary["kept"] == {"train": 16, "validation": 4, "test": 8, "ood": 5}
    assert set(run.ids("validation")) < {f"d:train:{i}" for i in range(1, 21)}
    assert set(run.ids("test")) == {f"d:test:{i}" for i in range(1, 9)}
    assert all(i.startswith("hard:") for i in run.ids("ood"))


def test_training_problems_that_overlap_the_test_are_dropped(tmp_path: Path, kit: Any, run_data: Any) -> None:
    shared = "one two three four five six seven eight nine ten eleven twelve thirteen"  # 13 words
    test = {"question": f"Start. {shared}, end?", "answer": "#### 1"}
    thirteen = {"question": f"Something else: {shared.upper()} and more", "answer": "#### 2"}
    twelve = {
        "question": "alpha " + shared.removesuffix(" thirteen") + " beta gamma delta",
        "answer": "#### 3",
    }
    kit.write_jsonl(tmp_path / "d" / "train.jsonl", [*kit.rows(10), thirteen, twelve])
    kit.write_jsonl(tmp_path / "d" / "test.jsonl", [test])
    run = run_data(
        kit.file_config(
            tmp_path / "d", files={"train": "train.jsonl", "test": "test.jsonl"}, sizes={"validation": 1}
        )
    )
    assert run.summary["dropped"] == {"overlaps evaluation": 1}
    assert run.dropped[0]["where"] == "train.jsonl, line 11"
    assert run.dropped[0]["detail"] == f"shares {shared!r} with d:test:1"
    assert run.summary["kept"]["test"] == 1


def test_a_test_problem_repeated_in_training_is_dropped_there(
    tmp_path: Path, kit: Any, run_data: Any
) -> None:
    kit.write_jsonl(tmp_path / "d" / "train.jsonl", kit.rows(10))
    kit.write_jsonl(tmp_path / "d" / "test.jsonl", kit.rows(3, start=8))
    run = run_data(kit.file_config(tmp_path / "d", files={"train": "train.jsonl", "test": "test.jsonl"}))
    assert run.summary["dropped"] == {"exact duplicate": 2}
    assert run.summary["kept"]["test"] == 3
    assert {row["where"] for row in run.dropped} == {"train.jsonl, line 9", "train.jsonl, line 10"}


def test_much_overlap_is_said_aloud(tmp_path: Path, kit: Any, run_data: Any) -> None:
    order = "think step by step then write the final answer on the last line please"
    kit.write_jsonl(
        tmp_path / "d" / "train.jsonl",
        [{"question": f"{kit.question(i)} {order}", "answer": f"#### {i}"} for i in range(20)]
        + kit.rows(9, 50),
    )
    kit.write_jsonl(
        tmp_path / "d" / "test.jsonl", [{"question": f"{kit.question(99)} {order}", "answer": "#### 1"}]
    )
    run = run_data(kit.file_config(tmp_path / "d", files={"train": "train.jsonl", "test": "test.jsonl"}))
    assert any("raise data.decontaminate.ngram" in text for text in run.events.texts)


def test_duplicate_ids_are_counted_and_ids_of_two_splits_told_apart(
    tmp_path: Path, kit: Any, run_data: Any
) -> None:
    def numbered(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "n": i % 9} for i, row in enumerate(items)]

    kit.write_jsonl(tmp_path / "d" / "train.jsonl", numbered(kit.rows(10)))  # ids 0..8 and 0 again
    kit.write_jsonl(tmp_path / "d" / "test.jsonl", numbered(kit.rows(2, start=100)))  # ids 0 and 1
    columns = {"id": "n", "traces": ["answer"]}
    run = run_data(
        kit.file_config(tmp_path / "d", files={"train": "train.jsonl", "test": "test.jsonl"}, columns=columns)
    )
    assert run.summary["dropped"] == {"duplicate id": 1}
    assert set(run.ids("test")) == {"test:0", "test:1"}
    assert set(run.ids("train") + run.ids("validation")) == {"train:0", "train:1", *map(str, range(2, 9))}


def test_malformed_rows_past_the_share_stop_the_stage(tmp_path: Path, kit: Any, run_data: Any) -> None:
    path = kit.write_jsonl(tmp_path / "a.jsonl", [*kit.rows(50), "{broken"])
    assert run_data(kit.file_config(path, max_malformed_share=0.02)).summary["dropped"] == {
        "malformed line": 1
    }  # 1/51 < 0.02
    with pytest.raises(
        DataError,
        match=r"1 of 51 rows are malformed.*a\.jsonl, line 51: malformed line \(not valid JSON: .*mend the rows or raise the share",
    ):
        run_data(kit.file_config(path, max_malformed_share=0.01))


def two_files(folder: Path, kit: Any, train: list[Any], test: list[Any], **data: Any) -> Any:
    kit.write_jsonl(folder / "train.jsonl", train)
    kit.write_jsonl(folder / "test.jsonl", test)
    return kit.file_config(folder, files={"train": "train.jsonl", "test": "test.jsonl"}, **data)


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, kit: Any, run_data: Any) -> None:
    config = two_files(tmp_path / "d", kit, [kit.rows(1)[0]] * 30, kit.rows(2, start=100))
    with pytest.raises(DataError, match=r"2 validation problems are to be taken out of 1 training problems"):
        run_data(config)
    config = two_files(tmp_path / "e", kit, kit.rows(10), [])
    with pytest.raises(DataError, match="no test problem is left"):
        run_data(config)
    words = " ".join(f"w{i}" for i in range(20))
    same = [{"question": f"{kit.question(i)} {words}", "answer": f"#### {i}"} for i in range(3)]
    test = [{"question": words, "answer": "#### 1"}]
    config = two_files(tmp_path / "f", kit, same, test, sizes={"validation": 0})
    with pytest.raises(DataError, match=r"no train problem is left \(3 overlaps evaluation\)"):
        run_data(config)


def test_an_empty_file_is_an_error(tmp_path: Path, kit: Any, run_data: Any) -> None:
    with pytest.raises(DataError, match=r"leaves none to train on|no train problem is left"):
        run_data(kit.file_config(kit.write_jsonl(tmp_path / "a.jsonl", [])))


def test_ood_that_the_source_does_not_have_is_an_error(tmp_path: Path, kit: Any, run_data: Any) -> None:
    with pytest.raises(DataError, match=r"data\.sizes\.ood is 5, but the source has no ood split"):
        run_data(kit.file_config(kit.write_jsonl(tmp_path / "a.jsonl", kit.rows(30)), sizes={"ood": 5}))


def test_filters_can_be_switched_off(tmp_path: Path, kit: Any, run_data: Any) -> None:
    items = [*kit.rows(20), *kit.rows(5)]
    off = {"deduplicate": {"enabled": False}, "decontaminate": {"enabled": False}}
    run = run_data(kit.file_config(kit.write_jsonl(tmp_path / "a.jsonl", items), **off))
    assert run.summary["dropped"] == {}
    assert sum(run.summary["kept"].values()) == 25


def test_less_than_asked_for_is_noted(tmp_path: Path, kit: Any, run_data: Any) -> None:
    run = run_data(
        kit.file_config(
            kit.write_jsonl(tmp_path / "a.jsonl", kit.rows(20)),
            sizes={"train": 100, "validation": 2, "test": 2},
        )
    )
    assert "train: 16 problems are left of the 100 asked for" in run.summary["notes"]


WORLD = {"n_train": 12, "n_validation": 4, "n_test": 6, "n_ood": 3}


def test_world_problems_pass_untouched(run_data: Any) -> None:
    run = run_data(parse_config({"name": "w", "seed": 3, "data": {"type": "world", "world": WORLD}}))
    assert run.summary["kept"] == {"train": 12, "validation": 4, "test": 6, "ood": 3}
    assert run.summary["dropped"] == {}
    assert "do not apply" in run.summary["notes"][0]
    graphs = [
        json.dumps(p.metadata["world"], sort_keys=True)
        for name in ("train", "validation", "test", "ood")
        for p in run.split(name)
    ]
    assert len(set(graphs)) == 25


def test_a_world_that_cannot_be_made_is_an_error(run_data: Any) -> None:
    impossible = {
        **WORLD,
        "n_train": 100_000,
        "steps": {"min": 1, "max": 1},
        "distractors": 0,
        "spare_facts": 0,
        "max_given": 1,
        "max_value": 1,
        "operations": {"arithmetic": ["plus"]},
    }
    with pytest.raises(WorldError):
        run_data(parse_config({"name": "w", "data": {"type": "world", "world": impossible}}))


@pytest.mark.slow
@needs_gsm8k
def test_gsm8k_preset_on_the_real_files(run_data: Any) -> None:
    run = run_data(load_config("gsm8k-smoke", [f"data.path={GSM8K}"], PRESETS))
    assert run.summary["loaded"] == 7473 + 1319
    assert run.summary["kept"]["test"] == 60
    assert run.summary["loaded"] == sum(run.summary["kept"].values()) + run.summary["unused"] + len(
        run.dropped
    )
    problem = run.split("train")[0]
    assert problem.traces[0].endswith(f"#### {problem.answer}")
    test_grams = {
        tuple(words[i : i + 13])
        for p in run.split("test")
        for words in [words_of(p.question)]
        for i in range(len(words) - 12)
    }
    for p in run.split("train") + run.split("validation"):
        words = words_of(p.question)
        assert not test_grams.intersection(tuple(words[i : i + 13]) for i in range(len(words) - 12))
    questions = [(tuple(words_of(p.question)), tuple(symbols_of(p.question))) for p in run.split("train")]
    assert len(set(questions)) == len(questions)
