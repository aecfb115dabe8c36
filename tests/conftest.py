"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# Hypothesis would fail an example that takes over 200 ms: on a busy machine that says nothing about the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
