"""Which stages of a configuration the store holds already, and what the others will need."""

from __future__ import annotations

from pathlib import Path

from rlkd.errors import UserError
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


def ask_needed_servers(config: RunConfig, output: str | None = None, from_stage: str | None = None) -> None:
    """Asks the servers that the stages to come need, so that a wrong address, key or protocol costs no request and no training.

    What is finished needs none.

    Args:
        config: The configuration.
        output: The run folder.
        from_stage: This stage and what follows are made again even where they are finished.

    Raises:
        UserError: One of them cannot be used.
    """
    from rlkd.completion.models_list import ask_servers
    from rlkd.config.derived import is_enabled
    from rlkd.pipeline.stages import downstream, resolve, stages_of
    from schemas.base import sections_of
    from schemas.config.endpoint import OpenAIEndpoint

    if not any(isinstance(section, OpenAIEndpoint) for _, section in sections_of(config)):
        return
    again = downstream(from_stage, config) if from_stage is not None else ()
    done = [name for name in finished_stages(config, output) if name not in again]
    left = [resolve(spec, config) for spec in stages_of(config)]
    left = [spec for spec in left if is_enabled(config, spec.name) and spec.name not in done]
    coming = {section for spec in left for section in spec.sections}
    for name, text, verdict in ask_servers(config, coming):
        if verdict == "wrong":
            raise UserError(f"{name}: {text}")
