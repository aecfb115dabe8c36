"""Settings that all tests share."""

from __future__ import annotations

import signal

from hypothesis import settings

# Hypothesis would fail an example that takes over 200 ms: on a busy machine that says nothing about the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_configure() -> None:
    """Hears Ctrl-C again where a shell started the tests in the background and so made them deaf to it, and their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
