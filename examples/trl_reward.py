"""The structure reward in a plain TRL training script: one function in ``reward_funcs``.

    python examples/trl_reward.py [--model Qwen/Qwen2.5-0.5B-Instruct] [--steps 1] [--output /tmp/grpo]

Your dataset needs, beside ``prompt``, a column ``teacher`` (the teacher's path, or a list of paths) and a column
``answer`` (the reference answer). Nothing else of this project's pipeline is needed. Without ``--model`` a tiny
random model is trained, which shows only that everything fits together.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from rlkd.rewards.functions import make_reward_function
from schemas.config.rewards import RewardsConfig

ROWS = [
    {
        "prompt": "Mia has 3 boxes of 12 pencils and gives away 7. How many are left?\n",
        "teacher": "There are 3 * 12 = 36 pencils. After giving away 7 there are 36 - 7 = 29. The answer is 29.",
        "answer": "29",
    },
    {
        "prompt": "A shelf holds 4 rows of 9 books. Half of them are red. How many are not red?\n",
        "teacher": "The shelf holds 4 * 9 = 36 books. Half of them, 36 / 2 = 18, are red, so 36 - 18 = 18 are not. The answer is 18.",
        "answer": "18",
    },
]


def tiny_model() -> tuple[Any, Any]:
    """A random model of two layers that reads and writes bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", *alphabet])}
    bytes_only = Tokenizer(models.BPE(vocabulary, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, pad_token="<pad>", eos_token="<eos>")
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config), tokenizer


def train(model: str | None, steps: int, output: Path) -> GRPOTrainer:
    """Trains with the combined reward; returns the trainer, whose log holds the components' means."""
    reward = make_reward_function(
        rewards=RewardsConfig(
            alpha=0.5, format=0.1
        ),  # half structure, half outcome; a tenth for the form of the answer
        output="answer_line",
        max_completion_tokens=64,
    )
    settings = GRPOConfig(
        output_dir=str(output), max_steps=steps, per_device_train_batch_size=4, num_generations=4, max_completion_length=64,
        learning_rate=1e-5, logging_steps=1, report_to="none", save_strategy="no", use_cpu=model is None, bf16=False, seed=0,
    )  # fmt: skip
    student, tokenizer = (model, None) if model else tiny_model()
    trainer = GRPOTrainer(
        model=student,
        processing_class=tokenizer,
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_list(ROWS),
    )
    trainer.train()
    return trainer


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder or Hugging Face id of a causal LM")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir()) / "rlkd-trl-example")
    options = parser.parse_args()
    for entry in train(options.model, options.steps, options.output).state.log_history:
        print({name: value for name, value in entry.items() if "reward" in name or name.startswith("rlkd/")})


if __name__ == "__main__":
    main()
