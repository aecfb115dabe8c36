"""Cells of an experiment: which stages they share, and how they are run, one after another or side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rlkd.config.derived import is_enabled
from rlkd.config.load import resolved_yaml
from rlkd.config.strict_yaml import dump_yaml
from rlkd.errors import RLKDError, StageError, UserError
from rlkd.experiments.cell import Cell
from rlkd.experiments.folder import CELLS, EXPERIMENT_FILE, check_folder
from rlkd.experiments.follow import settled
from rlkd.io import write_text_atomic
from rlkd.pipeline.run_folder import RUN_FILE, make_folder, read_run
from rlkd.pipeline.stages import STAGES, resolve
from schemas.config.experiment import ExperimentConfig
from tasks.finished import finished_stages
from tasks.identity import identify

CellRunner = Callable[[Cell, Path, Path], None]
"""Runs a cell from its configuration file into its folder."""


@contextmanager
def hold_experiment(config: ExperimentConfig, folder: Path) -> Iterator[None]:
    """Holds an experiment's folder, in which only one process works at a time, and writes down its configuration.

    Raises:
        UserError: Another process works in it, something else has it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    make_folder(folder)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another process works on the experiment in {folder}; wait for it, or choose another --output"
        ) from None
    try:
        check_folder(config, folder)
        make_folder(folder / CELLS)
        write_text_atomic(folder / EXPERIMENT_FILE, dump_yaml(config.model_dump(mode="json")))
        yield
    finally:
        lock.release()


def write_cells(cells: Sequence[Cell], folder: Path) -> None:
    """Writes every cell's resolved configuration, so that any of them can be run alone with `rlkd run`."""
    make_folder(folder / CELLS)
    for cell in cells:
        write_text_atomic(_config_file(cell, folder), resolved_yaml(cell.config))


def _config_file(cell: Cell, folder: Path) -> Path:
    return folder / CELLS / f"{cell.name}.yaml"


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    concurrent: int,
    run_here: CellRunner,
    notice: Callable[[str], None],
    after: Callable[[Cell], None] = lambda _: None,
) -> dict[str, str]:
    """Runs the cells that are not finished; what is finished in them is reused. A failed cell ends no other.

    One at a time they run in this process; several at a time, each in a process of its own.

    Args:
        cells: The cells.
        folder: The experiment's folder.
        concurrent: Cells at the same time.
        run_here: Runs a cell in this process.
        notice: Told of each cell as it begins and fails.
        after: Called with each cell that has run, in this thread or that of the cell.

    Returns:
        Why cells failed, by name.
    """
    run = run_here if concurrent == 1 else _run_apart
    if concurrent > 1:
        # The cells of one seed would wait for its warm start: seeds side by side, method by method.
        methods = list(dict.fromkeys(cell.method for cell in cells))
        cells = sorted(cells, key=lambda cell: methods.index(cell.method))
    errors: dict[str, str] = {}

    def one(number: int, cell: Cell) -> None:
        where = f"cell {number} of {len(cells)}: {cell.name}"
        if cell.needs:
            try:
                cell = settled(cell, folder)
            except (RLKDError, OSError, ValueError) as error:
                errors[cell.name] = str(error)
                notice(f"cell {cell.name} failed: {error}")
                return
            write_cells([cell], folder)
        if is_finished(cell, folder / cell.name):
            notice(f"{where} is finished")
            return
        notice(where)
        try:
            run(cell, _config_file(cell, folder), folder / cell.name)
        except RLKDError as error:
            errors[cell.name] = str(error)
            notice(f"cell {cell.name} {'stopped' if isinstance(error, _StoppedError) else 'failed'}: {error}")
        after(cell)

    waves = _waves(cells)
    if concurrent == 1:
        for number, cell in enumerate([cell for wave in waves for cell in wave], 1):
            one(number, cell)
    else:
        _side_by_side(waves, concurrent, one)
    return errors


def _side_by_side(waves: Sequence[Sequence[Cell]], concurrent: int, one: Callable[[int, Cell], None]) -> None:
    """Runs the cells of a wave at the same time, one wave after another; whatever ends this ends all of them."""
    with ThreadPoolExecutor(concurrent, thread_name_prefix="cell") as pool:
        waiting: list[Future[None]] = []
        try:
            for wave in waves:
                first = len(waiting)
                waiting += [pool.submit(one, first + i, cell) for i, cell in enumerate(wave, 1)]
                for item in waiting[first:]:
                    item.result()
        except BaseException:
            for item in waiting:
                item.cancel()
            for process in list(_running):
                process.terminate()
            raise


def _waves(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells in an order in which each comes after the one that it follows: those of a wave follow earlier waves only."""
    waves: list[list[Cell]] = []
    waiting, done = list(cells), set[str]()
    while waiting:
        ready = [cell for cell in waiting if done.issuperset(cell.needs)]
        ready = ready or waiting  # they follow each other: each will say so
        waves.append(ready)
        done |= {cell.name for cell in ready}
        waiting = [cell for cell in waiting if cell.name not in done]
    return waves


def is_finished(cell: Cell, folder: Path) -> bool:
    """Tells whether a cell's run is done, of this very configuration, with every stage as its inputs are now."""
    if not (folder / RUN_FILE).exists() or not (folder / "report.html").exists():
        return False
    try:
        run = read_run(folder)
    except UserError:
        return False
    same = run.status == "done" and run.config == cell.config.model_dump(mode="json")
    wanted = [spec.name for spec in STAGES if is_enabled(cell.config, spec.name)]
    return same and finished_stages(cell.config, str(folder)) == wanted


_running: set[subprocess.Popen[bytes]] = set()
"""Processes of cells that run side by side: ended with the experiment."""


class _StoppedError(StageError):
    """A cell's process was told to end, as at Ctrl-C: nothing is wrong with the cell."""


_STOPPED = {130, 143, -signal.SIGINT, -signal.SIGTERM}
"""Exit codes of a process that was told to end: with a word about it, or before it could say one."""


def _run_apart(cell: Cell, config_file: Path, folder: Path) -> None:
    """Runs a cell in a process of its own.

    Raises:
        StageError: It failed, or was told to end.
    """
    log = folder.parent / CELLS / f"{cell.name}.log"
    command = [sys.executable, "-P", "-m", "flows.cli.main", "run", str(config_file), "--output", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(os.environ)
        )
        _running.add(process)
        try:
            code = process.wait()
        finally:
            _running.discard(process)
    if code in _STOPPED:
        raise _StoppedError(
            f"told to end before it was done; the experiment's command goes on from there (see {log})"
        )
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line for line in lines if line.strip() and not line.startswith("rlkd: resume with")]
        said = told[-1].removeprefix("rlkd: ") if told else "it said nothing"
        raise StageError(f"{said} (exit code {code}; see {log})")


def planned_stages(cell: Cell) -> dict[str, str]:
    """The stages of a cell with a key each: cells in which a stage has the same key share it.

    The key stands for a stage's identity before anything is made: inputs count by their own keys.
    """
    keys: dict[str, str] = {}
    for spec in (resolve(spec, cell.config) for spec in STAGES):
        if is_enabled(cell.config, spec.name):
            inputs = {name: keys[name] for name in spec.inputs if name in keys}
            keys[spec.name] = identify(spec, cell.config, inputs).key
    return keys
