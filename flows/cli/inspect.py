"""``rlkd status``, ``rlkd presets``, ``rlkd schema``: what there is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flows.cli.terminal import print_table
from schemas.artifact import RunManifest, StageEntry


def show_status(run: str, as_json: bool) -> None:
    """Prints a run's stages, what they cost, and where everything is; of a folder of runs, a line for each.

    Raises:
        UserError: The folder holds no run.
    """
    from rlkd.io import duration
    from rlkd.pipeline.run_folder import RUN_FILE, read_run
    from tasks.runs import LOGS

    folder = Path(run).resolve()
    if not (folder / RUN_FILE).exists() and (
        inside := sorted(path.parent for path in folder.glob(f"*/{RUN_FILE}"))
    ):
        _show_runs(inside, as_json)
        return
    manifest, interrupted = _as_it_is(folder, read_run(folder))
    state_text: str = manifest.status
    if interrupted:
        state_text = "interrupted: its process is gone; the command that started it goes on from there"
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


def _as_it_is(folder: Path, manifest: RunManifest) -> tuple[RunManifest, bool]:
    """A run's manifest, failed where it says that it runs and no process does; and whether that is so.

    Where nobody can tell whether a process does, what the manifest says stands.
    """
    from tasks.runs import is_held

    if manifest.status != "running" or is_held(folder) is not False:
        return manifest, False
    return manifest.model_copy(update={"status": "failed"}), True


def _show_runs(folders: list[Path], as_json: bool) -> None:
    """One line for each run of a folder of runs."""
    from rlkd.errors import UserError
    from rlkd.io import duration
    from rlkd.pipeline.run_folder import read_run

    rows, told = [], []
    for folder in folders:
        try:
            manifest, interrupted = _as_it_is(folder, read_run(folder))
        except UserError:
            rows.append([folder.name, "", "cannot be read", "", "", ""])
            continue
        made = len(manifest.finished)
        state = "interrupted" if interrupted else manifest.status
        time = duration(manifest.wall_seconds)
        rows.append([folder.name, manifest.name, state, f"{made} stages", time, manifest.started_at[:16]])
        told.append({**manifest.model_dump(mode="json"), "folder": str(folder)})
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        print_table("", ["run", "configuration", "status", "finished", "time", "started"], rows)


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
    from flows.configure import experiment_preset_folder, gsrm_preset_folder, method_folder, preset_folder
    from rlkd.config.load import presets

    lists = {
        ("preset", "what it does"): preset_folder(),
        ("for train-gsrm", "what it does"): gsrm_preset_folder(),
        ("for experiment", "what it does"): experiment_preset_folder(),
        ("method", "what it is"): method_folder(),
    }
    for number, (head, folder) in enumerate(lists.items()):
        rows = [[name, text] for name, text in presets(folder).items()]
        if sys.stdout.isatty():
            print_table("", list(head), rows)
            continue
        if number:
            print()
        print_table("", list(head), [list(head), *rows])


def show_schema(kind: str) -> None:
    """Prints the JSON Schema of a configuration of a kind.

    Raises:
        UserError: There is no such kind.
    """
    from rlkd.config.load import config_json_schema
    from rlkd.errors import UserError

    if kind not in ("distill", "gsrm", "experiment"):
        raise UserError(
            f"there is no kind {kind!r} of configuration; the kinds are distill, gsrm and experiment"
        )
    print(json.dumps(config_json_schema(kind), indent=2))
