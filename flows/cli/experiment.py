"""``rlkd experiment``: the flow, and what it found on the terminal; with ``--dry-run`` what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.run import run_flow
from flows.cli.terminal import print_table
from flows.configure import configure_experiment, plan_experiment
from rlkd.errors import RLKDError, UserError
from rlkd.experiments.folder import check_folder, left_out_sentence, try_folder
from schemas.config.experiment import ExperimentConfig
from schemas.experiment import ExperimentReport

if TYPE_CHECKING:
    from rlkd.estimates import Work
    from rlkd.experiments.cell import Cell
    from rlkd.student.examine import Sizes


def run_experiment(preset: str, overrides: list[str], output: str | None, dry_run: bool) -> None:
    """Runs an experiment, or says what it would run.

    Raises:
        UserError: The experiment, a cell or the folder cannot be used; nothing has started then.
        StageError: A cell failed.
    """
    config = configure_experiment(preset, overrides)
    cells = plan_experiment(config)
    folder = Path(output) if output else Path("runs") / config.name
    try_folder(folder)
    check_folder(config, folder)
    if dry_run:
        _show_plan(cells, folder, config.concurrent)
        _show_tuning(config, cells)
        _show_power(config, cells)
        if others := left_out_sentence({cell.name for cell in cells}, folder):
            print(others)
        return

    def go() -> None:
        from flows.experiment import experiment

        experiment(preset=preset, overrides=overrides, output=str(folder))

    # The cells' own services: Prefect's and MLflow's databases lie in the experiment's folder, which `rlkd ui` opens.
    run_flow(cells[0].config, folder / cells[0].name, go, name=config.name)
    _show_result(folder)


def compare_finished(runs: Sequence[str], output: str | None, over: str | None) -> None:
    """Prints finished runs side by side, and writes the page of an experiment where that is asked for.

    Raises:
        UserError: A run cannot be read, or they do not compare.
    """
    from rlkd.experiments.runs import check_comparable, compare_page
    from rlkd.reporting.compare import compare_runs, load_runs

    if over not in (None, "seeds", "problems"):
        raise UserError(f"--over is {over!r}; choose seeds or problems")
    if over and not output:
        raise UserError(
            "--over says what the intervals of the page speak for; name the page's folder with --output, or leave it out"
        )
    check_comparable(load_runs(runs))
    pages = compare_page(runs, Path(output), over) if output else []  # type: ignore[arg-type]
    print(compare_runs(runs))
    for page in pages:
        print(page)


def _show_result(folder: Path) -> None:
    from rlkd.experiments.page import RESULT_FILE
    from rlkd.reporting.labels import SHARES, interval

    report = ExperimentReport.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))
    rows = [
        [
            row.method,
            row.setting,
            interval(row.value, as_percent=report.metric in SHARES)
            if row.value
            else f"seeds missing: {', '.join(map(str, row.missing))}",
        ]
        for row in report.ranking
    ]
    print_table("", ["method", "setting", f"{report.metric} on {report.split}"], rows)
    for tried in report.tuning:
        if tried.chosen:
            print(
                f"  {tried.method} {tried.setting}".rstrip()
                + f": {tried.tuned} {tried.value} is best by {report.tuned_by}"
            )
    for text in report.summaries:
        print(f"  {text}")
    for comparison in report.comparisons:
        print(f"  {comparison.sentence}")
    print(f"report: {folder / 'experiment.html'}")


def _show_plan(cells: Sequence[Cell], folder: Path, concurrent: int) -> None:
    """Prints every cell, the stages that it shares with earlier ones, and how long what is its own takes."""
    from rlkd.experiments.follow import settled
    from rlkd.io import duration
    from tasks.experiment import planned_stages
    from tasks.finished import finished_stages

    seconds = _estimates(cells)
    made: dict[str, str] = {}
    rows, total = [], 0.0
    for cell in cells:
        with suppress(RLKDError, OSError, ValueError):
            cell = settled(cell, folder)  # what it takes of others, where these are finished
        stages = planned_stages(cell)
        shared = [name for name, key in stages.items() if key in made]
        own = [name for name, key in stages.items() if key not in made]
        made |= {key: cell.name for name, key in stages.items() if key not in made}
        done = finished_stages(cell.config, str(folder / cell.name))
        needed = sum(seconds[cell.name].get(name, 0.0) for name in own if name not in done)
        total += needed
        rows.append([cell.name, ", ".join(own), ", ".join(shared), ", ".join(done), duration(needed)])
    print_table("", ["cell", "makes", "shares", "finished", "time"], rows)
    at_once = f", {concurrent} at a time" if concurrent > 1 else ""
    print(
        f"{len(cells)} cells in {folder}{at_once}: about {duration(total / concurrent)} for what is not finished, "
        "estimated from the student's size"
    )


def _show_tuning(config: ExperimentConfig, cells: Sequence[Cell]) -> None:
    """Says what each method tries, on what, and which methods have nothing to tune."""
    if config.tune is None:
        return
    compared = [cell for cell in cells if cell.trial is None]
    by_setting: dict[str, list[str]] = {}
    for cell in compared:
        setting = cell.tuned.key if cell.tuned is not None else ""
        by_setting.setdefault(setting, []).append(cell.method)
    for setting, methods in by_setting.items():
        names = ", ".join(dict.fromkeys(methods))
        if setting:
            values = ", ".join(str(value) for value in config.tune.values[setting])
            print(
                f"tuning: {names} try {setting} {values} on seed{'s' if len(config.tune.seeds) > 1 else ''} "
                f"{', '.join(map(str, config.tune.seeds))}; the best by {config.tune.metric} is compared"
            )
        else:
            print(f"tuning: {names} train nothing that is tuned")


def _show_power(config: ExperimentConfig, cells: Sequence[Cell]) -> None:
    """Prints what the comparisons could show, where the number of test problems is known beforehand."""
    compare = config.compare
    if compare is None or compare.metric != "accuracy":
        return
    from rlkd.experiments.checks import held_out
    from rlkd.experiments.power import power_sentence

    made = [(held_out(cell.config, compare.split), cell.config.evaluate.max_problems) for cell in cells]
    known = [min(count, most or count) for count, most in made if count is not None]
    if len(known) < len(cells):
        return
    comparisons = len(compare.family) * len({cell.setting for cell in cells})
    seeds = len(config.seeds)  # each draws its own problems from the world
    print(power_sentence(min(known) * seeds, seeds, comparisons, compare))


def _estimates(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """Estimated seconds of each stage of each cell; cells of one student and one data source are examined together."""
    from flows.cli.check.distill import planned_work
    from rlkd.estimates import estimate

    known: dict[str, tuple[Sizes, Work]] = {}
    found = {}
    for cell in cells:
        key = str(
            (
                cell.config.data,
                cell.config.student,
                cell.config.seed if cell.config.student.model.type == "fresh" else 0,
            )
        )
        if key not in known:
            known[key] = planned_work(cell.config)
        student, work = known[key]
        found[cell.name] = estimate(cell.config, student, work).seconds
    return found
