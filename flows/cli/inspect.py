"""``rlkd status``, ``rlkd presets``, ``rlkd schema``: what there is."""

from __future__ import annotations

import json
from pathlib import Path

from flows.cli.terminal import print_table
from schemas.artifact import RunManifest, StageEntry


def show_status(run: str, as_json: bool) -> None:
    """Prints a run's stages, what they cost, and where everything is.

    Raises:
        UserError: The folder holds no run.
    """
    from rlkd.io import duration
    from tasks.runs import LOGS, is_held, read_run

    folder = Path(run).resolve()
    manifest = read_run(folder)
    state = manifest.status
    if state == "running" and not is_held(folder):
        manifest = manifest.model_copy(update={"status": "failed"})
        state_text = "interrupted: its process is gone; the command that started it goes on from there"
    else:
        state_text = state
    if as_json:
        print(json.dumps({**manifest.model_dump(mode="json"), "folder": str(folder)}, indent=2))
        return
    print(f"{manifest.name}: {state_text}, {duration(manifest.wall_seconds)}")
    rows = [_row(entry, folder, Path(manifest.store)) for entry in _all_stages(manifest)]
    print_table("", ["stage", "status", "time", "memory", "made by", "folder"], rows)
    report = folder / "report.html"
    for label, value in (
        ("report", str(report) if report.exists() else ""),
        ("store", manifest.store),
        ("MLflow run", manifest.mlflow_run_id),
    ):
        if value:
            print(f"{label}: {value}")
    for entry in manifest.stages:
        if entry.status == "failed":
            print(f"{entry.name} failed: {entry.error.removeprefix(f'stage {entry.name}: ')}")
            log = folder / LOGS / f"{entry.name}.log"
            if log.exists():
                print(f"log: {log}")


def _all_stages(manifest: RunManifest) -> list[StageEntry | str]:
    from rlkd.config.load import parse_run_config
    from rlkd.pipeline.stages import stages_of

    known = {entry.name: entry for entry in manifest.stages}
    return [known.get(spec.name, spec.name) for spec in stages_of(parse_run_config(manifest.config))]


def _row(entry: StageEntry | str, folder: Path, store: Path) -> list[str]:
    from rlkd.io import duration
    from tasks.display import memory_text
    from tasks.storage import MANIFEST

    if isinstance(entry, str):
        return [entry, "not yet", "", "", "", ""]
    if entry.status == "skipped":
        return [entry.name, "skipped", "", "", "", ""]
    status: str = entry.status
    if status in ("done", "reused") and not (Path(entry.uri) / MANIFEST).exists():
        status = "gone from the store"
    memory = memory_text(entry) if entry.peak_rss_mb else ""
    return [entry.name, status, duration(entry.seconds), memory, entry.made_by, entry.uri]


def show_presets() -> None:
    """Prints every preset with its description."""
    from flows.configure import gsrm_preset_folder, preset_folder
    from rlkd.config.load import presets

    rows = [[name, text] for name, text in presets(preset_folder()).items()]
    print_table("", ["preset", "what it does"], rows)
    rows = [[name, text] for name, text in presets(gsrm_preset_folder()).items()]
    print_table("", ["for train-gsrm", "what it does"], rows)


def show_schema(kind: str) -> None:
    """Prints the JSON Schema of a configuration of a kind.

    Raises:
        UserError: There is no such kind.
    """
    from rlkd.config.load import config_json_schema
    from rlkd.errors import UserError

    if kind not in ("distill", "gsrm"):
        raise UserError(f"there is no kind {kind!r} of configuration; the kinds are distill and gsrm")
    print(json.dumps(config_json_schema(kind), indent=2))
