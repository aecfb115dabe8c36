"""Asks for the same thing once: in memory, on disk, within a batch, and among calls that run at the same time.

The disk cache is diskcache (SQLite, safe for several processes) holding JSON text only: rows in any other form,
pickles above all, are not read. Keys are digests of content, of the name of what produced the value (which holds
model and prompt version) and of the cache's own version, which each entry repeats: what another version
wrote is never found, and if it were, would be ignored.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import diskcache

from rlkd.errors import UserError
from rlkd.io import sha256_json
from schemas.base import JsonValue
from schemas.config.structure import CacheConfig

CACHE_VERSION = 1
"""Raised when the form of the entries changes."""
_GIGABYTE = 1 << 30

Value = TypeVar("Value")


class _TextDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores text under text keys and reads nothing else, so that no row is ever unpickled."""

    def put(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError("cache keys are text")
        return super().put(key)

    def get(self, key: Any, raw: Any) -> Any:
        return key if raw and isinstance(key, str) else None

    def store(self, value: Any, read: Any, key: Any = diskcache.UNKNOWN) -> Any:
        if not isinstance(value, str) or read:
            raise TypeError("cache values are text")
        return super().store(value, read, key=key)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> Any:
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_TEXT):
            return None
        return super().fetch(mode, filename, value, read)


class DiskCache:
    """JSON values on disk, by content; for several processes at once.

    Args:
        folder: Where the cache lives; made if absent.
        size_gb: Size from which the oldest entries go.

    Raises:
        UserError: The folder cannot be used as a cache.
    """

    def __init__(self, folder: Path, size_gb: float = 4.0) -> None:
        self.folder = folder / f"v{CACHE_VERSION}"
        self.discarded = 0
        with self._faults():
            self._cache = diskcache.Cache(
                str(self.folder), disk=_TextDisk, size_limit=int(size_gb * _GIGABYTE), timeout=60
            )

    def get(self, kind: str, name: str, keys: Sequence[str]) -> list[JsonValue | None]:
        """Values by key, in order; ``None`` where there is none of this kind, name and version."""
        with self._faults():
            texts = [self._cache.get(key, retry=True) for key in keys]
        return [None if text is None else self._open(text, kind, name) for text in texts]

    def put(self, kind: str, name: str, values: Mapping[str, JsonValue]) -> None:
        """Stores values under their keys in one transaction."""
        if not values:
            return
        label = {"version": CACHE_VERSION, "kind": kind, "name": name}
        with self._faults(), self._cache.transact(retry=True):
            for key, value in values.items():
                self._cache.set(key, json.dumps(label | {"value": value}, ensure_ascii=True))

    def close(self) -> None:
        """Closes the database; it is opened again when used."""
        self._cache.close()

    def _open(self, text: Any, kind: str, name: str) -> JsonValue | None:
        try:
            entry = json.loads(text)
        except (TypeError, ValueError):
            entry = None
        label = {"version": CACHE_VERSION, "kind": kind, "name": name}
        if (
            not isinstance(entry, dict)
            or {field: entry.get(field) for field in label} != label
            or "value" not in entry
        ):
            self.discarded += 1
            return None
        return entry["value"]

    def _faults(self) -> _DiskFaults:
        return _DiskFaults(self.folder)


class _DiskFaults:
    """Turns what SQLite and the file system say into one sentence for the user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OSError | diskcache.Timeout):
            raise UserError(
                f"{self.folder}: the cache cannot be used ({error}); delete the folder, or name another in structures.cache.folder"
            ) from None


def default_folder() -> Path:
    """``$RLKD_CACHE``, or ``runs/.cache`` in the current folder."""
    return Path(os.environ.get("RLKD_CACHE") or "runs/.cache")


@dataclass(slots=True)
class CacheStats:
    """What became of the requests.

    Attributes:
        asked: Passed on to the decomposer or judge.
        memory, disk: Found there.
        joined: The same as another of the batch, or as one under way.
        missing: Asked, and came back missing (never stored).
    """

    asked: int = 0
    memory: int = 0
    disk: int = 0
    joined: int = 0
    missing: int = 0


class RequestCache(Generic[Value]):
    """Makes each value once, whoever asks, for as long as it is remembered.

    Missing values (``None``) are handed to everyone who waits for them, and not remembered: the next
    call asks again.

    Args:
        kind: What the values are, for example ``structure``.
        name: Name and version of what makes them.
        encode: Value to JSON.
        decode: JSON to value; raises ``ValueError`` where it does not fit, and the entry is ignored.
        disk: The disk cache; ``None`` for none.
        memory: Values that are kept in memory, the least recently used go first.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        encode: Callable[[Value], JsonValue],
        decode: Callable[[JsonValue], Value],
        disk: DiskCache | None = None,
        memory: int = 20_000,
    ) -> None:
        self.kind = kind
        self.name = name
        self.stats = CacheStats()
        self._encode = encode
        self._decode = decode
        self._disk = disk
        self._limit = memory
        self._memory: OrderedDict[str, Value] = OrderedDict()
        # Futures belong to the event loop that made them; a loop that is gone takes its own along.
        self._running: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[str, asyncio.Future[Value | None]]
        ]
        self._running = weakref.WeakKeyDictionary()

    def key(self, content: JsonValue) -> str:
        """The key of a content."""
        return sha256_json([CACHE_VERSION, self.kind, self.name, content])

    async def get(
        self, keys: Sequence[str], make: Callable[[list[int]], Awaitable[Sequence[Value | None]]]
    ) -> list[Value | None]:
        """Values by key, in order; those that nobody has are made.

        Args:
            keys: Keys; may repeat.
            make: Makes the values at the given positions of ``keys``, in order.
        """
        running = self._running.setdefault(asyncio.get_running_loop(), {})
        known: dict[str, Value | None] = {}
        while True:
            open_keys = [key for key in dict.fromkeys(keys) if key not in known]
            self._look_up(open_keys, known)
            mine = [key for key in open_keys if key not in known and key not in running]
            theirs = {key: running[key] for key in open_keys if key not in known and key in running}
            self.stats.joined += len(theirs)
            if mine:
                known |= await self._make(mine, keys, make, running)
            for key, future in theirs.items():
                await asyncio.wait([future])
                if not future.cancelled():  # else whoever made it was cancelled: the next round makes it here
                    known[key] = future.result()
            if all(key in known for key in keys):
                break
        self.stats.joined += len(keys) - len(set(keys))
        return [known[key] for key in keys]

    def _look_up(self, keys: Sequence[str], known: dict[str, Value | None]) -> None:
        rest = []
        for key in keys:
            if key in self._memory:
                self._memory.move_to_end(key)
                known[key] = self._memory[key]
                self.stats.memory += 1
            else:
                rest.append(key)
        if self._disk is None or not rest:
            return
        for key, stored in zip(rest, self._disk.get(self.kind, self.name, rest), strict=True):
            if stored is None:
                continue
            try:
                value = self._decode(stored)
            except ValueError:
                self._disk.discarded += 1
                continue
            known[key] = value
            self._remember(key, value)
            self.stats.disk += 1

    def _remember(self, key: str, value: Value) -> None:
        self._memory[key] = value
        if len(self._memory) > self._limit:
            self._memory.popitem(last=False)

    async def _make(
        self,
        mine: list[str],
        keys: Sequence[str],
        make: Callable[[list[int]], Awaitable[Sequence[Value | None]]],
        running: dict[str, asyncio.Future[Value | None]],
    ) -> dict[str, Value | None]:
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in mine}
        running |= futures
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        try:
            made = dict(zip(mine, await make([first[key] for key in mine]), strict=True))
            found = {key: value for key, value in made.items() if value is not None}
            if self._disk is not None:
                self._disk.put(
                    self.kind, self.name, {key: self._encode(value) for key, value in found.items()}
                )
        except BaseException as error:
            for future in futures.values():
                if isinstance(error, Exception):
                    future.set_exception(error)
                    future.exception()  # seen: nobody need be waiting
                else:
                    future.cancel()
            raise
        finally:
            for key in mine:
                running.pop(key, None)
        self.stats.asked += len(mine)
        self.stats.missing += len(made) - len(found)
        for key, value in made.items():
            futures[key].set_result(value)
            if value is not None:
                self._remember(key, value)
        return made


def open_cache(config: CacheConfig) -> DiskCache | None:
    """Opens the disk cache of a configuration; ``None`` where it is switched off."""
    if not config.enabled:
        return None
    return DiskCache(Path(config.folder).expanduser() if config.folder else default_folder(), config.size_gb)
