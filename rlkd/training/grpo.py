"""TRL's GRPO trainer with our prompts, sampler, reward bookkeeping and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import ConfigError
from rlkd.rewards.ledger import Ledger
from rlkd.rewards.loops import copied_share
from rlkd.rewards.statistics import step_statistics
from rlkd.structure.backends.cached import last_fault
from rlkd.student.generate import generate_ids, graph_supported, lean_supported
from rlkd.student.prompts import PromptBook
from rlkd.student.sampling import Sampling
from rlkd.training.group_reward import GroupReward, check_missing
from rlkd.training.mixin import WatchedTrainer
from rlkd.training.objective import Objective
from rlkd.training.trl_hooks import GRPOHooks, Sampler, pad_id, tokenizer_of, whole_model
from rlkd.training.validation import Validation, best_step, figures
from rlkd.training.watch import Watch
from schemas.config.objective import ObjectiveConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.watch import WatchConfig
from schemas.rollout import RewardRecord

if TYPE_CHECKING:
    import torch

METRICS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip",
    "clip_ratio/low_mean": "clip_low",
    "clip_ratio/high_mean": "clip_high",
    "sampling/sampling_logp_difference/mean": "sampler_difference",
}


class StructureTrainer(GRPOHooks, WatchedTrainer):
    """What we put before TRL's trainer: GRPO (Shao et al. 2024) on the combined reward. See :func:`make_trainer_class`."""

    metric_names = METRICS
    book: PromptBook
    reward: GroupReward
    ledger: Ledger | None
    validation: Validation | None
    keep_best: bool
    last_records: list[RewardRecord]
    last_time: float
    share_prompts: bool
    objective: Objective
    watch: Watch

    def attach(
        self,
        book: PromptBook,
        reward: GroupReward,
        ledger: Ledger | None,
        validation: Validation | None = None,
        *,
        share_prompts: bool,
        keep_best: bool = False,
        objective: Objective | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Sets what the trainer works with."""
        from rlkd.training.shared_prompt import supports

        trainer: Any = self
        self.share_prompts = share_prompts and supports(trainer.accelerator.unwrap_model(trainer.model))
        self.book, self.reward, self.ledger = book, reward, ledger
        self.validation, self.keep_best = validation, keep_best
        self.watch = watch or Watch(WatchConfig())
        self.objective = objective or Objective(ObjectiveConfig(), RewardsConfig(), reward.group_size)
        self.reward.process_index = trainer.accelerator.process_index
        self.last_records, self.last_time = [], time.perf_counter()

    def encode_prompts(self, prompts: list[str]) -> list[list[int]]:
        """Encodes rendered prompts as evaluation does; equal ones once."""
        known = {prompt: self.book.encode_rendered(prompt) for prompt in set(prompts)}
        return [known[prompt] for prompt in prompts]

    def _sampling(self, *, greedy: bool = False) -> Sampling:
        trainer: Any = self
        return Sampling(
            max_new_tokens=trainer.max_completion_length,
            temperature=None if greedy else trainer.temperature,
            top_p=trainer.top_p,
            eos_ids=tuple(trainer.eos_token_ids),
            pad_id=pad_id(trainer),
        )

    def sample(self, prompts: list[list[int]]) -> list[list[int]] | None:
        """Samples with our loops where they support the model; vLLM and sharded models are the library's.

        Members of a group that are not sampled (``rl.objective``) are decoded greedily, or taken from the teacher.
        """
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model)
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        step = trainer.state.global_step
        first = trainer.accelerator.process_index * len(prompts)
        members = self.objective.members(len(prompts), first, step)
        plain = set(members) == {"sampled"}
        ours = lean_supported(model) or graph_supported(model)
        if trainer.use_vllm or sharded or (plain and not ours):
            if not plain:
                raise ConfigError(
                    "rl.objective.greedy_in_group and teacher_in_group need the sampler of this project, which samples from no sharded "
                    "model (FSDP, DeepSpeed) and not with vLLM; switch them off"
                )
            return None
        self.reward.members = members
        found: dict[int, list[int]] = {}
        for kind, greedy in (("sampled", False), ("greedy", True)):
            places = [i for i, member in enumerate(members) if member == kind]
            made = generate_ids(model, [prompts[i] for i in places], self._sampling(greedy=greedy))
            found.update(zip(places, made, strict=True))
        for i, member in enumerate(members):
            if member == "teacher":
                found[i] = list(self.objective.trace(i, step) or ())
        return [found[i] for i in range(len(prompts))]

    def sampled(self, inputs: list[dict[str, Any]], sample: Sampler) -> dict[str, Any]:
        """Samples and scores a round, again for groups without a signal where ``rl.objective.resample`` asks for that."""
        trainer: Any = self
        step = trainer.state.global_step
        return self.objective.sample(inputs, sample, self.reward, step, pad_id(trainer))

    def advantages_now(self, inputs: dict[str, Any], log_p_BC: torch.Tensor) -> torch.Tensor:
        """Returns the advantages of a loss; see :class:`~rlkd.training.objective.Objective`."""
        return self.objective.advantages_now(inputs, log_p_BC)

    def packed_log_probabilities(
        self, model: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, completion: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Computes a group's prompt once for all its completions, and no padding; see :mod:`rlkd.training.shared_prompt`."""
        from rlkd.training.shared_prompt import log_probabilities, prepare

        trainer: Any = self
        if not self.share_prompts:
            return None
        prepare(trainer.accelerator.unwrap_model(model))  # the policy, or the one that the KL is taken to
        with trainer.accelerator.autocast():
            return log_probabilities(
                model, ids_BT, mask_BT, completion, entropy=entropy, learned_B=self._learned()
            )

    def _learned(self) -> torch.Tensor | None:
        """Returns (B,) whether a completion has an advantage in the loss that is being computed; ``None`` where all are to be computed alike.

        Among several processes they are: each forward pass exchanges buffers or weights, so that all must make equally many.
        """
        import torch

        trainer: Any = self
        inputs = trainer.current
        others = trainer.beta or self.objective.changes_advantages or trainer.accelerator.num_processes > 1
        if inputs is None or others or not torch.is_grad_enabled():
            return None
        advantages: torch.Tensor = inputs["advantages"]
        return advantages.flatten(1).ne(0).any(1) if advantages.ndim > 1 else advantages.ne(0)

    def scored(self, output: dict[str, Any]) -> None:
        """Masks completions without a reward, makes their advantages, and writes the batch's records into the ledger."""
        from accelerate.utils import gather_object

        count = len(output["completion_ids"])
        replaced = self.reward.records[count:]  # groups that were sampled and are not learned from
        records = self._with_advantages(output, self.reward.records[:count])
        everyone: list[RewardRecord] = [*gather_object(records), *replaced]
        self.last_records = everyone
        if self.ledger is not None:
            self.ledger.add(everyone)
        self._for_the_loss(output, records)
        if self.objective.rewarded:
            check_missing(everyone, self.reward.max_missing_share, last_fault(self.reward.model.scorer))

    def _with_advantages(self, output: dict[str, Any], records: list[RewardRecord]) -> list[RewardRecord]:
        """Masks completions without a reward out of the loss, and notes the advantages (B,) that it uses."""
        import torch
        from accelerate.utils import gather_object

        trainer: Any = self
        mask_BC = output["completion_mask"]
        if self.objective.rewarded:
            scored_B = torch.tensor([r.reward is not None for r in records], device=mask_BC.device)
            output["completion_mask"] = mask_BC = mask_BC * scored_B[:, None].to(mask_BC.dtype)
        # TRL counted the masked tokens too; dapo divides by this number.
        output["num_items_in_batch"] = trainer.accelerator.gather(mask_BC.sum()).sum()
        made = gather_object((output["advantages"] * mask_BC.any(1)).tolist())
        first = trainer.accelerator.process_index * len(records)
        found = self.objective.advantages(gather_object(records), made)[first : first + len(records)]
        output["advantages"] = output["advantages"].new_tensor(found) * mask_BC.any(1)
        advantages = output["advantages"].tolist()
        return [r.model_copy(update={"advantage": a}) for r, a in zip(records, advantages, strict=True)]

    def _for_the_loss(self, output: dict[str, Any], records: list[RewardRecord]) -> None:
        """Adds what the loss needs beside one advantage for each completion."""
        import torch

        trainer: Any = self
        config, ids_BC = self.objective.config, output["completion_ids"]
        if config.teacher_in_group:
            output["rlkd_teacher_member"] = torch.tensor(
                [record.member == "teacher" for record in records], device=ids_BC.device
            )
        if self.objective.teacher is not None:
            size = trainer.args.per_device_train_batch_size
            output["rlkd_teacher_log_p"] = self.log_probabilities_of(self.objective.teacher, output, size)
        if config.step_credit > 0:
            tokenizer = tokenizer_of(trainer)
            ids = [row[: record.tokens] for row, record in zip(ids_BC.tolist(), records, strict=True)]
            weights = self.objective.by_token(
                records,
                ids,
                lambda own: tokenizer.decode(own, skip_special_tokens=True),
                len(self.reward.whole("")),
            )
            weights_BC = torch.ones_like(ids_BC, dtype=output["advantages"].dtype)
            for row_C, own in zip(weights_BC, weights, strict=True):
                row_C[: len(own)] = row_C.new_tensor(own)
            output["advantages"] = output["advantages"][:, None] * weights_BC

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps the step's figures, and stops training where the watch over them says so."""
        super().log(logs, start_time)
        if "loss" in logs:
            self._look()

    def _look(self) -> None:
        """Shows the last row to the watch, in the first process; all stop together."""
        from accelerate.utils import broadcast_object_list

        trainer: Any = self
        if trainer.is_world_process_zero():
            for alarm in self.watch.add(self.last_row):
                self.session.events.message(f"watch, step {alarm.step}: {alarm.text}")
        stopped = broadcast_object_list([self.watch.stopped])[0]
        if stopped is not None:
            trainer.control.should_save = trainer.control.should_training_stop = True

    def extra_metrics(self) -> dict[str, float]:
        """Statistics of the round that was sampled in this step, if one was, the step's wall time, and validation."""
        seconds = time.perf_counter() - self.last_time
        records, self.last_records = self.last_records, []
        found = {
            **step_statistics(records),
            **self._copied(records),
            **self.objective.figures(),
            "step_seconds": seconds,
            **self.validate(),
        }
        self.last_time = time.perf_counter()  # what validation took is no part of a step
        return found

    def _copied(self, records: Sequence[RewardRecord]) -> dict[str, float]:
        """Mean share of the student's completions that is copied from the problem."""
        problems = self.reward.model.problems
        shares = [
            copied_share(record.completion, problems[record.problem_id].question)
            for record in records
            if record.member != "teacher"
        ]
        return {"copied": sum(shares) / len(shares)} if shares else {}

    def validate(self) -> dict[str, float]:
        """Greedy figures on the validation problems, after steps that are due; every process asks its share."""
        trainer: Any = self
        step = trainer.state.global_step
        if self.validation is None or not self.validation.due(step, self.session.total):
            return {}
        found = figures(self._ask(self.validation))
        if self.keep_best and step > 0:
            now: dict[str, float] = {"step": step, **found}
            rows = [row for row in self.session.metrics.read() if row["step"] < step]
            if best_step([*rows, now]) == step:
                trainer.control.should_save = True
        return found

    def _ask(self, validation: Validation) -> list[RewardRecord]:
        import torch
        from accelerate.utils import gather_object

        trainer: Any = self
        share = slice(trainer.accelerator.process_index, None, trainer.accelerator.num_processes)
        cuda = [trainer.accelerator.device] if trainer.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), whole_model(trainer) as model:
            own = validation.ask(
                model,
                tokenizer_of(trainer),
                self._sampling(greedy=True),
                self.reward.score_apart,
                share,
            )
        everyone: list[RewardRecord] = gather_object(own)
        return everyone

    def best_checkpoint(self) -> Path | None:
        """The checkpoint that was best on validation, where it is the one that goes on."""
        step = best_step(self.session.metrics.read()) if self.keep_best else None
        return None if step is None else self.session.root / f"checkpoint-{step}"


def make_trainer_class() -> type:
    """Our trainer's class (TRL is imported here, not before)."""
    from trl import GRPOTrainer

    return type("StructureGRPOTrainer", (StructureTrainer, GRPOTrainer), {})


def start_callback(trainer: Any) -> Any:
    """A Trainer callback that evaluates the student that RL starts from, as step 0."""
    from transformers import TrainerCallback

    class StartCallback(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0 and trainer.validation is not None:
                found = trainer.validate()
                if state.is_world_process_zero:
                    trainer.session.metrics.append(0, found)
                    trainer.watch.add({"step": 0, **found})
                    trainer.session.events.metrics(0, found)
                trainer.last_time = time.perf_counter()

    return StartCallback()
