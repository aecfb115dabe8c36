"""Promises about the whole tree: what imports what, what stays light, what is never used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "trl", "datasets", "prefect", "mlflow", "pandas", "matplotlib", "sympy")
TENSOR_CODE = {
    "rlkd.student.cuda_graph",
    "rlkd.student.cpu_loop",
    "rlkd.training.optimizer",
    "rlkd.training.packing",
    "rlkd.training.order",
    "rlkd.training.shared_prompt",
}
"""Leaf modules of torch code; others import them inside functions only, as the test below shows."""
SOURCES = sorted(
    path for room in ("schemas", "rlkd", "tasks", "flows") for path in (ROOT / room).rglob("*.py")
)


def modules() -> dict[str, Path]:
    """Every module of the tree by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
    }


def imports_of(path: Path, known: Iterable[str]) -> set[str]:
    """Our own modules that a file imports, those inside functions and for types included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & set(known) or {node.module}
    return found & set(known)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["rlkd.structure", "rlkd.rewards"])
def test_reward_packages_import_without_the_pipeline(package: str) -> None:
    # None in sys.modules makes `import torch` raise ImportError, as on a machine that lacks it.
    code = f"""
import sys, importlib, pkgutil
sys.modules.update(dict.fromkeys(("torch", "prefect", "mlflow")))
package = importlib.import_module({package!r})
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_no_module_imports_itself_over_others() -> None:
    # Import-linter checks the rooms; this follows every import, wherever it stands, with nothing but the standard library.
    known = modules()
    graph = {name: imports_of(path, known) - {name} for name, path in known.items()}
    assert "rlkd.config.load" in graph["rlkd.pipeline.jobs"]  # the graph is not empty
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_circle_test_sees_a_deferred_import(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f():\n    from room.b import g\n    import room.c\n")
    assert imports_of(tmp_path / "a.py", ["room.a", "room.b", "room.c", "room"]) == {"room.b", "room.c"}
    with pytest.raises(CycleError):
        TopologicalSorter({"room.a": {"room.b"}, "room.b": {"room.a"}}).prepare()


def test_every_child_python_leaves_the_current_folder_off_its_path() -> None:
    # `python -m` puts it first: a user's own schemas.py or random.py would be imported instead of ours.
    starts = re.compile(r"sys\.executable,\s*(\"-?\w*\")?")
    guilty = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in SOURCES
        for match in starts.finditer(path.read_text(encoding="utf-8"))
        if match.group(1) != '"-P"'
    ]
    assert guilty == []


def test_every_module_import_is_light() -> None:
    # Heavy libraries are imported inside functions; only flows and tasks may import Prefect and MLflow on top.
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in SOURCES
        if path.parts[-2] != "tasks"
    ]
    light = [
        name
        for name in modules
        if name.startswith(("schemas", "rlkd")) and not name.endswith("__main__") and name not in TENSOR_CODE
    ]
    code = f"""
import sys, importlib
for name in {light!r}:
    importlib.import_module(name.removesuffix(".__init__"))
    heavy = [h for h in {HEAVY!r} if h in sys.modules]
    assert not heavy, f"importing {{name}} pulls in {{heavy}}"
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from flows.cli.main import main
sys.argv = ["rlkd", "--help"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = [h for h in {HEAVY!r} if h in sys.modules]
assert not heavy, heavy
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


def test_no_pickle_anywhere() -> None:
    pattern = re.compile(
        r"^\s*(import|from) (pickle|cloudpickle|dill|joblib)\b|pickle\.(load|dump)|weights_only\s*=\s*False",
        re.M,
    )
    guilty = [
        str(path.relative_to(ROOT)) for path in SOURCES if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert guilty == []


def test_only_the_tracking_package_imports_mlflow() -> None:
    # Wherever in a file it stands: inside a function too.
    pattern = re.compile(r"^\s*(import|from) mlflow\b|import_module\(.mlflow", re.M)
    using = {
        path.parent.relative_to(ROOT) for path in SOURCES if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert using == {Path("tasks/tracking")}


def test_torch_is_constrained_without_a_local_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("torch==")] == ["torch==2.13.*"]
    assert not [line for line in lines if "+" in line or "@" in line or "--hash" in line]


def long_functions(path: Path, most: int) -> list[str]:
    """The functions of a file that are longer than ``most`` lines, each with its length."""
    return [
        f"{path.name}:{node.lineno} {node.name} ({length})"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > most
    ]


def test_files_and_functions_stay_short() -> None:
    product = [
        *SOURCES,
        *(path for room in ("benchmarks", "examples") for path in (ROOT / room).glob("*.py")),
    ]
    long = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in product}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
    assert [found for path in product for found in long_functions(path, 60)] == []


def test_a_long_function_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f():\n    return 1\n\nasync def g():\n    a = 1\n    return a\n")
    assert long_functions(tmp_path / "a.py", 2) == ["a.py:4 g (3)"]


def test_every_room_of_the_structure_reward_holds_at_most_ten() -> None:
    rooms = [ROOT / "rlkd" / "structure", *(ROOT / "rlkd" / "structure").glob("*/")]
    held = {
        room.name: [
            child.name
            for child in room.iterdir()
            if child.name not in ("__init__.py", "__pycache__", "prompts")
            and (child.suffix == ".py" or child.is_dir())
        ]
        for room in rooms
        if (room / "__init__.py").is_file()
    }
    assert {"structure", "reading", "judges"} <= set(held)
    assert {name: sorted(inside) for name, inside in held.items() if len(inside) > 10} == {}
