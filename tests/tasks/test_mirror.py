"""The mirror of finished stages, on a real S3 interface (moto's server on this machine) and on a folder."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import StageError, UserError
from schemas.artifact import Made, StageResult
from tasks import mirror
from tasks.identity import StageIdentity
from tasks.mirror import Lock, Mirror, open_mirror
from tasks.storage import Clock, Store, store_root

needs_s3 = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs", "flask")),
    reason="needs moto[server] and the extra `s3`",
)


def identity(stage: str = "data", key: str = "ab") -> StageIdentity:
    return StageIdentity(stage, 1, {"seed": 0}, {}, key * 32)


class Builder:
    """Makes a stage of two files, and counts how often."""

    def __init__(self, text: str = "one", wait_s: float = 0.0) -> None:
        self.text = text
        self.wait_s = wait_s
        self.calls = 0

    def __call__(self, folder: Path, clock: Clock) -> Made:
        self.calls += 1
        time.sleep(self.wait_s)
        (folder / "model").mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text(self.text)
        (folder / "model" / "weights").write_bytes(b"\0" * 1000)
        return Made(result=StageResult(rows=1), peak_rss_mb=1.0)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=[pytest.param("s3", marks=[needs_s3, pytest.mark.slow]), "file", "memory"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty place for a mirror."""
    if request.param != "s3":
        pytest.importorskip("fsspec")
        return f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{tmp_path}"
    import boto3

    endpoint = request.getfixturevalue("s3")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{time.monotonic_ns()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/rlkd"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "BEAT_S", 0.1)
    monkeypatch.setattr(mirror, "STALE_S", 1.0)
    monkeypatch.setattr(mirror, "POLL_S", 0.05)


def test_what_one_machine_has_finished_another_fetches(url: str, tmp_path: Path) -> None:
    one, two = (Store(tmp_path / name, Mirror(url)) for name in ("one", "two"))
    build, never, said = Builder(), Builder("other"), []
    made, reused = one.make(identity(), build)
    assert (build.calls, reused) == (1, False)
    found, reused = two.make(identity(), never, notice=said.append)
    assert (never.calls, reused, found) == (0, True, made)
    assert (two.folder(identity()) / "rows.jsonl").read_text() == "one"
    assert (two.folder(identity()) / "model" / "weights").read_bytes() == b"\0" * 1000
    assert said == [f"data: fetched from {url}"]
    # made again elsewhere: the manifest is swapped as a whole, and a third machine gets the new one
    two.make(identity(), Builder("new"), force=True)
    three = Store(tmp_path / "three", Mirror(url))
    three.make(identity(), never)
    assert (three.folder(identity()) / "rows.jsonl").read_text() == "new"


def test_two_workers_make_a_stage_once(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "STALE_S", 300.0)  # a busy machine may not renew for a second
    build = Builder(wait_s=0.5)
    said: list[str] = []
    stores = [Store(tmp_path / str(i), Mirror(url)) for i in range(3)]
    threads = [
        threading.Thread(target=store.make, args=(identity(), build), kwargs={"notice": said.append})
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert build.calls == 1
    assert said.count(f"data: fetched from {url}") == 2
    assert "data: another machine is making it; waiting" in said
    assert all((store.folder(identity()) / "rows.jsonl").read_text() == "one" for store in stores)


def test_files_without_a_manifest_or_with_another_content_are_not_taken(url: str, tmp_path: Path) -> None:
    place = Mirror(url)
    made, _ = Store(tmp_path / "one", place).make(identity(), Builder())
    key = made.identity[:16]
    place.fs.pipe_file(place._at("data", key, made.sha256[:16], "rows.jsonl"), b"torn")
    two, build = Store(tmp_path / "two", place), Builder()
    two.make(identity(), build)
    assert build.calls == 1  # what does not fit its digest is made again
    place.fs.rm_file(place._at("data", key, "manifest.json"))
    again = Builder()
    Store(tmp_path / "three", place).make(identity(), again)
    assert again.calls == 1


def test_a_lock_that_nobody_renews_is_taken_over_by_one_and_lost_by_its_holder(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("s3"):
        monkeypatch.setattr(mirror, "STALE_S", 15.0)  # a request takes seconds on a busy machine
    place = Mirror(url)
    dead = Lock(place, "data/x.lock")
    assert place._create("data/x.lock/0", b"{}")  # a killed worker's
    dead.generation = 0
    began, holders, most = time.monotonic(), [0], [0]
    guard = threading.Lock()

    def work() -> None:
        lock = Lock(place, "data/x.lock")
        lock.acquire(lambda: None)
        with guard:
            holders[0] += 1
            most[0] = max(most[0], holders[0])
        time.sleep(0.2)
        assert lock.held() and not dead.held()
        with guard:
            holders[0] -= 1
        lock.release()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert time.monotonic() - began >= mirror.STALE_S  # the dead one's time
    assert (holders, most) == ([0], [1])
    assert Lock(place, "data/x.lock")._generations() == []


def test_a_worker_that_was_passed_over_publishes_nothing(url: str, tmp_path: Path) -> None:
    place = Mirror(url)
    store = Store(tmp_path / "one", place)

    def build(folder: Path, clock: Clock) -> Made:
        made = Builder()(folder, clock)
        place._create(f"data/{identity().key[:16]}.lock/1", b"{}")  # another one found it stale
        return made

    with pytest.raises(StageError, match="another machine has taken over its lock"):
        store.make(identity(), build)
    assert place.manifest("data", identity().key[:16]) is None


@needs_s3
@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_clear_error(url: str) -> None:
    if not url.startswith("s3"):
        pytest.skip("a folder is made where it is missing")
    with pytest.raises(
        UserError, match=r"RLKD_STORE=s3://no-such-bucket-here/x: .*cannot be read and written"
    ):
        Mirror("s3://no-such-bucket-here/x")


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
@needs_s3
@pytest.mark.slow
def test_a_bucket_without_permission_is_one_request_and_one_clear_error(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    asked: list[str] = []

    class Denied(BaseHTTPRequestHandler):
        protocol_version = protocol

        def do_GET(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Denied) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with pytest.raises(
            UserError, match=r"PermissionError: (Access Denied|Forbidden)\); check that it exists, the cred"
        ):
            Mirror("s3://bucket-of-another/x")
        server.shutdown()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("fault", "why"), [("overwrites", "a second one took its place"), ("refuses", "no such mode")]
)
def test_a_storage_that_cannot_lock_is_refused(fault: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.get_filesystem_class("memory")
    put = memory.pipe_file

    def pipe_file(self: Any, path: str, value: bytes, mode: str = "overwrite", **others: Any) -> Any:
        if mode == "create" and fault == "refuses":
            raise NotImplementedError("no such mode")
        return put(self, path, value, **others)

    monkeypatch.setattr(memory, "pipe_file", pipe_file)
    with pytest.raises(
        UserError, match=rf"only where there is none, which this storage does not do \({why}\)"
    ):
        Mirror("memory://shared/x")


@needs_s3
@pytest.mark.slow
def test_a_server_that_never_answers_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setitem(mirror._S3_CONFIG, "read_timeout", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with pytest.raises(UserError, match=r"RLKD_STORE=s3://b/silent: "):
            Mirror("s3://b/silent")


def test_no_permission_and_foreign_schemes_are_one_clear_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: Any, **kwargs: Any) -> bool:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(Mirror, "_create", denied)
    with pytest.raises(
        UserError, match=r"PermissionError: Access Denied\); check that it exists, the credentials"
    ):
        Mirror(url)
    with pytest.raises(UserError, match=r"RLKD_STORE=gopher://x: "):
        Mirror("gopher://x")
    monkeypatch.setenv("RLKD_STORE", "gopher://x")
    assert store_root(tmp_path / "runs" / "a") == (tmp_path / "runs" / ".store").resolve()
    with pytest.raises(UserError, match="gopher"):
        open_mirror()
    monkeypatch.setenv("RLKD_STORE", str(tmp_path / "elsewhere"))
    assert open_mirror() is None and store_root(tmp_path) == tmp_path / "elsewhere"
