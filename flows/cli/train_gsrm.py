"""``rlkd train-gsrm``: the flow, and what it reached on the terminal."""

from __future__ import annotations

from pathlib import Path

from flows.cli.run import run_flow
from flows.configure import configure_gsrm
from rlkd.pipeline.names import named_stage
from rlkd.pipeline.stages import GSRM_STAGES
from tasks.runs import default_folder


def run_gsrm_training(preset: str, overrides: list[str], output: str | None, from_stage: str | None) -> None:
    """Trains a GSRM and says how well it decomposes, and how to use it.

    Raises:
        UserError: Configuration, files or folder cannot be used.
        StageError: A stage failed or refused.
    """
    config = configure_gsrm(preset, overrides)
    first = named_stage(from_stage, GSRM_STAGES) if from_stage is not None else None
    folder = Path(output) if output else default_folder(config)

    def go() -> None:
        from flows.train_gsrm import train_gsrm

        train_gsrm(preset=preset, overrides=overrides, output=str(folder), from_stage=first)

    run_flow(config, folder, go)
    _show(folder)


def _show(folder: Path) -> None:
    from tasks.gsrm import read_result

    told = read_result(folder)
    figures = told["figures"]
    print(
        f"  step F1 {figures['step_f1']:.3f} on held-out problems (boundaries {figures['boundary_f1']:.3f}, sub-problems "
        f"{figures['sub_problem_f1']:.3f}, answers {figures['answer_f1']:.3f}); {figures['failed']:.1%} not decomposed"
    )
    print(f"figures: {folder / 'gsrm.md'}")
    name = told["registered"] or told["model"]
    print(f"use it with: --set 'structures.decomposer={{type: generative, model: \"{name}\"}}'")
