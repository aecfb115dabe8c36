"""Presets of another command are sent to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flows.configure import configure, configure_any, configure_experiment, configure_gsrm
from rlkd.errors import ConfigError


@pytest.mark.parametrize(
    ("read", "preset", "command"),
    [
        (configure, "evidence-quick", "rlkd experiment"),
        (configure, "gsrm-world", "rlkd train-gsrm"),
        (configure_any, "evidence-quick", "rlkd experiment"),
        (configure_experiment, "demo", "rlkd run"),
        (configure_experiment, "gsrm-world", "rlkd train-gsrm"),
        (configure_gsrm, "demo", "rlkd run"),
        (configure_gsrm, "evidence-quick", "rlkd experiment"),
    ],
)
def test_a_preset_of_another_command_names_it(read: Callable[[str], Any], preset: str, command: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(preset)
    assert str(error.value) == f"{preset} is a preset of another command; give it to: {command} {preset}"


def test_check_takes_presets_of_both_kinds_of_run() -> None:
    assert (configure_any("demo").name, configure_any("gsrm-world").name) == ("demo", "gsrm-world")
