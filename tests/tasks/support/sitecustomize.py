"""Puts the fake stages into every Python process whose environment asks for it (a Prefect worker's children)."""

import os

if os.environ.get("FAKE_STAGES"):
    import fake_stages

    fake_stages.install()
