"""A mirror of finished stages in object storage, by which workers on several machines share them.

``RLKD_STORE=s3://bucket/prefix`` keeps the store itself on the local disk and mirrors what is finished: a stage that another
machine has finished is fetched instead of made, and a stage that is made here is pushed. Unfinished work stays local.

``<stage>/<identity>/<digest>/...`` holds the files, ``<stage>/<identity>/manifest.json`` names them and is put last, in one
request: a stage is there as a whole or not at all, also when it is made again. One worker at a time makes a stage, by a lock
object that only its creator can create (a conditional put, ``If-None-Match: *``, or what the file system has for it). Its
holder renews it; a lock that has not been renewed for :data:`STALE_S` by the clock of whoever waits is passed over by creating
the next generation of it, which again only one can do. So no two clocks are compared.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlkd.errors import StageError, UserError
from schemas.artifact import StageManifest

BEAT_S = 10.0
"""Seconds between two renewals of a lock."""
STALE_S = 60.0
"""Seconds after which a lock that was not renewed is taken over: six renewals missed."""
POLL_S = 1.0
MANIFEST = "manifest.json"
VARIABLE = "RLKD_STORE"
_S3 = ("s3", "s3a")
_S3_CONFIG = {"connect_timeout": 10, "read_timeout": 20, "retries": {"max_attempts": 2}}
"""The library's own (60 s, five attempts, five times over) make a server that never answers look like a hang of half an hour."""


def mirror_url() -> str:
    """The URL in ``$RLKD_STORE``; empty where it names a folder or nothing."""
    value = os.environ.get(VARIABLE, "")
    return value.rstrip("/") if "://" in value else ""


def open_mirror() -> Mirror | None:
    """Opens the mirror that ``$RLKD_STORE`` names, once for each URL; ``None`` without one.

    Raises:
        UserError: It cannot be read and written.
    """
    url = mirror_url()
    return _opened(url) if url else None


@functools.lru_cache(maxsize=8)
def _opened(url: str) -> Mirror:
    return Mirror(url)


class Mirror:
    """Finished stages at an fsspec URL.

    Args:
        url: Where, for example ``s3://bucket/rlkd``. Credentials and endpoint come from the environment
            (``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ...).

    Raises:
        UserError: The URL cannot be used, or may not be read and written.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec

            self.fs: Any
            options = {"config_kwargs": _S3_CONFIG} if url.partition("://")[0] in _S3 else {}
            self.fs, self.root = fsspec.core.url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=True, **options
            )
        except (ImportError, ValueError) as error:
            raise UserError(
                f"{VARIABLE}={url}: {str(error).splitlines()[0]}; name a folder, or install the package (pip install 'rlkd[s3]')"
            ) from None
        self.url = url
        kinds = [self.fs.protocol] if isinstance(self.fs.protocol, str) else list(self.fs.protocol)
        self._local = "file" in kinds
        with self._told():
            self._try_out()

    def _try_out(self) -> None:
        """Creates, reads and removes an object, and sees whether it can be created twice.

        Raises:
            UserError: The storage cannot create an object only where there is none, as a lock must be.
        """
        probe = f".probe-{uuid.uuid4().hex}"
        attempts, self.fs.retries = getattr(self.fs, "retries", 0), 1  # a wrong address is said at once
        try:
            # Read first: a put waits for the server's consent without end, as of a server that never answers, or speaks HTTP/1.0.
            with suppress(FileNotFoundError):
                self.fs.cat_file(self._at(probe))
            self._create(probe, b"rlkd")
            self.fs.cat_file(self._at(probe))
            twice = self._create(probe, b"again")
            self.fs.rm_file(self._at(probe))
        except (NotImplementedError, TypeError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(self._refused(f"({first})")) from None
        finally:
            self.fs.retries = attempts
        if twice:
            raise UserError(self._refused("(a second one took its place)"))

    def _refused(self, why: str) -> str:
        return (
            f"{VARIABLE}={self.url}: stages are locked by objects that are created only where there is none, which this storage "
            f"does not do {why}; use s3://, or mount the storage and name the folder"
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says in one sentence that the storage cannot be used.

        Raises:
            UserError: It cannot.
        """
        try:
            yield
        except (OSError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"{VARIABLE}={self.url}: the store cannot be read and written ({type(error).__name__}: {first}); check that it "
                "exists, the credentials, and the rights to get, put, list and delete objects"
            ) from None
        except Exception as error:  # botocore has exceptions of its own, which are no OSError
            if not type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
                raise
            raise UserError(
                f"{VARIABLE}={self.url}: {type(error).__name__}: {error}; check address and credentials"
            ) from None

    def _at(self, *parts: str) -> str:
        return "/".join([self.root, *parts])

    def _create(self, name: str, data: bytes) -> bool:
        """Creates an object where there is none; whether this did it."""
        path = self._at(name)
        try:
            if self._local:
                self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                with open(path, "xb") as file:
                    file.write(data)
            else:
                self.fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if any(
                word in str(error)
                for word in ("PreconditionFailed", "pre-conditions", "ConditionalRequestConflict")
            ):
                return False
            raise
        return True

    def _put(self, name: str, data: bytes) -> None:
        """Puts an object whole, in place of the one that is there."""
        path = self._at(name)
        if not self._local:
            self.fs.pipe_file(path, data)
            return
        beside = f"{path}.{uuid.uuid4().hex}.tmp"
        self.fs.pipe_file(beside, data)
        os.replace(beside, path)

    # -- stages -----------------------------------------------------------------------------------------

    def manifest(self, stage: str, key: str) -> StageManifest | None:
        """Reads the manifest of a stage; ``None`` where it is not finished anywhere."""
        with self._told():
            try:
                return StageManifest.model_validate_json(self.fs.cat_file(self._at(stage, key, MANIFEST)))
            except (FileNotFoundError, ValidationError):
                return None

    def fetch(self, stage: str, key: str, target: Path, check: Callable[[Path, StageManifest], str]) -> bool:
        """Fetches a finished stage; whether it is there now.

        Args:
            stage: The stage.
            key: The name of its folder.
            target: Its folder here.
            check: Says what is wrong with a folder; empty where all is as it was sealed.
        """
        manifest = self.manifest(stage, key)
        if manifest is None:
            return False
        coming = target.with_name(f"{target.name}.{os.getpid()}.fetch")
        shutil.rmtree(coming, ignore_errors=True)
        with self._told():
            for name in manifest.files:
                place = coming / name
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self.fs.get_file(self._at(stage, key, manifest.sha256[:16], name), str(place))
                except FileNotFoundError:
                    break  # the check says which
        coming.mkdir(parents=True, exist_ok=True)
        if check(coming, manifest):
            shutil.rmtree(coming)
            return False
        (coming / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(coming, target)
        return True

    def push(self, folder: Path, manifest: StageManifest, key: str) -> None:
        """Pushes a finished stage, its manifest last; nothing where it is there already."""
        there = self.manifest(manifest.stage, key)
        if there is not None and there.sha256 == manifest.sha256:
            return
        with self._told():
            for name in manifest.files:
                place = self._at(manifest.stage, key, manifest.sha256[:16], name)
                if self._local:
                    self.fs.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.fs.put_file(str(folder / name), place)
            self._put(
                f"{manifest.stage}/{key}/{MANIFEST}", (manifest.model_dump_json(indent=2) + "\n").encode()
            )

    # -- locks ------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, stage: str, key: str, notice: Callable[[str], None]) -> Iterator[Lock]:
        """Holds the lock of a stage; says so once when it has to wait for another machine."""
        lock = Lock(self, f"{stage}/{key}.lock")
        with self._told():
            lock.acquire(lambda: notice(f"{stage}: another machine is making it; waiting"))
        try:
            yield lock
        finally:
            lock.release()


class Lock:
    """A lock object with generations; see the module.

    Args:
        mirror: Where.
        name: Prefix of its objects.
    """

    def __init__(self, mirror: Mirror, name: str) -> None:
        self.mirror = mirror
        self.name = name
        self.generation = -1
        self._id = uuid.uuid4().hex
        self._beat = 0
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="store-lock", daemon=True)

    def _text(self) -> bytes:
        self._beat += 1
        who = {"host": socket.gethostname(), "pid": os.getpid(), "id": self._id}
        return json.dumps({**who, "beat": self._beat}).encode()

    def _generations(self) -> list[int]:
        try:
            found = self.mirror.fs.ls(self.mirror._at(self.name), detail=False)
        except FileNotFoundError:
            return []
        numbers = [path.rstrip("/").rpartition("/")[2] for path in found]
        return sorted(int(number) for number in numbers if number.isdigit())

    def _object(self, generation: int) -> str:
        return f"{self.name}/{generation}"

    def acquire(self, waiting: Callable[[], None]) -> None:
        """Waits until nobody holds it, or its holder is gone."""
        seen: tuple[int, bytes] | None = None
        since, told = time.monotonic(), False
        while True:
            there = self._generations()
            if not there:
                if self._take(0):
                    return
                continue
            try:
                now = there[-1], bytes(self.mirror.fs.cat_file(self.mirror._at(self._object(there[-1]))))
            except FileNotFoundError:
                continue  # just released
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALE_S and self._take(there[-1] + 1):
                return
            if not told:
                waiting()
                told = True
            time.sleep(POLL_S)

    def _take(self, generation: int) -> bool:
        if not self.mirror._create(self._object(generation), self._text()):
            return False
        there = self._generations()
        # Where what was to be passed over is gone, its holder has let go meanwhile, and another may hold the lock.
        if there[-1:] != [generation] or (generation and generation - 1 not in there):
            self.mirror.fs.rm_file(self.mirror._at(self._object(generation)))
            return False
        self.generation = generation
        self._renewer.start()
        return True

    def held(self) -> bool:
        """Whether it still is one's own: nobody has passed it over, or has taken its number since."""
        if self._generations()[-1:] != [self.generation]:
            return False
        try:
            return self._id.encode() in self.mirror.fs.cat_file(
                self.mirror._at(self._object(self.generation))
            )
        except FileNotFoundError:
            return False

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                if not self.held():
                    return
                self.mirror._put(self._object(self.generation), self._text())
            except Exception:
                continue

    def release(self) -> None:
        """Lets go; a lock that was passed over belongs to another by now, and stays."""
        self._ended.set()
        self._renewer.join()
        try:
            if not self.held():
                return
            for generation in [n for n in self._generations() if n <= self.generation]:
                self.mirror.fs.rm_file(self.mirror._at(self._object(generation)))
        except (
            Exception
        ):  # what is left becomes stale; the stage itself is finished, or its own error says more
            return


def lost(stage: str) -> StageError:
    """The error of a worker whose lock was passed over."""
    return StageError(
        f"stage {stage}: another machine has taken over its lock, as this one did not renew it for {STALE_S:g} s; what was made "
        "here is not published: run again to use the other's"
    )
