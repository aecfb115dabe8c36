from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import ConfigError, DataError, MissingScoreError
from rlkd.io import read_rows, write_rows
from rlkd.training import rl
from schemas.structure import Structure
from schemas.trace import TeacherTrace

from .conftest import make_config, make_context

pytestmark = pytest.mark.slow


def test_vllm_that_is_not_installed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"rl\.generation is vllm, which is not installed here"):
        rl.check_settings(make_config(rl={"generation": "vllm"}))
    rl.check_settings(make_config())


def test_an_unbounded_structure_score_cannot_be_trained_on() -> None:
    alignment = {"type": "prefix", "normalize": False}
    with pytest.raises(ConfigError, match=r"structures\.alignment\.normalize is off"):
        rl.check_settings(make_config(structures={"alignment": alignment}))


def test_all_faults_of_the_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    alignment = {"type": "prefix", "normalize": False}
    with pytest.raises(
        ConfigError, match=r"rl\.generation is vllm.*; structures\.alignment\.normalize is off"
    ):
        rl.check_settings(make_config(rl={"generation": "vllm"}, structures={"alignment": alignment}))


def test_no_problem_left_is_a_clear_error(inputs: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "structures"
    empty.mkdir()
    write_rows(empty / "structures.jsonl", [Structure(trace_id="other")])
    with pytest.raises(
        DataError, match="no problem is left to practise on: of 12, 12 have no teacher path with a step"
    ):
        rl.distil(make_context(tmp_path / "rl", make_config(), {**inputs, "structures": empty}))


def test_a_component_without_a_value_for_the_teachers_is_found_before_sampling(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    worded = tmp_path / "traces"
    worded.mkdir()
    traces = [
        trace.model_copy(update={"path": "Ann is in."})
        for trace in read_rows(inputs["traces"] / "accepted.jsonl", TeacherTrace)
    ]
    write_rows(worded / "accepted.jsonl", traces)
    config = make_config(rewards={"components": {"repeats": 0.1, "numbers": 0.2}})
    ctx = make_context(tmp_path / "rl", config, {**inputs, "traces": worded})
    with pytest.raises(
        MissingScoreError,
        match=r"numbers has no value for the teacher's own path of any of the first 12 problems",
    ):
        rl.distil(ctx)
    assert not list((tmp_path / "rl").rglob("step-*"))


def test_our_settings_reach_trl(inputs: dict[str, Path], tmp_path: Path) -> None:
    from rlkd.training.mixin import Session

    settings: dict[str, Any] = {
        "steps": 10, "prompts_per_step": 4, "group_size": 4, "micro_batch": 8, "steps_per_generation": 2, "iterations": 3, "save_every": 7,
        "loss": "dr_grpo", "scale_rewards": "none", "kl": 0.02, "clip_low": 0.1, "clip_high": 0.3, "temperature": 0.7, "top_p": 0.9,
        "mask_truncated": True, "optimizer": {"learning_rate": 3e-5, "schedule": "cosine", "warmup_ratio": 0.2, "max_grad_norm": 0.5},
    }  # fmt: skip
    ctx = make_context(tmp_path, make_config(rl=settings), inputs)
    batches = rl.plan_batches(ctx.config.rl, 1)
    args = rl.grpo_arguments(ctx, Session(tmp_path, ctx.events, "x", 10, boundary=batches.boundary), batches)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (8, 2)
    # 2 optimiser steps of 2 forward passes each: 4 passes per round, 32 completions, used 3 times.
    assert (args.steps_per_generation, args.num_iterations, args.generation_batch_size) == (4, 3, 32)
    assert args.save_steps == 12  # 7 rounded up to a multiple of 2 * 3
    assert (args.loss_type, args.scale_rewards, args.beta) == ("dr_grpo", "none", 0.02)
    assert (args.epsilon, args.epsilon_high, args.temperature, args.top_p) == (0.1, 0.3, 0.7, 0.9)
    assert (args.mask_truncated_completions, args.max_completion_length) == (True, 40)
    assert (args.learning_rate, str(args.lr_scheduler_type.value), args.warmup_steps, args.max_grad_norm) == (
        3e-5,
        "cosine",
        0.2,
        0.5,
    )
    assert (args.bf16, args.fp16, args.max_steps, args.report_to) == (False, False, 10, [])


@pytest.mark.parametrize(
    ("dtype", "precision", "bf16"),
    [("float32", None, False), ("float32", "bfloat16", True), ("bfloat16", None, True), ("bfloat16", "float32", False)],
)  # fmt: skip
def test_precision_is_the_students_unless_the_optimizer_has_its_own(
    dtype: str, precision: str | None, bf16: bool, tmp_path: Path
) -> None:
    from rlkd.training.arguments import common_arguments
    from rlkd.training.mixin import Session

    config = make_config(student={"dtype": dtype}, rl={"optimizer": {"precision": precision}})
    session = Session(tmp_path, make_context(tmp_path, config, {}).events, "x", 10)
    assert common_arguments(session, config.student, config.rl.optimizer, 0)["bf16"] is bf16


@pytest.mark.parametrize(
    ("cuda", "installed", "wanted", "used"),
    [
        (True, True, True, True),
        (True, False, True, False),
        (False, True, True, False),
        (True, True, False, False),
    ],
)
def test_ligers_kernels_are_used_where_they_can_be(
    cuda: bool, installed: bool, wanted: bool, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlkd.training.arguments import common_arguments
    from rlkd.training.mixin import Session

    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("transformers.utils.is_liger_kernel_available", lambda: installed)
    optimizer = {"liger": wanted}
    config = make_config(rl={"optimizer": optimizer}, warm_start={"optimizer": optimizer})
    session = Session(tmp_path, make_context(tmp_path, config, {}).events, "x", 10)
    for settings in (config.rl.optimizer, config.warm_start.optimizer):
        made = common_arguments(session, config.student, settings, 0)
        assert made["use_liger_kernel"] is used
        assert made["liger_kernel_config"] == {"fused_linear_cross_entropy": False}


def test_training_goes_through_with_ligers_kernels(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the package, which changes no layer: the trainers hand it the model, and validation and RL go on."""
    import sys
    from types import ModuleType

    from rlkd.training.warm_start import warm_start

    patched: list[tuple[str, dict[str, bool]]] = []
    stand_in = ModuleType("liger_kernel.transformers")
    stand_in._apply_liger_kernel_to_instance = (  # type: ignore[attr-defined]
        lambda model, **kernels: patched.append((type(model).__name__, kernels))
    )
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", stand_in)
    monkeypatch.setattr("transformers.integrations.liger.is_liger_kernel_available", lambda: True)
    monkeypatch.setattr("rlkd.training.arguments.liger_usable", lambda: True)
    config = make_config(
        warm_start={"batch_size": 4, "max_epochs": 1, "eval_every": 2},
        rl={"steps": 1, "prompts_per_step": 2, "group_size": 2},
    )
    result = warm_start(make_context(tmp_path / "warm_start", config, inputs))
    assert "validation_loss" in result.metrics
    assert patched == [("LlamaForCausalLM", {"fused_linear_cross_entropy": False})]
    made = rl.distil(make_context(tmp_path / "rl", config, {**inputs, "warm_start": tmp_path / "warm_start"}))
    assert made.summary["steps"] == 1
    assert patched[1:] == patched[:1]
