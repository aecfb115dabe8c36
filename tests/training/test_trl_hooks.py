"""That TRL and transformers look as we rely on where we go past their public interface."""

from __future__ import annotations

from typing import Any

import pytest

from rlkd.training import trl_hooks


@pytest.mark.parametrize("name", sorted(trl_hooks.RELIED_ON))
def test_each_function_takes_what_is_relied_on(name: str) -> None:
    assert [d for d in trl_hooks.differences() if d.startswith(f"{name} ")] == []


def test_the_attributes_are_where_they_were() -> None:
    assert trl_hooks.differences() == []


def test_a_changed_signature_and_a_lost_name_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "trl.GRPOTrainer._tokenize_prompts"
    monkeypatch.setitem(trl_hooks.RELIED_ON, name, ("self", "texts"))
    monkeypatch.setitem(trl_hooks.RELIED_ON, "trl.GRPOTrainer._no_such", ("self",))
    monkeypatch.setitem(trl_hooks.ATTRIBUTES, "trl.GRPOTrainer.__init__", ("self._no_such =",))
    assert trl_hooks.differences() == [
        f"{name} takes (self, prompts), and (self, texts) is relied on",
        "trl.GRPOTrainer._no_such is gone",
        "trl.GRPOTrainer.__init__ has no `self._no_such =` any more",
    ]


def test_our_overrides_are_all_in_the_table() -> None:
    ours = {
        name
        for hooks in (trl_hooks.TrainerHooks, trl_hooks.GRPOHooks)
        for name in vars(hooks)
        if name.startswith("_") and not name.startswith("__")
    }
    assert ours == {
        name.rpartition(".")[2]
        for name in trl_hooks.RELIED_ON
        if ".GRPOTrainer._" in name or ".Trainer._" in name
    }


class _Library:
    """Stands for the library's trainer."""

    def _generate_single_turn(self, prompt_ids: Any, images: Any) -> Any:
        return "library", images

    def _clip_grad_norm(self, model: Any) -> float:
        return 2.5

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.saved = (model, trial)

    def _get_train_sampler(self, dataset: Any = None) -> str:
        return f"library {dataset}"


class _Ours(trl_hooks.GRPOHooks, trl_hooks.TrainerHooks, _Library):
    sampled: list[list[int]] | None = None
    norm: float | None = None

    def sample(self, prompts: list[list[int]]) -> list[list[int]] | None:
        return self.sampled

    def clipped(self, norm: float | None) -> None:
        self.norm = norm


def test_what_ours_leaves_goes_to_the_library_with_all_its_arguments() -> None:
    trainer = _Ours()
    assert trainer._generate_single_turn([[1]], "images") == ("library", "images")
    trainer.sampled = [[7, 8]]
    assert trainer._generate_single_turn([[1]], "images") == ([[7, 8]], None)
    assert trainer._clip_grad_norm("model") == 2.5
    assert trainer.norm == 2.5
    trainer._save_checkpoint("model", "trial")
    assert trainer.saved == ("model", "trial")
    assert trainer._get_train_sampler("rows") == "library rows"


def test_rows_of_several_passes_come_back_in_their_order() -> None:
    import torch

    passes = [
        {
            "rlkd_order": torch.tensor([3, 0]),
            "ids": torch.tensor([[33], [10]]),
            "total": torch.tensor(4),
            "none": None,
        },
        {
            "rlkd_order": torch.tensor([1, 2]),
            "ids": torch.tensor([[11], [22]]),
            "total": torch.tensor(4),
            "none": None,
        },
    ]
    first, second = trl_hooks.in_order(passes)
    assert first["ids"].tolist() == [[10], [11]]
    assert second["ids"].tolist() == [[22], [33]]
    assert first["total"].item() == 4
    assert second["none"] is None
    assert passes[0]["ids"].tolist() == [[33], [10]]
