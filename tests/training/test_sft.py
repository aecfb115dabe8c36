from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rlkd.errors import ConfigError
from rlkd.training.sft import best_step, patience_spent, validation_losses
from schemas.config.training import FineTuneConfig

HISTORY: list[dict[str, Any]] = [
    {"step": 1, "loss": 2.0},
    {"step": 2, "eval_loss": 1.0},
    {"step": 4, "eval_loss": 0.5},
    {"step": 6, "eval_loss": 0.5},
    {"step": 8, "eval_loss": 0.7},
]


def test_best_is_the_least_validation_loss_the_earliest_of_equals() -> None:
    assert validation_losses(HISTORY)[0] == (2, 1.0)
    assert best_step(HISTORY) == 4
    assert best_step([]) is None


def test_patience_counts_validations_since_the_best() -> None:
    assert patience_spent(HISTORY, FineTuneConfig(patience=2))  # steps 6 and 8
    assert not patience_spent(HISTORY, FineTuneConfig(patience=3))
    assert not patience_spent([], FineTuneConfig(patience=1))
    assert not patience_spent(HISTORY, FineTuneConfig(patience=1, keep="last"))


@pytest.mark.parametrize("spread", ["is_fsdp_enabled", "is_deepspeed_enabled"])
def test_muon_is_refused_where_no_process_has_whole_matrices(spread: str) -> None:
    from rlkd.training.sft import _muon

    trainer = SimpleNamespace(**{"is_fsdp_enabled": False, "is_deepspeed_enabled": False, spread: True})
    with pytest.raises(ConfigError, match=r"sft\.optimizer\.name: muon needs whole matrices"):
        _muon(trainer, None, SimpleNamespace(setting="sft"))


@pytest.mark.parametrize(
    ("attention", "packing", "says"), [("sdpa", True, False), ("eager", True, True), ("eager", False, False)]
)
def test_texts_that_are_not_packed_are_said(attention: str, packing: bool, says: bool) -> None:
    from rlkd.training.packing import PackRows
    from rlkd.training.rl import _say_unpacked
    from rlkd.training.sft import _collator

    said: list[str] = []
    events = SimpleNamespace(message=said.append)
    model = SimpleNamespace(model_type="llama", _attn_implementation=attention)
    student: Any = SimpleNamespace(
        model=SimpleNamespace(config=model), tokenizer=SimpleNamespace(pad_token_id=7)
    )
    job: Any = SimpleNamespace(settings=FineTuneConfig(packing=packing), events=events)
    assert _collator(job, student) == (PackRows(7) if attention == "sdpa" else None)
    rl = SimpleNamespace(rl=SimpleNamespace(share_prompts=packing))
    _say_unpacked(SimpleNamespace(config=rl, events=events), model)  # type: ignore[arg-type]
    why = "student.attention is eager, and only sdpa keeps the texts of a row apart"
    assert said == (
        [
            f"each text has a padded row of its own: {why}",
            f"each completion has a padded row with its prompt: {why}",
        ]
        if says
        else []
    )
