"""RL distillation: GRPO on structure, outcome and format (paper, section 3.3)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.data.drawn import Pair, drawn_pairs
from rlkd.errors import ConfigError
from rlkd.io import write_json_atomic
from rlkd.pipeline.context import StageContext
from rlkd.rewards.ledger import Ledger, undecided_answers
from rlkd.rewards.scoring import RewardModel
from rlkd.student.load import Student, is_fresh, load_student, publish_checkpoint
from rlkd.student.packable import why_not_packed
from rlkd.student.prompts import PromptBook
from rlkd.student.quiet import quiet_libraries
from rlkd.student.special_tokens import end_ids
from rlkd.training import watch
from rlkd.training.arguments import common_arguments, world_size
from rlkd.training.checkpoints import all_checkpoints, last_figures, step_of
from rlkd.training.group_reward import GroupReward, check_components
from rlkd.training.guard import stop_on_sigterm
from rlkd.training.mixin import Session, session_callback
from rlkd.training.objective import make_objective
from rlkd.training.practice import Practice, choose_problems, problem_order, read_structures, shuffle_teachers
from rlkd.training.validation import make_validation
from rlkd.training.warm_start import starting_student
from rlkd.training.watch import WATCH_FILE, Watch
from schemas.artifact import StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.config.training import RLConfig


def distil(ctx: StageContext) -> StageResult:
    """Trains the student on the combined reward, on the problems of the teacher traces that the run uses.

    Starts from the warm-started student, or from ``student.model`` where there was no warm start (RLKD-zero).
    Writes ``model/``, ``metrics.jsonl`` (a row per optimiser step; with ``rl.eval_every`` also one for step 0) and
    ``ledger/`` (a row per scored completion).
    An unfinished stage continues from its last checkpoint; metrics and ledger rows after it are dropped.

    Raises:
        ConfigError: Batch settings do not divide, or vLLM is asked for and absent.
        DataError: No problem is left to practise on.
        TrainingError: The loss was not finite, or the run was asked to stop.
        MissingScoreError: Too many rewards are missing, or a component of the reward has no value for the teachers' own paths.
    """
    quiet_libraries()
    config = ctx.config
    batches = plan_batches(ctx.config.rl, world_size())
    check_settings(ctx.config)
    pairs = drawn_pairs(ctx.inputs)
    student, start = _student(ctx, pairs)
    _say_unpacked(ctx, student.model.config)
    book = PromptBook(ctx.config.student, student.tokenizer)
    practice = _practice(ctx, book, pairs)
    with stop_on_sigterm() as stop:
        rate, steps = "rl.optimizer.learning_rate", config.rl.steps
        session = Session(ctx.folder, ctx.events, rate, steps, boundary=batches.boundary, stop=stop)
        trainer = build_trainer(ctx, session, student, book, practice, batches)
        try:
            check_components(trainer.reward)
            final = _train(trainer, session)
            stopped = trainer.watch.stopped
            best = config.rl.keep == "best" or stopped is not None
            kept = (trainer.best_checkpoint() if best and trainer.is_world_process_zero() else None) or final
        finally:
            trainer.reward.close()
            if trainer.ledger is not None:
                trainer.ledger.flush()  # after a failure: what led to it can be read, until the next attempt cuts it
    if trainer.is_world_process_zero():
        publish_checkpoint(ctx.config.student, kept, start, ctx.folder / "model")
        write_json_atomic(ctx.folder / WATCH_FILE, trainer.watch.report)
    made = config.rl.prompts_per_step * config.rl.group_size
    return StageResult(
        rows=len(practice.problems),
        summary={
            "problems": len(practice.problems),
            "long_prompts": practice.long_prompts,
            "without_structure": practice.without_structure,
            "steps": step_of(final),
            "kept_step": step_of(kept),
            "completions": step_of(final) * made // batches.updates_per_sample,
            "undecided": undecided_answers(ctx.folder / "ledger"),
            "undecided_counts_as": ctx.config.rewards.undecided,
            "alarms": [f"step {alarm.step}: {alarm.text}" for alarm in trainer.watch.alarms],
            "stopped_by_watch": stopped,
        },
        metrics={
            **last_figures(session.metrics, trainer.reward.model.components),
            "watch_alarms": float(len(trainer.watch.alarms)),
        },
    )


def _practice(ctx: StageContext, book: PromptBook, pairs: Sequence[Pair]) -> Practice:
    """The problems that the student practises on; says which were left out."""
    practice = choose_problems(book, pairs, read_structures(ctx.inputs["structures"]))
    if ctx.config.rl.shuffle_teachers:
        practice = shuffle_teachers(practice, ctx.config.seed)
    if practice.long_prompts or practice.without_structure:
        ctx.events.message(
            f"{practice.long_prompts} problems skipped for a prompt over student.max_prompt_tokens, "
            f"{practice.without_structure} because no teacher path of theirs has a step"
        )
    return practice


@dataclass(frozen=True)
class Batches:
    """How one optimiser step is cut into pieces.

    Attributes:
        per_device: Completions per device and forward pass.
        accumulation: Forward passes per optimiser step.
        rounds: Rounds of sampling in the whole run.
        prompts_per_round: Distinct problems in a round.
        boundary: Optimiser steps that a round serves.
        updates_per_sample: Optimiser steps that one batch of completions serves more than once (mu).
    """

    per_device: int
    accumulation: int
    rounds: int
    prompts_per_round: int
    boundary: int
    updates_per_sample: int


def plan_batches(config: RLConfig, processes: int) -> Batches:
    """Cuts the optimiser step for a number of processes.

    Raises:
        ConfigError: The pieces do not divide.
    """
    total = config.prompts_per_step * config.group_size
    if total % processes:
        raise ConfigError(
            f"rl.prompts_per_step x rl.group_size = {total} completions cannot be shared by launch.processes = {processes}"
        )
    local = total // processes
    per_device = config.micro_batch or local
    if local % per_device:
        raise ConfigError(
            f"rl.micro_batch = {per_device} must divide the {local} completions of each of {processes} processes"
        )
    boundary = config.steps_per_generation * config.iterations
    return Batches(
        per_device=per_device,
        accumulation=local // per_device,
        rounds=math.ceil(config.steps / boundary),
        prompts_per_round=config.prompts_per_step * config.steps_per_generation,
        boundary=boundary,
        updates_per_sample=config.iterations,
    )


def check_settings(config: PipelineConfig) -> None:
    """Checks what can be checked before anything is loaded.

    Raises:
        ConfigError: vLLM is asked for and not installed, or the structure score has no bound, or both.
    """
    faults = []
    if config.rl.generation == "vllm" and importlib.util.find_spec("vllm") is None:
        faults.append(
            "rl.generation is vllm, which is not installed here; `pip install vllm` on a CUDA machine, or set rl.generation=transformers"
        )
    alignment = config.structures.alignment
    if alignment.type == "prefix" and not alignment.normalize:
        faults.append(
            "structures.alignment.normalize is off: the sum has no bound and cannot be combined with rewards in [0, 1]; switch it on for training"
        )
    if faults:
        raise ConfigError("; ".join(faults))


def _student(ctx: StageContext, pairs: Sequence[Pair]) -> tuple[Student, Path | None]:
    warm = ctx.inputs.get("warm_start")
    if warm is not None:
        return load_student(ctx.config.student, warm / "model", train=True), warm / "model"
    if is_fresh(ctx.config.student):
        return starting_student(ctx, pairs)
    return load_student(ctx.config.student, train=True), None


def _say_unpacked(ctx: StageContext, model: Any) -> None:
    """Says that completions do not share their prompt though they should, and why."""
    if ctx.config.rl.share_prompts and (why := why_not_packed(model, model._attn_implementation)):
        ctx.events.message(f"each completion has a padded row with its prompt: {why}")


def build_trainer(
    ctx: StageContext,
    session: Session,
    student: Student,
    book: PromptBook,
    practice: Practice,
    batches: Batches,
) -> Any:
    """Our GRPO trainer over the problems in their order of practice."""
    from datasets import Dataset
    from transformers import PrinterCallback

    from rlkd.structure.factory import make_scorer
    from rlkd.student.load import lora_config
    from rlkd.training.grpo import make_trainer_class, start_callback

    config = ctx.config
    model = RewardModel(
        config.rewards,
        config.student,
        make_scorer(config.structures),
        {problem.id: problem for problem in practice.problems},
        practice.teachers,
        paths=practice.paths,
    )
    ends = end_ids(student.model, student.tokenizer)
    reward = GroupReward(model, ends, config.rl.group_size, config.rl.max_missing_share, book.whole)
    order = problem_order(len(practice.problems), batches.prompts_per_round, batches.rounds, config.seed)
    rows = [{"prompt": book.render(one.question), "problem_id": one.id} for one in practice.problems]
    lora = config.student.lora
    trainer = make_trainer_class()(
        model=student.model,
        reward_funcs=[reward],
        args=grpo_arguments(ctx, session, batches),
        train_dataset=Dataset.from_list([rows[i] for i in order]),
        processing_class=student.tokenizer,
        peft_config=lora_config(lora) if lora else None,
        callbacks=[session_callback(session)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.session = session
    ledger = Ledger(ctx.folder / "ledger") if trainer.is_world_process_zero() else None
    session.before_mark = ledger.flush if ledger else None
    trainer.attach(
        book,
        reward,
        ledger,
        make_validation(ctx, book, model, batches.boundary),
        share_prompts=config.rl.share_prompts,
        keep_best=config.rl.keep == "best" or config.rl.watch.action == "stop",
        watch=Watch(config.rl.watch),
        objective=make_objective(config, book, practice.problems, practice.paths, rows),
    )
    trainer.add_callback(start_callback(trainer))
    return trainer


def grpo_arguments(ctx: StageContext, session: Session, batches: Batches) -> Any:
    """TRL's configuration of the run; every default that matters is decided here, on purpose."""
    from trl import GRPOConfig

    config, student = ctx.config.rl, ctx.config.student
    save_every = math.ceil(config.save_every / batches.boundary) * batches.boundary
    common = common_arguments(session, student, config.optimizer, ctx.config.seed)
    if student.model.type == "checkpoint" and "warm_start" not in ctx.inputs:
        # The KL term's reference model is loaded by TRL, from the same place as the student.
        common["model_init_kwargs"] = {"revision": student.model.revision}
        common["trust_remote_code"] = student.model.trust_remote_code
    return GRPOConfig(
        **common,
        per_device_train_batch_size=batches.per_device,
        gradient_accumulation_steps=batches.accumulation,
        # TRL counts forward passes here, we count optimiser steps.
        steps_per_generation=batches.accumulation * config.steps_per_generation,
        num_iterations=config.iterations,
        num_generations=config.group_size,
        max_completion_length=student.max_completion_tokens,
        save_steps=save_every,
        shuffle_dataset=False,  # the rows are already in the order of practice
        remove_unused_columns=False,
        loss_type=config.loss,
        scale_rewards=config.scale_rewards,
        multi_objective_aggregation="sum_then_normalize",
        beta=config.kl,
        epsilon=config.clip_low,
        epsilon_high=config.clip_high,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        mask_truncated_completions=config.mask_truncated,
        disable_dropout=True,
        use_vllm=config.generation == "vllm",
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=config.vllm_memory,
        vllm_max_model_length=student.max_prompt_tokens + student.max_completion_tokens,
        log_completions=False,
    )


def _train(trainer: Any, session: Session) -> Path:
    """Runs or continues training; returns the last checkpoint."""
    with trainer.args.main_process_first(local=False):
        checkpoint = session.resume()
    done = step_of(checkpoint) if checkpoint else 0
    if trainer.ledger is not None:
        trainer.ledger.truncate(done)
    trainer.watch = watch.replay(session.metrics.read(), trainer.watch.config)
    if done < session.total and trainer.watch.stopped is None:
        if checkpoint is not None:
            session.events.message(f"continues from step {done}")
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        session.check_finished(trainer.state.global_step)
    return all_checkpoints(session.root)[-1]
