"""The cache: by content, for several processes, JSON only, other versions ignored."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diskcache
import pytest

import rlkd.structure.backends.cache as cache_module
from rlkd.errors import UserError
from rlkd.structure.backends.cache import DiskCache, RequestCache, default_folder


def number(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("not a number")
    return value


def shared(disk: DiskCache | None = None, name: str = "double@1", memory: int = 100) -> RequestCache[int]:
    return RequestCache("number", name, int, number, disk, memory)


class Doubler:
    """Doubles numbers, slowly; counts what it is asked; fails or is missing where told."""

    def __init__(self, missing: Sequence[int] = (), wait: float = 0.0) -> None:
        self.asked: list[int] = []
        self.missing = set(missing)
        self.wait = wait

    async def get(self, cache: RequestCache[int], numbers: Sequence[int]) -> list[int | None]:
        async def make(wanted: list[int]) -> list[int | None]:
            values = [numbers[i] for i in wanted]
            self.asked += values
            await asyncio.sleep(self.wait)
            return [None if value in self.missing else 2 * value for value in values]

        return await cache.get([cache.key(n) for n in numbers], make)


def test_each_value_of_a_batch_is_made_once_and_order_is_kept() -> None:
    doubler, cache = Doubler(), shared()
    assert asyncio.run(doubler.get(cache, [3, 1, 3, 2, 1])) == [6, 2, 6, 4, 2]
    assert doubler.asked == [3, 1, 2]
    assert asyncio.run(doubler.get(cache, [2, 5])) == [4, 10]
    assert doubler.asked == [3, 1, 2, 5]
    assert (cache.stats.asked, cache.stats.memory, cache.stats.joined) == (4, 1, 2)


def test_what_is_under_way_is_not_asked_again() -> None:
    doubler, cache = Doubler(wait=0.01), shared()

    async def together() -> list[list[int | None]]:
        return await asyncio.gather(*(doubler.get(cache, [i, 7]) for i in range(4)))

    assert asyncio.run(together()) == [[2 * i, 14] for i in range(4)]
    assert sorted(doubler.asked) == [0, 1, 2, 3, 7]


def test_missing_values_go_to_all_who_wait_and_are_asked_again_later(tmp_path: Path) -> None:
    doubler, cache = Doubler(missing=[1], wait=0.01), shared(DiskCache(tmp_path))

    async def together() -> list[list[int | None]]:
        return await asyncio.gather(doubler.get(cache, [1, 2]), doubler.get(cache, [1]))

    assert asyncio.run(together()) == [[None, 4], [None]]
    assert doubler.asked == [1, 2]
    assert asyncio.run(doubler.get(cache, [1, 2])) == [None, 4]
    assert doubler.asked == [1, 2, 1]
    assert cache.stats.missing == 2


def test_an_error_reaches_everyone_who_waits() -> None:
    cache = shared()

    async def make(wanted: list[int]) -> list[int | None]:
        await asyncio.sleep(0.01)
        raise RuntimeError("broken")

    async def together() -> list[Any]:
        return await asyncio.gather(*(cache.get(["k"], make) for _ in range(2)), return_exceptions=True)

    assert [str(result) for result in asyncio.run(together())] == ["broken", "broken"]


def test_when_the_one_who_asks_is_cancelled_the_next_one_asks() -> None:
    doubler, cache = Doubler(wait=0.02), shared()

    async def story() -> list[int | None]:
        first = asyncio.create_task(doubler.get(cache, [4]))
        await asyncio.sleep(0)
        second = asyncio.create_task(doubler.get(cache, [4]))
        await asyncio.sleep(0.005)
        first.cancel()
        return await second

    assert asyncio.run(story()) == [8]
    assert doubler.asked == [4, 4]


def test_the_least_recently_used_value_leaves_memory() -> None:
    doubler, cache = Doubler(), shared(memory=2)
    for numbers in ([1], [2], [1], [3], [1], [2]):
        asyncio.run(doubler.get(cache, numbers))
    assert doubler.asked == [1, 2, 3, 2]  # 3 pushed out 2, not 1


def test_values_survive_on_disk_and_are_found_by_content(tmp_path: Path) -> None:
    asyncio.run(Doubler().get(shared(DiskCache(tmp_path)), [1, 2]))
    again, cache = Doubler(), shared(DiskCache(tmp_path))
    assert asyncio.run(again.get(cache, [2, 3])) == [4, 6]
    assert again.asked == [3]
    assert cache.stats.disk == 1
    renamed = Doubler()
    asyncio.run(renamed.get(shared(DiskCache(tmp_path), name="double@2"), [2]))
    assert renamed.asked == [2]  # another prompt version is another value


def test_another_cache_version_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(Doubler().get(shared(DiskCache(tmp_path)), [1]))
    monkeypatch.setattr(cache_module, "CACHE_VERSION", 2)
    newer = Doubler()
    asyncio.run(newer.get(shared(DiskCache(tmp_path)), [1]))
    assert newer.asked == [1]


@pytest.mark.parametrize(
    "stored",
    [
        "not json",
        "[]",
        '{"value": 99}',
        '{"version": 0, "kind": "number", "name": "double@1", "value": 99}',
        '{"version": 1, "kind": "other", "name": "double@1", "value": 99}',
        '{"version": 1, "kind": "number", "name": "double@1"}',
        '{"version": 1, "kind": "number", "name": "double@1", "value": "99"}',
        '{"version": 1, "kind": "number", "name": "double@1", "value": null}',
    ],
)
def test_an_entry_that_does_not_fit_is_made_again_never_misread(tmp_path: Path, stored: str) -> None:
    disk = DiskCache(tmp_path)
    doubler, cache = Doubler(), shared(disk)
    disk._cache.set(cache.key(1), stored)
    assert asyncio.run(doubler.get(cache, [1])) == [2]
    assert doubler.asked == [1]


def test_a_pickled_row_is_never_opened(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    cache = shared(disk)
    disk.close()
    plain = diskcache.Cache(str(tmp_path / "v1"), disk=diskcache.Disk)
    trap = tmp_path / "sprung"
    # A pickle that would make a file when it is loaded: protocol 0, builtins.open(path, "w")
    code = b"cbuiltins\nopen\n(V" + str(trap).encode() + b"\nVw\ntR."
    plain.set(cache.key(1), "x")
    with sqlite3.connect(tmp_path / "v1" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (code,))
    plain.close()
    doubler = Doubler()
    assert asyncio.run(doubler.get(shared(DiskCache(tmp_path)), [1])) == [2]
    assert not trap.exists()
    assert DiskCache(tmp_path)._cache.disk.__class__.__name__ == "_TextDisk"


def test_only_text_goes_in(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    with pytest.raises(TypeError, match="values are text"):
        disk._cache.set("key", {"a": 1})
    with pytest.raises(TypeError, match="keys are text"):
        disk._cache.set(("a",), "text")
    with pytest.raises(TypeError, match="values are text"):
        disk._cache.set("key", io.BytesIO(b"x"), read=True)


def test_long_values_and_every_character(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    value = {"text": "é\ud800\u2028" * 30_000}  # longer than what diskcache keeps inside the database
    disk.put("kind", "name", {"k": value})
    assert DiskCache(tmp_path).get("kind", "name", ["k", "absent"]) == [value, None]


WRITER = """
import sys, asyncio
from pathlib import Path
from rlkd.structure.backends.cache import DiskCache
disk = DiskCache(Path(sys.argv[1]))
for i in range(60):
    disk.put("kind", "name", {f"{i}": {"n": i}, f"{sys.argv[2]}-{i}": {"n": i}})
    assert disk.get("kind", "name", [f"{i}"]) == [{"n": i}]
"""


@pytest.mark.slow
def test_several_processes_write_at_once(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(w)], stderr=subprocess.PIPE)
        for w in range(3)
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=300)
        assert writer.returncode == 0, said.decode()
    keys = [str(i) for i in range(60)] + [f"{w}-{i}" for w in range(3) for i in range(60)]
    assert DiskCache(tmp_path).get("kind", "name", keys) == [
        {"n": i} for i in [*range(60), *list(range(60)) * 3]
    ]


def test_a_folder_that_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "cache.db").write_text("this is no database" * 100)
    with pytest.raises(UserError, match="delete the folder"):
        DiskCache(tmp_path).get("kind", "name", ["k"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        DiskCache(tmp_path / "file")


def test_where_the_cache_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLKD_CACHE", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("RLKD_CACHE")
    assert default_folder() == Path("runs/.cache")


def test_entries_are_plain_json(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    disk.put("number", "double@1", {"k": 4})
    with sqlite3.connect(tmp_path / "v1" / "cache.db") as database:
        [(key, value)] = database.execute("SELECT key, value FROM Cache").fetchall()
    assert (key, json.loads(value)) == ("k", {"version": 1, "kind": "number", "name": "double@1", "value": 4})
