"""What stands around a training loop: the environment, signals, and the watch over the loss."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rlkd.errors import TrainingError


class StopRequest:
    """Whether SIGTERM asked the run to stop; training then saves at the next step where that is safe."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Takes the signal."""
        self.asked = True


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Turns SIGTERM into a request to stop, for as long as the block runs (main thread only)."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)


def check_finite(value: float, what: str, step: int, root: Path, setting: str) -> None:
    """Stops training before a bad update reaches the weights.

    Args:
        value: Loss or gradient norm.
        what: Its name.
        step: Optimiser step that was about to be made, from 1.
        root: Folder of the checkpoints.
        setting: Dotted name of the learning rate, for the advice.

    Raises:
        TrainingError: The value is NaN or infinite.
    """
    if math.isfinite(value):
        return
    from rlkd.training.checkpoints import last_checkpoint

    last = last_checkpoint(root)
    kept = f"the last good checkpoint is kept at {last}" if last else "no checkpoint had been saved yet"
    raise TrainingError(
        f"the {what} became {value} at step {step}; training stopped before the weights were touched and {kept}; "
        f"lower {setting} or the gradient clipping (max_grad_norm), then run again"
    )
