"""Runs a training stage in this process and kills it (SIGKILL) when the metrics of a step arrive.

Usage: killer.py STAGE FOLDER CONFIG_JSON INPUTS_JSON STEP
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import stage_spec
from schemas.config.pipeline import PipelineConfig


class Killer(NullSink):
    def __init__(self, step: int) -> None:
        self.step = step

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if step >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    stage, folder, config, inputs, step = sys.argv[1:]
    import torch

    torch.set_num_threads(1)
    ctx = StageContext(
        config=PipelineConfig.model_validate_json(config),
        inputs={name: Path(path) for name, path in json.loads(inputs).items()},
        folder=Path(folder),
        events=Killer(int(step)),
    )
    ctx.folder.mkdir(parents=True, exist_ok=True)
    stage_spec(stage).load()(ctx)


if __name__ == "__main__":
    main()
