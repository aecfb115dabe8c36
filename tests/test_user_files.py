"""Files that a user names: inputs of every kind, outputs that are links, FIFOs, devices, descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.errors import DataError, EndpointError
from rlkd.user_files import clean_json, clean_text, open_input, open_output, parse_json, read_text

ROOT = Path(__file__).resolve().parents[1]


def write(target: Path, text: str = "new\n", inputs: tuple[Path, ...] = ()) -> None:
    with open_output(target, inputs) as file:
        file.write(text)


def test_a_plain_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old\n")
    with pytest.raises(TypeError), open_output(target) as file:
        file.writelines(["half", 7])  # type: ignore[list-item]
    assert target.read_text() == "old\n"
    write(target)
    assert target.read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_plain_output_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch(mode=0o640)
    target.chmod(0o640)
    write(target)
    assert target.stat().st_mode & 0o777 == 0o640


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "a").symlink_to("real")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "dangling").symlink_to("made")
    os.link(tmp_path / "real", tmp_path / "hard")
    write(tmp_path / "b", "1")
    assert (tmp_path / "b").is_symlink() and (tmp_path / "a").is_symlink()
    assert (tmp_path / "real").read_text() == (tmp_path / "hard").read_text() == "1"
    assert (tmp_path / "real").stat().st_nlink == 2
    write(tmp_path / "dangling", "2")
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "made").read_text() == "2"


def test_a_fifo_is_written_through(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    write(fifo)
    reader.join(10)
    assert got == ["new\n"] and fifo.is_fifo()


def test_a_device_is_written_through(tmp_path: Path) -> None:
    write(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
    (tmp_path / "null").symlink_to("/dev/null")
    write(tmp_path / "null")
    assert (tmp_path / "null").is_symlink()
    if Path("/dev/full").is_char_device():
        with pytest.raises(DataError, match="/dev/full: cannot be written \\(No space left on device\\)"):
            write(Path("/dev/full"))


CODE = "import sys; from pathlib import Path; from rlkd.user_files import open_output\nwith open_output(Path(sys.argv[1])) as f: f.write('x é\\n')"


def in_a_shell(command: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "CODE": CODE}
    return subprocess.run(
        ["bash", "-c", command, "-", sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "log").write_text("before\n")
    done = in_a_shell('"$1" -c "$CODE" "$2" >> log && "$1" -c "$CODE" "$2" | cat', tmp_path, name)
    assert (done.returncode, done.stdout) == (0, "x é\n"), done.stderr
    assert (tmp_path / "log").read_text(encoding="utf-8") == "before\nx é\n"


def test_other_descriptors_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    done = in_a_shell('"$1" -c "$CODE" /dev/fd/3 3>> log', tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text(encoding="utf-8") == "before\nx é\n"


def test_the_output_is_no_input_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "rows"
    source.write_text("rows")
    (tmp_path / "link").symlink_to(source)
    os.link(source, tmp_path / "hard")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("rows", "./sub/../rows", "link", "hard", str(source)):
        with pytest.raises(
            DataError, match="is the input rows itself, which would be lost; name another file"
        ):
            write(Path(name), inputs=(Path("other"), Path("rows")))
    assert source.read_text() == "rows"
    write(Path("/dev/null"), inputs=(Path("/dev/null"),))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give the path of the file to write"):
        write(tmp_path)
    with pytest.raises(DataError, match=r"no/out: cannot be written \(No such file or directory\)"):
        write(tmp_path / "no" / "out")
    with pytest.raises(EndpointError), open_output(tmp_path / "out"):
        raise EndpointError("away")  # an OSError, but not the file's


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("ab\n".encode("utf-16-le"), "is UTF-16 text"),
        ("ab\n".encode("utf-16-be"), "is UTF-16 text"),
        ("a\n".encode("utf-32"), "is UTF-32 text"),
        (b"\x1f\x8b\x08\x00", "is compressed with gzip; unpack it first"),
        (b"PK\x03\x04....", "is a ZIP archive"),
        (b"PAR1....", "is a Parquet file; give it the ending .parquet"),
        (b"ok\nna\xefve\n", "line 2: not valid UTF-8 .*; save the file as UTF-8"),
    ],
)
def test_files_that_are_no_utf8_are_refused_by_name(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_text(path)


def test_a_byte_order_mark_is_not_content(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"\xef\xbb\xbf{}\n\xef\xbb\xbf")
    with open_input(path) as file:
        assert list(file) == [b"{}\n", b"\xef\xbb\xbf"]
    for text in (b"", b"a", b"ab", b"1"):
        path.write_bytes(text)
        assert read_text(path).encode() == text


def test_a_key_twice_is_refused() -> None:
    assert parse_json('{"a": {"b": 1}, "c": [{"b": 1}]}') == {"a": {"b": 1}, "c": [{"b": 1}]}
    for text in ('{"a": 1, "a": 1}', '[{"x": {"a": 1, "a": 2}}]'):
        with pytest.raises(ValueError, match="the key 'a' occurs twice in one object; keep one"):
            parse_json(text)


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    assert clean_text("a\ud83d b") == "a\ufffd b"
    assert clean_text("\ud83d\ude00") == "\U0001f600"
    assert clean_json({"k\udc00": ["\ud800", 1, None]}) == {"k\ufffd": ["\ufffd", 1, None]}


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_clean_text_can_always_be_written_and_leaves_unicode_alone(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert clean_text(cleaned) == cleaned
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert cleaned == text
