"""Hand-over to EleutherAI's lm-evaluation-harness (`lm-eval`, an extra): its tasks, prompts and metrics on our checkpoints."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlkd.errors import UserError
from schemas.benchmarks import HarnessFigure
from schemas.config.student import StudentConfig

INSTALL = "pip install 'rlkd[lm-eval]'"


_SEEDS = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")


def run_lm_eval(
    folder: Path,
    tasks: Sequence[str],
    student: StudentConfig,
    limit: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> list[HarnessFigure]:
    """Evaluates a checkpoint by tasks of lm-eval, through the checkpoint's chat template.

    Args:
        folder: The checkpoint, with a chat template (an export has one).
        tasks: Names of tasks or groups, or paths of task files (YAML) of one's own.
        student: How it is asked: ``system`` goes before a task's own prompt; ``dtype``.
        limit: Most problems of each task.
        batch_size: Problems at once.
        seed: Seed of everything that is random.

    Returns:
        Each task's metrics as lm-eval names them, with its standard errors.

    Raises:
        UserError: lm-eval is not installed, there is no such task, or its data cannot be had.
    """
    try:
        import lm_eval
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise UserError(f"{error.name or 'lm_eval'} is not installed; install it with: {INSTALL}") from None
    import torch

    files = [Path(task) for task in tasks if task.endswith((".yaml", ".yml"))]
    names = [_task_name(Path(task)) if Path(task) in files else task for task in tasks]
    places = sorted({str(file.resolve().parent) for file in files})
    manager = TaskManager(include_path=places or None, include_defaults=len(files) < len(tasks))
    for name in names:
        if not manager.match_tasks([name]):
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else "; `lm_eval ls tasks` lists them"
            raise UserError(f"lm-eval has no task {name!r}{hint}")
    try:
        found: Any = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(folder), "dtype": student.dtype},
            tasks=names,
            task_manager=manager,
            limit=limit,
            batch_size=batch_size,
            device="cuda" if torch.cuda.is_available() else "cpu",
            apply_chat_template=True,
            system_instruction=student.system if student.chat and student.system else None,
            log_samples=False,
            **dict.fromkeys(_SEEDS, seed),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"lm-eval failed on {', '.join(names)}: {said[:300]}") from error
    return [figure for name, values in found["results"].items() for figure in _figures(name, values, found)]


def _task_name(file: Path) -> str:
    from rlkd.config.strict_yaml import parse_yaml
    from rlkd.user_files import read_text

    try:
        values = parse_yaml(read_text(file), str(file)).value
    except OSError as error:
        raise UserError(f"{file}: the task file cannot be read ({error.strerror})") from None
    name = values.get("task") if isinstance(values, dict) else None
    if not isinstance(name, str):
        raise UserError(f"{file}: a task file of lm-eval has its name under `task`")
    return name


def _figures(name: str, values: dict[str, Any], found: dict[str, Any]) -> list[HarnessFigure]:
    """The metrics of one task; lm-eval's keys are ``<metric>,<filter>`` and ``<metric>_stderr,<filter>``."""
    count = found.get("n-samples", {}).get(name, {}).get("effective", 0)
    figures = []
    for key, value in values.items():
        metric, comma, kind = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        error = values.get(f"{metric}_stderr,{kind}")
        figures.append(
            HarnessFigure(
                task=name,
                metric=metric if kind == "none" else f"{metric} ({kind})",
                value=float(value),
                se=float(error) if isinstance(error, int | float) else None,
                n=int(count),
                version=str(found.get("versions", {}).get(name, "")),
            )
        )
    return figures
