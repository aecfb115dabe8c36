from __future__ import annotations

from pathlib import Path

import pytest

from rlkd.errors import DataError
from rlkd.rewards.ledger import Ledger, read_ledger, undecided_answers
from schemas.alignment import StepMatch
from schemas.rollout import RewardRecord


def record(step: int, group: int = 0, **changes: object) -> RewardRecord:
    base: dict[str, object] = {
        "step": step, "group": group, "problem_id": f"p{group}", "completion": "α = 1\n\"x\"", "tokens": 3, "finish_reason": "stop",
        "components": {"structure": 0.25, "outcome": 1.0, "format": 1.0}, "reward": 0.625, "advantage": -0.5,
        "verdicts": (StepMatch(index=0, sub_problem="a", teacher_path=0, teacher_step=2, p_answer=0.5),), "steps_found": 1,
    }  # fmt: skip
    return RewardRecord.model_validate({**base, **changes})


def write(folder: Path, *steps: int) -> list[RewardRecord]:
    ledger = Ledger(folder)
    rows = [record(step, group) for step in steps for group in range(2)]
    ledger.add(rows)
    ledger.flush()
    return rows


def test_rows_survive_the_way_to_disk(tmp_path: Path) -> None:
    rows = write(tmp_path, 0, 1)
    missing = record(
        2,
        components={"structure": None, "outcome": 1.0, "format": 1.0},
        reward=None,
        advantage=0.0,
        missing=("structure",),
        verdicts=(),
    )
    ledger = Ledger(tmp_path)
    ledger.add([missing])
    ledger.flush()
    ledger.flush()  # nothing buffered: no part
    assert read_ledger(tmp_path) == [*rows, missing]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "part-0000000-0000001.parquet",
        "part-0000002-0000002.parquet",
    ]


def test_any_parquet_reader_can_read_it(tmp_path: Path) -> None:
    import pandas as pd

    write(tmp_path, 0)
    frame = pd.read_parquet(tmp_path / "part-0000000-0000000.parquet")
    assert list(frame["reward"]) == [0.625, 0.625]
    assert frame["verdicts"][0].startswith('[{"step": 0')


def test_rows_after_the_restored_checkpoint_are_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    write(tmp_path, 2, 3)
    write(tmp_path, 4, 5)
    ledger = Ledger(tmp_path)
    ledger.add([record(6)])
    # Steps 0, 1, 2 stay; 3 is cut from its part (2 rows), 4 and 5 go (4 rows).
    assert ledger.truncate(3) == 6
    ledger.flush()
    assert [row.step for row in read_ledger(tmp_path)] == [0, 0, 1, 1, 2, 2]
    assert ledger.truncate(3) == 0


def test_a_part_torn_by_a_crash_is_never_read(tmp_path: Path) -> None:
    rows = write(tmp_path, 0)
    (tmp_path / ".part-0000001-0000001.parquet.77.tmp").write_bytes(b"PAR1 torn")
    Ledger(tmp_path)
    assert read_ledger(tmp_path) == rows
    assert len(list(tmp_path.iterdir())) == 1


def test_unreadable_or_absent_parts_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no reward ledger here"):
        read_ledger(tmp_path)
    (tmp_path / "part-0000000-0000000.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a readable ledger part"):
        read_ledger(tmp_path)


def test_undecided_answers_are_counted_by_reason_over_all_parts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for step, reason in enumerate(["time", "", "no common value", "time"]):
        ledger.add([record(step, undecided=reason)])
        ledger.flush()
    assert list(undecided_answers(tmp_path).items()) == [("time", 2), ("no common value", 1)]
    assert [row.undecided for row in read_ledger(tmp_path)] == ["time", "", "no common value", "time"]


def test_a_ledger_of_an_earlier_release_names_no_undecided_answers(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = write(tmp_path, 0)
    (part,) = tmp_path.iterdir()
    pq.write_table(pq.read_table(part).drop_columns(["undecided"]), part)
    assert undecided_answers(tmp_path) == {}
    assert read_ledger(tmp_path) == rows
