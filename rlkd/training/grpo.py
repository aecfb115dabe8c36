"""TRL's GRPO trainer with our prompts, sampler, reward bookkeeping and checkpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from rlkd.completion.decode import Sampling, generate_ids, lean_supported
from rlkd.errors import MissingScoreError
from rlkd.rewards.ledger import Ledger
from rlkd.rewards.scoring import RewardModel
from rlkd.rewards.statistics import missing_share, step_statistics
from rlkd.training.mixin import WatchedTrainer
from rlkd.training.prompts import PromptBook
from schemas.rollout import Completion, RewardRecord

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
    """

    __name__ = "rlkd_reward"

    def __init__(
        self, model: RewardModel, eos_ids: Sequence[int], group_size: int, max_missing_share: float
    ) -> None:
        self.model = model
        self.eos_ids = frozenset(eos_ids)
        self.group_size = group_size
        self.max_missing_share = max_missing_share
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
                text=text,
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

    def close(self) -> None:
        """Ends the event loop."""
        self._runner.close()


def check_missing(records: Sequence[RewardRecord], limit: float) -> None:
    """Stops a run whose rewards are missing too often.

    Raises:
        MissingScoreError: The share of missing rewards in the step exceeds the limit.
    """
    share = missing_share(records)
    if share > limit:
        names = sorted({name for record in records for name in record.missing})
        raise MissingScoreError(
            f"{share:.0%} of the rewards of step {records[0].step + 1} are missing ({', '.join(names)}), more than "
            f"rl.max_missing_share = {limit:.0%}; mend the scorer or its endpoint and run again: training continues from its last checkpoint"
        )


def make_trainer_class() -> type:
    """Our trainer's class (TRL is imported here, not before)."""
    import torch
    from accelerate.utils import gather_object
    from trl import GRPOTrainer

    from rlkd.training.shared_prompt import log_probabilities, pack, supports

    class StructureTrainer(WatchedTrainer, GRPOTrainer):  # type: ignore[misc]
        """GRPO (Shao et al. 2024) on the combined reward."""

        metric_names = METRICS
        book: PromptBook
        reward: GroupReward
        ledger: Ledger | None
        last_records: list[RewardRecord]
        last_time: float
        share_prompts: bool

        def attach(
            self, book: PromptBook, reward: GroupReward, ledger: Ledger | None, *, share_prompts: bool
        ) -> None:
            """Sets what the trainer works with."""
            self.share_prompts = share_prompts and supports(self.accelerator.unwrap_model(self.model))
            self.book, self.reward, self.ledger = book, reward, ledger
            self.reward.process_index = self.accelerator.process_index
            self.last_records, self.last_time = [], time.perf_counter()

        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            known = {prompt: self.book.encode_rendered(prompt) for prompt in set(prompts)}
            return [known[prompt] for prompt in prompts], None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
            model = self.accelerator.unwrap_model(self.model)
            if self.use_vllm or not lean_supported(model):
                return super()._generate_single_turn(prompt_ids, *args, **kwargs)
            sampling = Sampling(
                max_new_tokens=self.max_completion_length,
                temperature=self.temperature,
                top_p=self.top_p,
                eos_ids=tuple(self.eos_token_ids),
                pad_id=self._tokenizer.pad_token_id,
            )
            return generate_ids(model, prompt_ids, sampling), None

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            logits_to_keep: int,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            packed = None
            if self.share_prompts and not kwargs.get("compute_aux_loss"):
                width = self.model.config.get_text_config().hidden_size
                packed = pack(input_ids, attention_mask, logits_to_keep, width)
            if packed is None:
                return super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
                )
            with self.accelerator.autocast():
                logps, entropies = log_probabilities(
                    model, packed, entropy=bool(kwargs.get("compute_entropy"))
                )
            return logps, entropies, None

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            records = self._settle(output)
            everyone: list[RewardRecord] = gather_object(records)
            self.last_records = everyone
            if self.ledger is not None:
                self.ledger.add(everyone)
            check_missing(everyone, self.reward.max_missing_share)
            return output

        def _settle(self, output: dict[str, Any]) -> list[RewardRecord]:
            """Masks completions without a reward out of the loss, and notes the advantages that it uses."""
            records = self.reward.records
            scored = torch.tensor(
                [r.reward is not None for r in records], device=output["completion_mask"].device
            )
            output["completion_mask"] = output["completion_mask"] * scored[:, None].to(
                output["completion_mask"].dtype
            )
            # TRL counted the masked tokens too; dapo divides by this number.
            output["num_items_in_batch"] = self.accelerator.gather(output["completion_mask"].sum()).sum()
            used = output["completion_mask"].any(1)
            advantages = (output["advantages"] * used).tolist()
            return [r.model_copy(update={"advantage": a}) for r, a in zip(records, advantages, strict=True)]

        def extra_metrics(self) -> dict[str, float]:
            """Statistics of the round that was sampled in this step, if one was, and the step's wall time."""
            now = time.perf_counter()
            seconds, self.last_time = now - self.last_time, now
            records, self.last_records = self.last_records, []
            return {**step_statistics(records), "step_seconds": seconds}

    return StructureTrainer
