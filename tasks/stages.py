"""The Prefect tasks: one per entry of the stage table. Only small references travel between them.

Their results are not cached by Prefect: the store decides what is finished, because a cached reference may point
at something that has been deleted or changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from rlkd.pipeline.stages import StageSpec
from schemas.artifact import StageEntry
from tasks.running import run_stage
from tasks.runs import RunRef

_SETTINGS: dict[str, Any] = {"persist_result": True, "result_serializer": "json", "cache_policy": NO_CACHE}


@lru_cache(maxsize=128)
def stage_task(name: str, description: str = "") -> Any:
    """Makes the Prefect task that makes a stage: ``task(run, inputs) -> entry``, with the earlier stages' entries as inputs."""

    def make(run: RunRef, inputs: dict[str, StageEntry]) -> StageEntry:
        return run_stage(name, run, inputs)

    make.__qualname__ = f"stage_{name}"  # Prefect tells tasks apart by it
    return task(name=name, description=description, **_SETTINGS)(make)


def make_stages(
    run: RunRef, specs: Iterable[StageSpec], made: Mapping[str, StageEntry] | None = None
) -> dict[str, StageEntry]:
    """Makes stages in order, or finds them finished.

    Args:
        run: The run.
        specs: The stages, e.g. ``family("prepare")``.
        made: Earlier stages of this run, by name.

    Returns:
        The earlier stages and these, by name.

    Raises:
        UserError: Something that the user can mend.
        StageError: A stage failed, or its check lets nothing pass.
    """
    done = dict(made or {})
    for spec in specs:
        inputs = {name: done[name] for name in spec.inputs if name in done}
        done[spec.name] = stage_task(spec.name, spec.description)(run, inputs)
    return done
