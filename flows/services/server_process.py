"""The process of a private Prefect server: ``python -m flows.services.server_process FOLDER PORT``.

It serves every run of one runs folder on this machine, and ends by itself when the last of them has ended or was killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from flows.services.private_server import ADDRESS, HOST, START_LOCK, USERS, answers, database_lock, users

_IDLE_S = 3.0
_LAST_S = 15.0


def main(folder: Path, port: int) -> None:
    """Serves until nobody uses the server any more.

    Args:
        folder: The server's folder in Prefect's: its address and the marks of its users.
        port: Where it listens.
    """
    import uvicorn

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
    migrating = database_lock(folder.parent)
    migrating.acquire()
    threading.Thread(target=_watch, args=(folder, port, migrating), daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, host=HOST, port=port, log_level="warning"
    )


def _watch(folder: Path, port: int, migrating: object) -> None:
    """Lets the next server have the database once this one is up, and ends this process when its last user has gone."""
    from filelock import BaseFileLock, FileLock

    assert isinstance(migrating, BaseFileLock)
    last_used = time.monotonic()
    while True:
        if migrating.is_locked and answers(f"http://{HOST}:{port}/api/health"):
            migrating.release()
        if users(folder / USERS):
            last_used = time.monotonic()
        elif time.monotonic() - last_used > _IDLE_S:
            if not folder.is_dir():
                break
            with FileLock(folder / START_LOCK):  # nobody signs in while this holds
                if not users(folder / USERS):
                    (folder / ADDRESS).unlink(missing_ok=True)
                    break
        time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_S)
    os._exit(0)  # it would not end by itself


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
