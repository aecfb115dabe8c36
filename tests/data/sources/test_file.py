"""Local files: every format, every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.sources import Loaded, open_source
from rlkd.errors import DataError

ROWS = [{"q": "What is 1+1?", "a": 2, "id": 7}, {"q": "Is ice cold?", "a": True, "id": 8}]


def load(path: Path, **data: Any) -> Loaded:
    base = {
        "type": "file",
        "path": str(path),
        "columns": {"question": "q", "answer": "a", "id": "id", "traces": ["q"]},
        "max_malformed_share": 1.0,
    }
    config = parse_config({"name": "t", "data": {**base, **data}, "traces": {"teacher": {"type": "column"}}})
    return open_source(config.data).load(0)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(path: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    rows = [{**row, "a": str(row["a"]).replace("True", "yes")} for row in ROWS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "wrapped.json", "bom.jsonl", "csv", "bom.csv", "parquet"])
def test_every_format_gives_the_same_problems(tmp_path: Path, kind: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    table = 'q,a,id\nWhat is 1+1?,2,7\n"Is ice cold?",yes,8\n'
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        parquet(path)
    else:
        texts = {
            "jsonl": lines,
            "json": json.dumps(ROWS),
            "wrapped.json": json.dumps({"v": 1, "data": ROWS}),
            "csv": table,
        }
        texts |= {"bom.jsonl": "\ufeff" + lines, "bom.csv": "\ufeff" + table}
        write(path, texts[kind])
    loaded = load(path)
    assert [(p.id, p.question, p.answer) for p in loaded.splits["train"]] == [
        ("7", "What is 1+1?", "2"),
        ("8", "Is ice cold?", "yes"),
    ]
    assert (loaded.rows, loaded.dropped) == (2, [])


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ('{"q": "x", "a": ', "malformed line", "not valid JSON"),
        ("[1, 2]", "malformed line", "a list, not an object"),
        ("[" * 100_000, "malformed line", "not valid JSON"),
        ('{"q": "x", "a": null, "id": 1}', "no answer", "'a'"),
        ('{"q": "x", "a": "  ", "id": 1}', "no answer", "'a'"),
        ('{"q": "x", "a": [1], "id": 1}', "no answer", "'a'"),
        ('{"q": "x", "a": NaN, "id": 1}', "no answer", "'a'"),
        ('{"q": "", "a": "1", "id": 1}', "no question", "'q'"),
        ('{"a": "1", "id": 1}', "no question", "'q'"),
        ('{"q": "x", "a": "1", "id": null}', "no id", "'id'"),
    ],
)
def test_malformed_rows_are_skipped_with_their_line_and_reason(
    tmp_path: Path, line: str, reason: str, detail: str
) -> None:
    text = (
        "".join(json.dumps(row) + "\n" for row in ROWS) + "\n" + line + "\n"
    )  # the blank line counts as a line, not as a row
    loaded = load(write(tmp_path / "d.jsonl", text))
    assert len(loaded.splits["train"]) == 2
    assert loaded.rows == 3
    (row,) = loaded.dropped
    assert (row.where, row.reason) == ("d.jsonl, line 4", reason)
    assert detail in row.detail


def test_bytes_that_are_no_text_are_a_malformed_line(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "d.jsonl", json.dumps(ROWS[0]).encode() + b'\n{"q": "\xff\xfe"}\n'))
    assert [(row.where, row.reason) for row in loaded.dropped] == [("d.jsonl, line 2", "malformed line")]


def test_csv_rows_of_the_wrong_width_are_malformed(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "d.csv", 'q,a,id\nx,1,1\ny,2\n"two\nlines",3,3\nz,4,4,4\n'))
    assert [p.question for p in loaded.splits["train"]] == ["x", "two\nlines"]
    # The row over two lines is lines 4 and 5, so the last one is line 6.
    assert [(row.where, row.detail) for row in loaded.dropped] == [
        ("d.csv, line 3", "2 fields where the header has 3"),
        ("d.csv, line 6", "4 fields where the header has 3"),
    ]


def test_columns_that_no_row_has_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", json.dumps(ROWS[0]) + "\n")
    with pytest.raises(
        DataError,
        match=r"data\.columns\.question names 'question', and data\.columns\.traces\.0 names 'why', which no row has; the columns are a, id, q",
    ):
        load(path, columns={"question": "question", "answer": "a", "traces": ["why"]})


def test_mapping_difficulty_domain_and_several_traces(tmp_path: Path) -> None:
    row = {
        "q": "x",
        "a": 3.0,
        "level": "4",
        "kind": "algebra",
        "one": "path one",
        "more": ["path two", "", None, "path three"],
    }
    columns = {
        "question": "q",
        "answer": "a",
        "difficulty": "level",
        "domain": "kind",
        "traces": ["one", "more"],
    }
    bad = {**row, "level": "hard"}
    loaded = load(
        write(tmp_path / "d.jsonl", json.dumps(row) + "\n" + json.dumps(bad) + "\n"),
        columns=columns,
        domain="math",
    )
    (problem,) = loaded.splits["train"]
    assert (problem.id, problem.answer, problem.difficulty, problem.domain) == ("d:1", "3", 4, "algebra")
    assert problem.traces == ("path one", "path two", "path three")
    assert loaded.dropped[0].reason == "difficulty is no whole number"


def test_the_last_match_of_the_answer_pattern_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", json.dumps({"q": "x", "a": "#### 1\nwait\n#### 1,234 "}) + "\n")
    loaded = load(
        path, columns={"question": "q", "answer": "a", "traces": ["a"]}, answer_pattern=r"####\s*(.+)"
    )
    assert loaded.splits["train"][0].answer == "1,234"


def test_missing_and_unreadable_files_are_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"there is no .*absent.*the data can be had at https://example\.org"):
        load(tmp_path / "absent", homepage="https://example.org")
    with pytest.raises(DataError, match="is a folder; name the file of each split"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"data\.files: there is no .*t\.jsonl.*the data can be had at here"):
        load(tmp_path, files={"train": "t.jsonl"}, homepage="here")
    file = write(tmp_path / "d.txt", "x")
    with pytest.raises(DataError, match=r"files of type '\.txt' cannot be read; use \.csv, \.json"):
        load(file)
    with pytest.raises(DataError, match=r"is a file, but data\.files names"):
        load(file, files={"train": "t.jsonl"})
    monkeypatch.delenv("RLKD_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError,
        match=r"the environment variable RLKD_DATA is not set; set it .* the data can be had at https://example\.org",
    ):
        load(Path("$RLKD_DATA/gsm8k"), homepage="https://example.org")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.json", '[{"q": 1},\n{"q": ]', r"d\.json, line 2: not valid JSON"),
        ("d.json", '{"a": 1}', "must hold a list of objects; this one holds an object with a"),
        ("d.json", b"\xff\xfe\xff", "is UTF-16 text; save it as UTF-8"),
        ("d.csv", b"q,a,id\n\xff\xfe,1,1\n", "not valid UTF-8"),
        ("d.parquet", b"PAR1 and then nothing", "not a readable Parquet file"),
    ],
)
def test_files_that_are_broken_as_a_whole(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / name, content))


def test_a_folder_in_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").mkdir()
    with pytest.raises(DataError, match=r"there is no .*train\.jsonl"):
        load(tmp_path, files={"train": "train.jsonl"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.jsonl", json.dumps(ROWS[0]).encode("utf-16"), r"d\.jsonl: is UTF-16 text; save it as UTF-8"),
        ("d.csv", "q,a,id\nx,1,1\n".encode("utf-16-le"), r"d\.csv: is UTF-16 text; save it as UTF-8"),
        ("d.csv", b"\x1f\x8b\x08\x00", "is compressed with gzip; unpack it first"),
        ("d.jsonl", b"PAR1", "is a Parquet file; give it the ending .parquet"),
        ("d.csv", b"q,a,a,id\nx,1,2,3\n", r"d\.csv: two columns are named 'a'; rename or remove one"),
        ("d.json", b'[{"q": "x", "a": 1, "a": 2}]', "the key 'a' occurs twice in one object; keep one"),
    ],
)
def test_files_of_another_kind_and_names_that_occur_twice(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(write(tmp_path / name, content))


def test_a_key_twice_in_a_line_is_a_malformed_line(tmp_path: Path) -> None:
    loaded = load(
        write(tmp_path / "d.jsonl", '{"q": "x", "a": 1, "a": 2, "id": 1}\n{"q": "y", "a": 3, "id": 2}\n')
    )
    assert [p.answer for p in loaded.splits["train"]] == ["3"]
    assert "the key 'a' occurs twice" in loaded.dropped[0].detail


def test_parquet_columns_named_twice(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table([["x"], ["1"], ["2"]], names=["q", "a", "a"])
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(DataError, match="two columns are named 'a'"):
        load(tmp_path / "d.parquet")


def test_parquet_values_of_every_type_are_answers(tmp_path: Path) -> None:
    import datetime
    from decimal import Decimal

    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({
        "q": [f"question {i}" for i in range(4)],
        "id": [1, 2, 3, 4],
        "a": pyarrow.array([Decimal("18.00"), Decimal("-0.50"), Decimal("1200"), None], pyarrow.decimal128(10, 2)),
        "d": pyarrow.array([datetime.date(2021, 4, 30)] * 4),
        "b": pyarrow.array([b"forty"] * 4),
    })  # fmt: skip
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    columns = {"question": "q", "id": "id"}
    for column, answers in {"a": ["18", "-0.5", "1200"], "d": ["2021-04-30"] * 4, "b": ["forty"] * 4}.items():
        loaded = load(tmp_path / "d.parquet", columns={**columns, "answer": column, "traces": ["q"]})
        assert [p.answer for p in loaded.splits["train"]] == answers


def test_half_characters_are_replaced_and_said(tmp_path: Path) -> None:
    lines = '{"q": "a \\ud83d b", "a": 1, "id": 1}\n{"q": "", "a": "\\udc00", "id": 2}\n{"q": "fine", "a": 2, "id": 3}\n'
    loaded = load(write(tmp_path / "d.jsonl", lines))
    assert [p.question for p in loaded.splits["train"]] == ["a \ufffd b", "fine"]
    assert loaded.notes == [
        "2 rows hold characters that are no Unicode (halves of surrogate pairs), each replaced by U+FFFD; the first is d.jsonl, line 1"
    ]
    for row in (*loaded.splits["train"], *loaded.dropped):
        row.model_dump_json().encode()


CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "2+2=4\n#### 4"}]


@pytest.mark.parametrize(
    ("traces", "expected"),
    [
        ("one", ("one",)), (["one", None, " "], ("one",)), (None, ()), (CHAT, ("2+2=4\n#### 4",)), ([CHAT, CHAT], ("2+2=4\n#### 4",) * 2),
        ([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], ("a",)), ({"messages": CHAT}, ("2+2=4\n#### 4",)),
        ([{"model": "m", "text": "one"}, {"model": "n", "text": "two"}], ("one", "two")),
        ([{"role": "assistant", "content": "4", "reasoning_content": "2+2"}], ("2+2\n4",)),
        ([{"role": "assistant", "content": [{"type": "text", "text": "4"}]}], ("4",)),
    ],
)  # fmt: skip
def test_traces_in_every_form(tmp_path: Path, traces: Any, expected: tuple[str, ...]) -> None:
    row = {"q": "x", "a": 4, "id": 1, "t": traces}
    loaded = load(
        write(tmp_path / "d.jsonl", json.dumps(row)),
        columns={"question": "q", "answer": "a", "traces": ["t"]},
    )
    assert loaded.splits["train"][0].traces == expected


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"t": 5}, "column 't' holds a value of type int"),
        (
            {"t": [{"steps": ["a"], "n": 1}]},
            "column 't' holds objects with steps, n, none of which is text, content",
        ),
        ({"t": CHAT[:1]}, "holds a chat in which no assistant speaks"),
        ({"a": ["18"]}, "column 'a' holds a list of 1"),
        ({"q": CHAT + CHAT}, "a chat in which the user speaks 2 times, not once"),
    ],
)
def test_what_cannot_be_read_is_dropped_with_its_reason(tmp_path: Path, row: Any, detail: str) -> None:
    lines = json.dumps({"q": "x", "a": 4, "id": 1, "t": "y", **row})
    loaded = load(
        write(tmp_path / "d.jsonl", lines), columns={"question": "q", "answer": "a", "traces": ["t"]}
    )
    assert detail in loaded.dropped[0].detail


def test_a_question_as_a_chat(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2+2?"}]
    loaded = load(
        write(tmp_path / "d.jsonl", json.dumps({"q": asked, "a": 4, "id": 1, "t": "y"})),
        columns={"question": "q", "answer": "a", "traces": ["t"]},
    )
    assert loaded.splits["train"][0].question == "Be brief.\n\nWhat is 2+2?"


@pytest.mark.parametrize("name", ["lines.json", "list.jsonl", "indented.jsonl"])
def test_json_lines_and_json_lists_under_each_others_ending(tmp_path: Path, name: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    text = {
        "lines.json": lines,
        "list.jsonl": json.dumps(ROWS),
        "indented.jsonl": json.dumps(ROWS, indent=1),
    }[name]
    assert [p.answer for p in load(write(tmp_path / name, text)).splits["train"]] == ["2", "yes"]


def test_a_column_names_what_problems_share(tmp_path: Path) -> None:
    rows = [{**row, "story": story} for row, story in zip(ROWS, (3, ""), strict=True)]
    path = write(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    columns = {"question": "q", "answer": "a", "traces": ["q"], "cluster": "story"}
    assert [p.metadata for p in load(path, columns=columns).splits["train"]] == [{"cluster": "3"}, {}]
    with pytest.raises(DataError, match=r"data\.columns\.cluster names 'passage', which no row has"):
        load(path, columns={**columns, "cluster": "passage"})
