"""Pre-train the demo's base student on wandering solutions of the built-in world.

``python -m rlkd.demo.pretrain --output FOLDER [--size 5M]`` writes a Hugging Face checkpoint and the figures
that describe it (``pretraining.json``). Students of all sizes share one tokenizer, so that a larger one can be a smaller one's teacher. Differs from the paper, whose students are large pre-trained
models: here the same state (steps right, choices poor) is made in minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import CheckpointError, ConfigError, TrainingError
from schemas.config.pretrain import SIZES, PretrainSettings, SecondPhase
from schemas.config.world import WorldSettings
from schemas.problem import Problem

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

_BUCKET = 12  # batches that are sorted by length together
_PAD_TO = 16  # few different shapes: memory is reused


def wandering_solutions(
    settings: PretrainSettings, world: WorldSettings, seed: str
) -> Iterator[tuple[str, str]]:
    """An endless stream of (prompt, wandering path); a problem hardly ever comes twice.

    Args:
        settings: How solutions wander, and the prompt template.
        world: The problems.
        seed: The same seed gives the same stream.
    """
    from rlkd.worlds import get_world

    rng = random.Random(seed)
    worlds = [(get_world(name), share) for name, share in sorted(world.domains.items()) if share]
    while True:
        domain = rng.choices([w for w, _ in worlds], [share for _, share in worlds])[0]
        problem = domain.to_problem(domain.generate(rng, world))
        yield prompt_of(settings, problem), domain.wander(problem, rng, settings.wander)


def prompt_of(settings: PretrainSettings, problem: Problem) -> str:
    """The prompt of a problem."""
    return settings.prompt_template.format(question=problem.question)


def batches(
    settings: PretrainSettings, tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Right-padded batches of similar length: input ids and labels, both (B, T); prompts carry no loss.

    The first ``easy_share`` of the steps are of easy problems: reading the text is learnt sooner on short ones.
    """
    import torch

    easy = wandering_solutions(settings, settings.easy_world, f"easy:{settings.seed}")
    hard = wandering_solutions(settings, settings.world, f"full:{settings.seed}")
    left = round(settings.steps * settings.easy_share)
    rng = random.Random(f"order:{settings.seed}")
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    while True:
        stream, left = (easy if left > 0 else hard), left - _BUCKET
        pairs = [next(stream) for _ in range(settings.batch_size * _BUCKET)]
        prompts = tokenizer([p for p, _ in pairs])["input_ids"]
        paths = tokenizer([t for _, t in pairs])["input_ids"]
        rows = sorted(zip(prompts, paths, strict=True), key=lambda row: len(row[0]) + len(row[1]))
        groups = [rows[i : i + settings.batch_size] for i in range(0, len(rows), settings.batch_size)]
        rng.shuffle(groups)
        for group in groups:
            longest = -(-max(len(p) + len(t) + 1 for p, t in group) // _PAD_TO) * _PAD_TO
            ids = torch.full((len(group), longest), pad)
            labels = torch.full((len(group), longest), -100)
            for i, (p, t) in enumerate(group):
                row = torch.tensor([*p, *t, eos])
                ids[i, : len(row)] = row
                labels[i, len(p) : len(row)] = row[len(p) :]
            yield ids, labels


def path_loss(model: Any, ids: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Mean cross-entropy of the paths, as the model's own forward pass gives it.

    The same arithmetic as ``LlamaForCausalLM``, written flat so that it compiles into few kernels: on
    a CPU about three times as fast. Rows are padded on the right, so causal attention needs no mask.

    Args:
        model: A ``LlamaForCausalLM`` with tied embeddings and plain rotary positions.
        ids: Token ids (B, T).
        labels: Token ids (B, T), -100 where no loss is due.
        dtype: Precision of the matrix products; the residual stream stays float32.
    """
    import torch
    from torch.nn import functional

    config = model.config
    batch, length = ids.shape
    heads, width = config.num_attention_heads, config.hidden_size
    size = width // heads
    inverse = model.model.rotary_emb.inv_freq
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse)
    cos = torch.cat([angles.cos(), angles.cos()], -1).to(dtype)
    sin = torch.cat([-angles.sin(), angles.sin()], -1).to(dtype)
    later = torch.full((length, length), float("-inf")).triu(1).to(dtype)
    eps = config.rms_norm_eps

    def norm(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * layer.weight).to(dtype)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        return x * cos + x.roll(size // 2, -1) * sin

    table = model.model.embed_tokens.weight
    hidden = functional.embedding(ids, table)
    for layer in model.model.layers:
        own, mlp = layer.self_attn, layer.mlp
        weight = torch.cat([own.q_proj.weight, own.k_proj.weight, own.v_proj.weight]).to(dtype)
        mixed = functional.linear(norm(hidden, layer.input_layernorm), weight)
        query, key, value = mixed.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(rotate(query) * size**-0.5, rotate(key).transpose(-1, -2)) + later
        seen = torch.matmul(torch.softmax(scores, -1), value).transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + functional.linear(seen, own.o_proj.weight.to(dtype)).float()
        weight = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).to(dtype)
        gate, up = functional.linear(norm(hidden, layer.post_attention_layernorm), weight).chunk(2, -1)
        hidden = (
            hidden + functional.linear(functional.silu(gate) * up, mlp.down_proj.weight.to(dtype)).float()
        )
    logits = functional.linear(norm(hidden[:, :-1], model.model.norm), table.to(dtype)).float()
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))


def _optimizers(model: Any, settings: PretrainSettings) -> list[tuple[Any, float]]:
    """Optimisers with their peak learning rates."""
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "muon":
        muon = torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=decay)
        adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
        return [(muon, settings.matrix_learning_rate), (adam, rate)]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return [(torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98)), rate)]


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear rise, then a cosine fall to 0."""
    import math

    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def train(settings: PretrainSettings, *, log_every: int = 100) -> tuple[Any, PreTrainedTokenizerFast, float]:
    """Train from fresh weights, or those of ``settings.start``, in one or two phases.

    Args:
        settings: Everything that decides the result.
        log_every: Optimiser steps between progress lines.

    Returns:
        The model, its tokenizer, and the last loss (a running mean).

    Raises:
        TrainingError: If the loss is not a number.
        CheckpointError: There is no checkpoint at ``settings.start``.
        ConfigError: ``settings.start`` is no student of this family.
    """
    import torch

    from rlkd.demo.tiny_model import build_model, build_tokenizer

    torch.set_flush_denormal(True)  # attention that has settled is full of denormals: many times slower
    torch.set_num_threads(settings.threads)
    tokenizer = build_tokenizer()
    if settings.start is not None:
        model = _started(settings.start, len(tokenizer))
    else:
        model = build_model(settings.model, tokenizer, settings.seed)
    loss = train_phase(model, tokenizer, settings, log_every)
    if settings.second is not None:
        loss = train_phase(model, tokenizer, second_phase(settings, settings.second), log_every)
    return model.eval(), tokenizer, loss


def _started(path: str, vocabulary: int) -> Any:
    """Loads the student whose pre-training goes on.

    Raises:
        CheckpointError: It is not there.
        ConfigError: It is none of this family.
    """
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    from rlkd.student.checkpoints import resolve_model_path

    folder = resolve_model_path(path)
    config = AutoConfig.from_pretrained(folder)
    if config.model_type != "llama" or config.vocab_size != vocabulary:
        raise ConfigError(
            f"start: {path} is a {config.model_type} of {config.vocab_size} tokens, not a student of this family (llama, {vocabulary} tokens); "
            "name a folder that this command made"
        )
    return LlamaForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)


def second_phase(settings: PretrainSettings, second: SecondPhase) -> PretrainSettings:
    """The second phase as settings of its own; its data come from another random stream."""
    changes = {name: getattr(second, name) for name in SecondPhase.model_fields}
    return settings.model_copy(
        update=changes | {"second": None, "easy_share": 0.0, "seed": settings.seed + 1}
    )


def train_phase(
    model: Any, tokenizer: PreTrainedTokenizerFast, settings: PretrainSettings, log_every: int
) -> float:
    """Train a model for one one-cycle phase; returns the last loss (a running mean)."""
    import torch

    optimizers = _optimizers(model, settings)
    model.train()
    dtype = torch.bfloat16 if settings.bfloat16 else torch.float32
    loss_of = torch.compile(path_loss, dynamic=True) if settings.compile else path_loss
    stream, started, mean = batches(settings, tokenizer), time.monotonic(), 0.0
    for step in range(settings.steps):
        ids, labels = next(stream)
        loss = loss_of(model, ids, labels, dtype)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step}; lower learning_rate and start again"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        factor = one_cycle(step, settings.steps, settings.warmup)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % log_every == 0 or step + 1 == settings.steps:
            print(f"step {step} loss {mean:.4f} {time.monotonic() - started:.0f} s", flush=True)
    return mean


def sample_paths(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    batch_size: int = 100,
) -> list[str]:
    """Continue prompts, greedily or at a temperature; texts without special tokens."""
    import torch

    tokenizer.padding_side = "left"
    texts: list[str] = []
    for i in range(0, len(prompts), batch_size):
        inputs = tokenizer(prompts[i : i + batch_size], return_tensors="pt", padding=True)
        options: dict[str, Any] = {"do_sample": temperature > 0}
        if temperature > 0:
            options |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.no_grad():
            out = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=max_new_tokens,
                **options,
            )
        new = out[:, inputs["input_ids"].shape[1] :]
        texts += tokenizer.batch_decode(new, skip_special_tokens=True)
    return texts


def figures(model: Any, tokenizer: PreTrainedTokenizerFast, settings: PretrainSettings) -> dict[str, float]:
    """Single-step rightness and accuracy on fresh problems, greedy and sampled at temperature 1."""
    import torch

    from rlkd.worlds import make_splits, world_of

    sizes = {"n_train": 0, "n_validation": settings.eval_problems, "n_test": 0, "n_ood": 0}
    problems = make_splits(settings.world.model_copy(update=sizes), settings.seed + 1)["validation"]
    prompts = [prompt_of(settings, p) for p in problems]
    found: dict[str, float] = {}
    for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
        torch.manual_seed(settings.seed)
        paths = sample_paths(model, tokenizer, prompts, max_new_tokens=256, temperature=temperature)
        checks = [world_of(p).check_steps(p, t) for p, t in zip(problems, paths, strict=True)]
        right = [
            world_of(p).verify(p, world_of(p).read_answer(t)) for p, t in zip(problems, paths, strict=True)
        ]
        found[f"{name}_accuracy"] = round(sum(right) / len(right), 4)
        found[f"{name}_step_rightness"] = round(
            sum(r for r, _ in checks) / max(1, sum(n for _, n in checks)), 4
        )
        found[f"{name}_steps"] = round(sum(n for _, n in checks) / len(checks), 2)
    return found


def run(settings: PretrainSettings, output: Path) -> dict[str, Any]:
    """Train, measure, and write the checkpoint and ``pretraining.json`` to ``output``."""
    started = time.monotonic()
    model, tokenizer, loss = train(settings)
    minutes = (time.monotonic() - started) / 60
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.padding_side = "right"
    tokenizer.model_max_length = settings.model.max_positions
    tokenizer.save_pretrained(output)
    summary = {
        "figures": figures(model, tokenizer, settings),
        "loss": round(loss, 4),
        "minutes": round(minutes, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "solutions_seen": (settings.steps + (settings.second.steps if settings.second else 0))
        * settings.batch_size,
        "settings": settings.model_dump(mode="json"),
    }
    (output / "pretraining.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def load_settings(path: Path | None, overrides: list[str], size: str | None = None) -> PretrainSettings:
    """Settings from a JSON or YAML file and ``key=value`` overrides (dots go inside).

    Args:
        path: The file; ``None`` for the defaults.
        overrides: The overrides.
        size: A size of the family (``SIZES``), whose shape replaces the file's.

    Raises:
        ConfigError: If a file, key or value is wrong; every fault is listed.
    """
    from pydantic import ValidationError

    from rlkd.config.strict_yaml import parse_setting, parse_yaml
    from rlkd.user_files import read_text

    try:
        values: dict[str, Any] = parse_yaml(read_text(path), str(path)).value or {} if path else {}
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {path}: {error}") from error
    if size is not None:
        values["model"] = SIZES[size].model_dump()
    for item in overrides:
        key, sign, text = item.partition("=")
        if not sign:
            raise ConfigError(f"--set {item!r} has no '='; write key=value")
        place = values
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = parse_setting(text)
    try:
        return PretrainSettings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"pre-training settings: {faults}") from error


def main(arguments: list[str] | None = None) -> int:
    """Command line of ``python -m rlkd.demo.pretrain``."""
    parser = argparse.ArgumentParser(description="Pre-train the demo's base student.")
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--config", type=Path, help="settings, YAML or JSON")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--size", choices=sorted(SIZES), help="shape of the student: its number of weights")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(given.config, given.set, given.size)
        print(json.dumps(run(settings, given.output)["figures"]))
    except (ConfigError, CheckpointError) as error:
        print(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
