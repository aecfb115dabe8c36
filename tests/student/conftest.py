"""Fixtures for the student's tests."""

from __future__ import annotations

from ..completion.conftest import tiny

__all__ = ["tiny"]
