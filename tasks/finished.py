"""Which stages of a configuration the store holds already, and which are to come."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rlkd.pipeline.stages import StageSpec
from schemas.config.run import RunConfig


def finished_stages(config: RunConfig, output: str | None = None) -> list[str]:
    """Names of the stages that the store holds already for a configuration, in order."""
    from rlkd.config.derived import is_enabled
    from rlkd.pipeline.stages import resolve, stages_of
    from tasks.running import identify_stage
    from tasks.runs import default_folder
    from tasks.storage import Store, store_root

    root = store_root(Path(output) if output else default_folder(config))
    if not root.is_dir():
        return []
    store, folders = Store(root), dict[str, Path]()
    for spec in (resolve(spec, config) for spec in stages_of(config)):
        wanted = [name for name in spec.inputs if is_enabled(config, name)]
        if not is_enabled(config, spec.name) or any(name not in folders for name in wanted):
            continue
        manifest = store.find(identify_stage(spec, config, {name: folders[name] for name in wanted}))
        if manifest is not None:
            folders[spec.name] = store.folder_of(manifest)
    return list(folders)


def stages_to_come(
    config: RunConfig,
    output: str | None = None,
    from_stage: str | None = None,
    stages: Collection[str] | None = None,
) -> list[StageSpec]:
    """The stages that a flow has yet to make, in order.

    Args:
        config: The configuration.
        output: The run folder.
        from_stage: This stage and what follows are made again even where they are finished.
        stages: Those that the flow goes through; ``None`` is all.
    """
    from rlkd.config.derived import is_enabled
    from rlkd.pipeline.stages import downstream, resolve, stages_of

    again = downstream(from_stage, config) if from_stage is not None else ()
    done = {name for name in finished_stages(config, output) if name not in again}
    return [
        resolve(spec, config)
        for spec in stages_of(config)
        if is_enabled(config, spec.name) and spec.name not in done and (stages is None or spec.name in stages)
    ]
