"""Holds every name of TRL and transformers that is not their public interface and that this project overrides or calls.

The trainers see only our own names (`sample`, `encode_prompts`, ...). :data:`RELIED_ON` states what each of theirs must
look like; a test compares it with what is installed, so that raising a pin says in a second what has changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

RELIED_ON: dict[str, tuple[str, ...]] = {
    # Overridden: every parameter, since each is handed on.
    "trl.GRPOTrainer._tokenize_prompts": ("self", "prompts"),
    "trl.GRPOTrainer._generate_single_turn": (
        "self",
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
        "has_tool_images",
    ),
    "trl.GRPOTrainer._get_per_token_logps_and_entropies": (
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
        "compute_aux_loss",
        "pixel_values",
        "image_grid_thw",
        "num_images",
        "pixel_attention_mask",
        "spatial_shapes",
        "num_tiles",
        "image_sizes",
        "token_type_ids",
        "mm_token_type_ids",
        "image_position_ids",
    ),
    "trl.GRPOTrainer._generate_and_score_completions": ("self", "inputs"),
    "trl.GRPOTrainer._compute_loss": ("self", "model", "inputs"),
    "trl.GRPOTrainer._prepare_inputs": ("self", "generation_batch"),
    "transformers.Trainer._clip_grad_norm": ("self", "model"),
    "transformers.Trainer._save_checkpoint": ("self", "model", "trial"),
    "transformers.Trainer._get_train_sampler": ("self", "train_dataset"),
    # Called.
    "trl.trainer.grpo_trainer.DistributedBackend.summon_full_params": ("self", "module", "kwargs"),
    "trl.models.utils.unwrap_model_for_generation": (
        "model",
        "accelerator",
        "gather_deepspeed3_params",
        "generation_kwargs",
        "gradient_checkpointing_kwargs",
    ),
    "trl.trainer.utils.add_fused_lm_head": ("model", "temperature", "cast_lm_head_to_fp32", "outputs"),
    "transformers.cache_utils.StaticLayer.update": (
        "self",
        "key_states",
        "value_states",
        "args",
        "kwargs",
    ),
    "transformers.cache_utils.StaticCache.__init__": (
        "self",
        "config",
        "max_cache_len",
        "offloading",
        "offload_only_non_sliding",
        "kwargs",
    ),
}
"""Parameters, in order, of each function that is not public and that this project overrides or calls."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "trl.GRPOTrainer.__init__": ("self._tokenizer =", "self._dist =", "self.eos_token_ids ="),
    "trl.GRPOTrainer._get_per_token_logps_and_entropies": ("fused_lm_head=True", "outputs.log_probs"),
    # Read after the log-probabilities are computed, and may be (B, C): objectives change it in between.
    "trl.GRPOTrainer._compute_loss": ('advantages = inputs["advantages"]', "if advantages.dim() == 1:"),
    "trl.GRPOTrainer._prepare_inputs": (
        "self._buffered_inputs = [",
        "self._buffered_inputs[self._step % self.args.steps_per_generation]",
    ),
    "transformers.cache_utils.StaticLayer.__init__": ("self.cumulative_length =",),
    "transformers.PreTrainedModel.set_attn_implementation": ("_attn_implementation",),
}
"""Attributes that are set or read there, as they stand in the source, and that this project reads or sets too."""


Sampler = Callable[[list[dict[str, Any]]], dict[str, Any]]
_ORDER = "rlkd_order"
"""Number of a completion in its batch, as it was sampled: group after group."""


def find(dotted: str) -> Any:
    """Returns the object behind a dotted name, for example ``trl.GRPOTrainer._tokenize_prompts``.

    Raises:
        AttributeError: There is no such object.
    """
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AttributeError(dotted)


def differences() -> list[str]:
    """Compares what this project relies on with what is installed; one sentence for each difference."""
    found = []
    for name, expected in RELIED_ON.items():
        try:
            actual = tuple(inspect.signature(find(name)).parameters)
        except AttributeError:
            found.append(f"{name} is gone")
            continue
        if actual != expected:
            found.append(f"{name} takes ({', '.join(actual)}), and ({', '.join(expected)}) is relied on")
    for name, lines in ATTRIBUTES.items():
        try:
            source = inspect.getsource(find(name))
        except AttributeError:
            found.append(f"{name} is gone")
            continue
        found += [f"{name} has no `{line}` any more" for line in lines if line not in source]
    return found


class TrainerHooks:
    """What our trainers change in transformers' ``Trainer``; goes before the trainer class."""

    def clipped(self, norm: float | None) -> None:
        """Looks at the gradient norm before the optimiser steps."""

    def save(self, write: Callable[[], None]) -> None:
        """Saves a checkpoint; ``write`` does what the library does."""
        write()

    def order_of_texts(self) -> Any:
        """Returns the sampler of the training texts; ``None`` takes the library's."""
        return None

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[misc]
        value = norm.item() if hasattr(norm, "item") else norm
        self.clipped(None if value is None else float(value))
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        inherited = super()._save_checkpoint  # type: ignore[misc]
        self.save(lambda: inherited(model, trial))

    def _get_train_sampler(self, *dataset: Any) -> Any:
        ours = self.order_of_texts()
        return super()._get_train_sampler(*dataset) if ours is None else ours  # type: ignore[misc]


class GRPOHooks:
    """What our RL trainer changes in TRL's ``GRPOTrainer``; goes before the trainer class."""

    current: dict[str, Any] | None = None
    """Inputs of the loss that is being computed."""

    def sampled(self, inputs: list[dict[str, Any]], sample: Sampler) -> dict[str, Any]:
        """Samples and scores a completion of each row; ``sample`` does what the library does."""
        return sample(inputs)

    def advantages_now(self, inputs: dict[str, Any], log_p_BC: torch.Tensor) -> torch.Tensor:
        """Returns the advantages (B,) or (B, C) of a loss, given the tokens' log-probabilities under the student."""
        found: torch.Tensor = inputs["advantages"]
        return found

    def encode_prompts(self, prompts: list[str]) -> list[list[int]]:
        """Encodes rendered prompts."""
        raise NotImplementedError

    def sample(self, prompts: list[list[int]]) -> list[list[int]] | None:
        """Samples a completion of each prompt; ``None`` leaves it to the library."""
        raise NotImplementedError

    def packed_log_probabilities(
        self, model: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, completion: int, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Computes (B, C) log-probabilities and entropies of completions; ``None`` leaves it to the library."""
        raise NotImplementedError

    def scored(self, output: dict[str, Any]) -> None:
        """Takes a batch that was sampled and scored, before anything is learned from it."""
        raise NotImplementedError

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return self.encode_prompts(prompts), None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        sampled = self.sample(prompt_ids)
        if sampled is None:
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)  # type: ignore[misc]
        return sampled, None

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *args: Any, **kwargs: Any
    ) -> Any:
        packed = None
        if not kwargs.get("compute_aux_loss"):
            wanted = bool(kwargs.get("compute_entropy"))
            packed = self.packed_log_probabilities(model, input_ids, attention_mask, logits_to_keep, wanted)
        found = (
            super()._get_per_token_logps_and_entropies(  # type: ignore[misc]
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
            if packed is None
            else (*packed, None)
        )
        if self.current is not None:
            self.current["advantages"] = self.advantages_now(self.current, found[0].detach())
        return found

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        self.current = dict(inputs)
        try:
            return super()._compute_loss(model, self.current)  # type: ignore[misc]
        finally:
            self.current = None

    def log_probabilities_of(self, model: Any, output: dict[str, Any], batch_size: int) -> torch.Tensor:
        """Computes (B, C) log-probabilities of a sampled batch under another model that :func:`with_fused_head` prepared."""
        import torch

        ids, mask = (
            torch.cat([output[f"prompt_{name}"], output[f"completion_{name}"]], 1) for name in ("ids", "mask")
        )
        with torch.no_grad():
            found: torch.Tensor = super()._get_per_token_logps_and_entropies(  # type: ignore[misc]
                model, ids, mask, output["completion_ids"].shape[1], batch_size=batch_size
            )[0]
        return found

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        import torch

        output = self.sampled(inputs, super()._generate_and_score_completions)  # type: ignore[misc]
        self.scored(output)
        output[_ORDER] = torch.arange(len(output["prompt_ids"]), device=output["prompt_ids"].device)
        return output

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """Puts completions that TRL shuffled back in their order where all forward passes serve one optimiser step.

        The gradient is then the same sum in another order, but groups stay together, so that a pass computes their prompt
        once: at 135 M parameters, 16 completions in two passes, 1,290 tokens a pass instead of 2,100.
        """
        trainer: Any = self
        held = trainer._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)  # type: ignore[misc]
        passes, args = trainer._buffered_inputs, trainer.args
        one_step = args.steps_per_generation == args.gradient_accumulation_steps
        if passes is held or passes is None or len(passes) < 2 or not one_step:
            return inputs
        trainer._buffered_inputs = in_order(passes)
        return trainer._buffered_inputs[trainer._step % args.steps_per_generation]


def in_order(passes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shares the rows of several forward passes out anew, in the order in which they were sampled.

    Args:
        passes: Tensors of equally many rows by name; what is no tensor with rows is the same in all of them.
    """
    import torch

    order_B = torch.cat([one[_ORDER] for one in passes]).argsort()
    found: list[dict[str, Any]] = [dict(one) for one in passes]
    for name, value in passes[0].items():
        if isinstance(value, torch.Tensor) and value.ndim:
            rows = torch.cat([one[name] for one in passes])[order_B].chunk(len(passes))
            for one, part in zip(found, rows, strict=True):
                one[name] = part
    return found


def with_fused_head(model: Any, temperature: float) -> Any:
    """Prepares a model for log-probabilities of tokens without logits of the whole vocabulary, as TRL does; returns it."""
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(model, temperature=temperature)
    return model


def pad_id(trainer: Any) -> int:
    """Returns the padding token of a GRPO trainer."""
    return int(trainer._tokenizer.pad_token_id)


def tokenizer_of(trainer: Any) -> Any:
    """Returns the tokenizer of a GRPO trainer."""
    return trainer._tokenizer


@contextmanager
def whole_model(trainer: Any) -> Iterator[Any]:
    """Yields a GRPO trainer's model, unwrapped and with all its weights, to generate with."""
    from trl.models.utils import unwrap_model_for_generation

    with (
        unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
        trainer._dist.summon_full_params(trainer.model_wrapped, recurse=False),
    ):
        yield model
