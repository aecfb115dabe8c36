"""Measures what a student costs on this machine: a few tokens sampled and one small training step, in a process of its own.

``python -m rlkd.student.probe FILE`` reads a ``student`` section as JSON and prints a :class:`Probe` as JSON. What a real step
costs follows from it in proportion: memory and time of training grow with the tokens of a forward pass (attention's square is
small beside the matrices at a student's lengths), a sampling step with its rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlkd.errors import RLKDError
from schemas.config.student import StudentConfig

TOKENS = (128, 384, 768)
"""Tokens of the forward and backward passes; memory per token is the slope over them."""
_ROWS = (1, 8)
_NEW = 6
_PROMPT = 24
KEPT_ON_CPU = 1.3
"""Memory of a whole training process on a CPU over what the probe makes of it, between those that were seen of a student of 135 M
parameters: 1.17 and 1.24 times in RL, 1.44 and 1.46 in the warm start (docs/research-log.md)."""
LIMIT_S = 240.0
"""Longest time that a probe may take; a machine on which it takes longer is estimated from sizes."""


@dataclass(frozen=True)
class Probe:
    """What was measured.

    Attributes:
        base_mb: Memory of a process that trains, without the tokens (libraries, weights, gradients, optimiser's state).
        token_mb: Memory for each token of a forward pass that is learned from.
        least_mb: Largest memory of an optimiser step, whatever the tokens.
        token_s: Seconds for each such token, forward and backward.
        step_s: Seconds of a sampling step, beside its rows.
        row_s: Seconds of each row in a sampling step.
        device: What it ran on.
        kept: What a whole training takes, as a multiple of what follows from the probe.
    """

    base_mb: float
    token_mb: float
    least_mb: float
    token_s: float
    step_s: float
    row_s: float
    device: str
    kept: float = 1.0

    def assumes(self, tokens: float) -> str:
        """What the memory of training with ``tokens`` in the largest forward pass rests on, in words."""
        text = f"measured on a small step, {self.base_mb:.0f} MB and {self.token_mb:.2f} MB for each of {tokens:.0f} tokens"
        more = f", and {self.kept - 1:.0%} more, as whole runs take" if self.kept > 1 else ""
        return f"{text}, at least {self.least_mb:.0f} MB{more}"


class ProbeError(RLKDError):
    """Nothing was measured; the message says why."""


def memory_mb(found: Probe, tokens: float) -> float:
    """Largest memory of training with ``tokens`` in the largest forward pass: of that pass, or of the optimiser's step."""
    return found.kept * max(found.least_mb, found.base_mb + found.token_mb * tokens)


def measure(config: StudentConfig, checkpointing: bool = False, limit_s: float = LIMIT_S) -> Probe:
    """Runs the probe in a process of its own.

    Args:
        config: The ``student`` section; its model must be a checkpoint on this machine.
        checkpointing: Whether activations are computed anew in the backward pass.
        limit_s: Longest time.

    Raises:
        ProbeError: It fails or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.json"
        file.write_text(config.model_dump_json(), encoding="utf-8")
        command = [
            sys.executable,
            "-P",
            "-m",
            "rlkd.student.probe",
            str(file),
            *(["checkpointing"] if checkpointing else []),
        ]
        path = os.pathsep.join(entry for entry in sys.path if entry)  # it runs what runs here
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            raise ProbeError(f"the small step took longer than {limit_s:g} s on this machine") from None
    if done.returncode:
        said = [text.strip() for text in done.stderr.splitlines() if text.strip()]
        last = said[-1][:300] if said else f"it ended with {done.returncode} and no word"
        raise ProbeError(f"the small step failed ({last})")
    try:
        return Probe(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        raise ProbeError("the small step ended without figures") from None


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Fits a line by least squares; returns its value at 0 and its slope.

    Example:
        (1, 3), (2, 5) and (3, 7) lie on 1 + 2 x.
    """
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return mean_y - slope * mean_x, slope


def probe(config: StudentConfig, checkpointing: bool = False) -> Probe:
    """Measures in this process, whose memory must not have been larger before; see :func:`measure`."""
    import torch

    from rlkd.student.load import load_student, lora_config
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    from trl.trainer.utils import add_fused_lm_head

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = load_student(config, train=True).model.to(device)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    if config.lora is not None:
        from peft import get_peft_model

        model = get_peft_model(model, lora_config(config.lora))
    step_s, row_s = _sampling(model)
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    points = _passes(model, config)
    fixed_mb, token_mb = line([(tokens, peak) for tokens, peak, _ in points])
    token_s = min(seconds / tokens for tokens, _, seconds in points)
    state_mb, least_mb = _optimiser_mb(model)
    base_mb = fixed_mb + state_mb
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    kept = 1.0 if device == "cuda" else KEPT_ON_CPU
    return Probe(
        base_mb, max(0.0, token_mb), least_mb, token_s, max(0.0, step_s), max(0.0, row_s), name, kept
    )


def _sampling(model: Any) -> tuple[float, float]:
    """Seconds of a step beside its rows, and of each row: the difference of a long and a short completion."""
    from rlkd.student.generate import generate_ids
    from rlkd.student.sampling import Sampling

    points = []
    for rows in _ROWS:
        prompts, times = [[3 + i for i in range(_PROMPT)]] * rows, []
        for new in (2, 2 + _NEW):
            started = time.perf_counter()
            generate_ids(model, prompts, Sampling(new, 1.0, 1.0, (1 << 40,), 0))
            times.append(time.perf_counter() - started)
        points.append((float(rows), max(0.0, times[1] - times[0]) / _NEW))
    return line(points)


def _passes(model: Any, config: StudentConfig) -> list[tuple[float, float, float]]:
    """(tokens, peak MiB, seconds) of forward and backward passes over ever more tokens.

    There is no optimiser yet: what its step takes for a moment would hide what the tokens take.
    """
    import torch

    device = next(model.parameters()).device
    high = model.config.get_text_config().vocab_size
    model.train()
    found = []
    for tokens in (
        TOKENS[0],
        *TOKENS,
    ):  # the first makes what stays: gradients, kernels, the libraries' buffers
        ids_BT = torch.arange(tokens, device=device)[None] % min(high, 1000)
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bfloat16"):
            output = model(input_ids=ids_BT, labels=ids_BT, fused_lm_head=True, use_cache=False)
            loss = -output.log_probs.mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append((float(tokens), _peak_mb(), time.perf_counter() - started))
        model.zero_grad()
    return found[1:]


def _optimiser_mb(model: Any) -> tuple[float, float]:
    """MiB of AdamW's state, and the peak of a process that makes a step with it."""
    import torch

    trained = [p for p in model.parameters() if p.requires_grad]
    for weights in trained:
        weights.grad = torch.zeros_like(weights)
    optimizer = torch.optim.AdamW(trained, lr=1e-6)
    for _ in range(2):  # the first makes the state
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    state = sum(2 * p.numel() * p.element_size() for p in trained) / 2**20
    return state, _peak_mb()


def _peak_mb() -> float:
    """Largest memory so far: of the GPU where there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    section = StudentConfig.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(asdict(probe(section, "checkpointing" in sys.argv[2:]))))
