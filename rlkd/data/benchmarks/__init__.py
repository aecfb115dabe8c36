"""Benchmarks by name: one small file each, found because it lies in this folder.

To add one, write ``rlkd/data/benchmarks/NAME.py`` with a ``BENCHMARK``::

    BENCHMARK = Benchmark(
        licence="MIT", hub="ChilleD/SVAMP", files={"train": "svamp/train.jsonl", "test": "svamp/test.jsonl"},
        read=lambda row: [Item(f"{row['Body']} {row['Question']}", row["Answer"])],
    )

and name it: ``data: {type: benchmark, name: NAME}``. Rows come from the user's own copy, from ``$RLKD_DATA`` or from the
hub, whichever is there first.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rlkd.errors import DataError
from rlkd.io import expand_path
from schemas.config.data import BenchmarkData, gym_dataset
from schemas.config.evaluation import NamedBenchmark
from schemas.problem import Problem, Split

Metric = Literal["accuracy", "exact_match_and_f1"]
BENCHMARK_KEY = "benchmark"
"""Key of ``Problem.metadata`` that names its benchmark."""
_EVALUATED: tuple[Split, ...] = ("test", "ood", "validation", "train")
CLUSTER_KEY = "cluster"
"""Key of ``Problem.metadata`` that says which problems share a passage or a template."""


@dataclass(frozen=True)
class Item:
    """One problem of a benchmark.

    Attributes:
        question: What the student is asked, options and passage included.
        answer: The reference, in any type that is clear as text; for a choice the option's label.
        traces: Teacher paths, in any form of :func:`rlkd.data.sources.values.paths_of`.
        id: The benchmark's own id.
        domain: Domain, where the row says one.
        difficulty: Difficulty, where the row says one.
        choices: Label to text of a multiple-choice problem: label and text both count as answers.
        references: All reference answers of a problem that has several (CoQA); compared by the official normalisation.
        cluster: What it shares with other problems (a passage, a template): they are right or wrong together, and standard errors
            are clustered by it.
    """

    question: Any
    answer: Any
    traces: Any = None
    id: Any = None
    domain: str | None = None
    difficulty: int | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    cluster: Any = None


@dataclass(frozen=True)
class Benchmark:
    """What is known of a benchmark.

    Attributes:
        licence: Its licence, in a few words.
        read: The problems of a row (several for a conversation); may raise ``KeyError``, which makes the row malformed.
        hub: Dataset id on the hub; empty where there is none.
        subset: Configuration name on the hub.
        revision: Branch or commit on the hub; ``refs/convert/parquet`` where the main branch is a script, which `datasets` runs no more.
        splits: Split on the hub behind each of ours.
        files: File below ``$RLKD_DATA`` behind each of our splits.
        domain: Domain of its problems.
        metric: How its answers are compared.
    """

    licence: str
    read: Callable[[Mapping[str, Any]], Iterable[Item]]
    hub: str = ""
    subset: str | None = None
    revision: str | None = None
    splits: Mapping[Split, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    files: Mapping[Split, str] = field(default_factory=dict)
    domain: str = "math"
    metric: Metric = "accuracy"


def benchmark_names() -> list[str]:
    """Lists every benchmark."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def find_benchmark(name: str, setting: str = "data.name") -> Benchmark:
    """Finds a benchmark by its name; ``setting`` is where it is named, for the message.

    Raises:
        DataError: There is none of that name.
    """
    if name not in benchmark_names():
        near = difflib.get_close_matches(name, benchmark_names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(benchmark_names())}"
        raise DataError(f"{setting}: there is no benchmark {name!r}{hint}")
    found: Benchmark = importlib.import_module(f"{__name__}.{name}").BENCHMARK
    return found


def check_benchmarks(named: Iterable[NamedBenchmark]) -> None:
    """Checks that benchmarks exist, and that the files that are named hold them: before hours of training, not after.

    Raises:
        DataError: One does not, or is named twice.
    """
    seen: set[str] = set()
    for benchmark in named:
        if benchmark.name in seen:
            raise DataError(f"evaluate.benchmarks: {benchmark.name} is named twice; leave one out")
        seen.add(benchmark.name)
        if gym_dataset(benchmark.name) is None:
            find_benchmark(benchmark.name, "evaluate.benchmarks")
        files = local_files(BenchmarkData(name=benchmark.name, path=benchmark.path))
        absent = [path for path in files.values() if not path.is_file()]
        if absent:
            raise DataError(f"evaluate.benchmarks: {benchmark.name}: there is no file {absent[0]}")


def metric_of(problem: Problem) -> Metric:
    """Finds the metric of the benchmark that a problem is of; accuracy where it is of none."""
    name = problem.metadata.get(BENCHMARK_KEY)
    return "accuracy" if name is None else _metric(str(name))


@functools.cache
def _metric(name: str) -> Metric:
    return find_benchmark(name).metric if name in benchmark_names() else "accuracy"


def evaluated_split(splits: Iterable[Split]) -> Split:
    """Finds the split of a benchmark that is evaluated: its test split, or what it has in place of one."""
    held = set(splits)
    return next(split for split in _EVALUATED if split in held)


def local_files(config: BenchmarkData) -> dict[Split, Path]:
    """Finds the file of each split on this disk; empty where the benchmark is to be had from the hub.

    Raises:
        DataError: There is no such benchmark, or the path that was given does not hold it.
    """
    if gym_dataset(config.name) is not None:
        return {}
    benchmark = find_benchmark(config.name)
    if config.path is None:
        try:
            root = expand_path("$RLKD_DATA", "")
        except DataError:
            return {}
        found = {split: root / file for split, file in benchmark.files.items()}
        return found if found and all(path.is_file() for path in found.values()) else {}
    path = expand_path(config.path, "data.path")
    if path.is_file():
        return {"train" if "train" in (benchmark.files or benchmark.splits) else "test": path}
    wanted: dict[Split, list[Path]] = {
        split: [path / file, path / Path(file).name] for split, file in benchmark.files.items()
    }
    held = {split: file for split, files in wanted.items() for file in files[::-1] if file.is_file()}
    if not held:
        names = ", ".join(Path(file).name for file in benchmark.files.values()) or "give the file itself"
        raise DataError(f"data.path {config.path!r}: holds no file of benchmark {config.name} ({names})")
    return held
