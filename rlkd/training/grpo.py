"""TRL's GRPO trainer with our prompts, sampler, reward bookkeeping and checkpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import MissingScoreError
from rlkd.rewards.ledger import Ledger
from rlkd.rewards.scoring import RewardModel
from rlkd.rewards.statistics import missing_share, step_statistics
from rlkd.structure.backends.cached import last_fault
from rlkd.student.generate import generate_ids, graph_supported, lean_supported
from rlkd.student.prompts import PromptBook
from rlkd.student.sampling import Sampling
from rlkd.training.mixin import WatchedTrainer
from rlkd.training.trl_hooks import GRPOHooks, pad_id, tokenizer_of, whole_model
from rlkd.training.validation import Validation, best_step, figures
from schemas.rollout import Completion, RewardRecord

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


class GroupReward:
    """The one reward function that TRL sees; remembers the records of the last batch.

    TRL would add several functions with ``nansum``, which turns a missing component into 0. Here the
    components are combined first, and a missing one makes the whole reward ``None``.

    Args:
        model: Scores completions.
        eos_ids: Tokens that end a completion.
        group_size: Completions per problem.
        max_missing_share: Share of missing rewards past which training stops.
        whole: Makes the whole completion of a sampled text: puts back what the prompt has opened.
    """

    __name__ = "rlkd_reward"

    def __init__(
        self,
        model: RewardModel,
        eos_ids: Sequence[int],
        group_size: int,
        max_missing_share: float,
        whole: Callable[[str], str] = str,
    ) -> None:
        self.model = model
        self.eos_ids = frozenset(eos_ids)
        self.group_size = group_size
        self.max_missing_share = max_missing_share
        self.whole = whole
        self.process_index = 0
        self.records: list[RewardRecord] = []
        self._runner = asyncio.Runner()

    def __call__(
        self,
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        problem_id: Sequence[str],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        """Scores this process's completions; ``None`` where the reward is missing."""
        rows = [
            Completion(
                problem_id=name,
                text=self.whole(text),
                tokens=len(ids),
                finish_reason="stop" if ids and ids[-1] in self.eos_ids else "length",
            )
            for name, text, ids in zip(problem_id, completions, completion_ids, strict=True)
        ]
        first = self.process_index * len(rows)
        scored = self._runner.run(self.model.score(rows, trainer_state.global_step, 0, 1))
        self.records = [
            r.model_copy(update={"group": (first + i) // self.group_size}) for i, r in enumerate(scored)
        ]
        return [record.reward for record in self.records]

    def score_apart(self, model: RewardModel, completions: Sequence[Completion]) -> list[RewardRecord]:
        """Scores completions that nothing is learned from."""
        return self._runner.run(model.score(completions, 0, 0, 1))

    def close(self) -> None:
        """Ends the event loop."""
        self._runner.close()


def check_missing(records: Sequence[RewardRecord], limit: float, fault: str = "") -> None:
    """Stops a run whose rewards are missing too often.

    Args:
        records: The step's records.
        limit: Share of missing rewards that is borne.
        fault: What went wrong last, for the message.

    Raises:
        MissingScoreError: The share of missing rewards in the step exceeds the limit.
    """
    share = missing_share(records)
    if share > limit:
        names = sorted({name for record in records for name in record.missing})
        raise MissingScoreError(
            f"{share:.0%} of the rewards of step {records[0].step + 1} are missing ({', '.join(names)}), more than "
            f"rl.max_missing_share = {limit:.0%}{f' (last fault: {fault})' if fault else ''}; mend structures.decomposer, "
            "structures.judge or their endpoint and run again: training continues from its last checkpoint"
        )


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

    def attach(
        self,
        book: PromptBook,
        reward: GroupReward,
        ledger: Ledger | None,
        validation: Validation | None = None,
        *,
        share_prompts: bool,
        keep_best: bool = False,
    ) -> None:
        """Sets what the trainer works with."""
        from rlkd.training.shared_prompt import supports

        trainer: Any = self
        self.share_prompts = share_prompts and supports(trainer.accelerator.unwrap_model(trainer.model))
        self.book, self.reward, self.ledger = book, reward, ledger
        self.validation, self.keep_best = validation, keep_best
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
        """Samples with our loops where they support the model; vLLM and sharded models are the library's."""
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model)
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        if trainer.use_vllm or sharded or not (lean_supported(model) or graph_supported(model)):
            return None
        return generate_ids(model, prompts, self._sampling())

    def packed_log_probabilities(
        self, model: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, completion: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Computes a group's prompt once for all its completions, where that is cheaper; see :mod:`rlkd.training.shared_prompt`."""
        from rlkd.training.shared_prompt import log_probabilities, pack

        trainer: Any = self
        if not self.share_prompts:
            return None
        width = trainer.model.config.get_text_config().hidden_size
        packed = pack(ids_BT, mask_BT, completion, width)
        if packed is None:
            return None
        with trainer.accelerator.autocast():
            return log_probabilities(model, packed, entropy=entropy)

    def scored(self, output: dict[str, Any]) -> None:
        """Masks completions without a reward, and writes the batch's records into the ledger."""
        from accelerate.utils import gather_object

        records = self._mask_unscored(output)
        everyone: list[RewardRecord] = gather_object(records)
        self.last_records = everyone
        if self.ledger is not None:
            self.ledger.add(everyone)
        check_missing(everyone, self.reward.max_missing_share, last_fault(self.reward.model.scorer))

    def _mask_unscored(self, output: dict[str, Any]) -> list[RewardRecord]:
        """Masks completions without a reward out of the loss, and notes the advantages (B,) that it uses."""
        import torch

        trainer: Any = self
        records = self.reward.records
        mask_BC = output["completion_mask"]
        scored_B = torch.tensor([r.reward is not None for r in records], device=mask_BC.device)
        output["completion_mask"] = mask_BC = mask_BC * scored_B[:, None].to(mask_BC.dtype)
        # TRL counted the masked tokens too; dapo divides by this number.
        output["num_items_in_batch"] = trainer.accelerator.gather(mask_BC.sum()).sum()
        advantages = (output["advantages"] * mask_BC.any(1)).tolist()
        return [r.model_copy(update={"advantage": a}) for r, a in zip(records, advantages, strict=True)]

    def extra_metrics(self) -> dict[str, float]:
        """Statistics of the round that was sampled in this step, if one was, the step's wall time, and validation."""
        seconds = time.perf_counter() - self.last_time
        records, self.last_records = self.last_records, []
        found = {**step_statistics(records), "step_seconds": seconds, **self.validate()}
        self.last_time = time.perf_counter()  # what validation took is no part of a step
        return found

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
                    trainer.session.events.metrics(0, found)
                trainer.last_time = time.perf_counter()

    return StartCallback()
