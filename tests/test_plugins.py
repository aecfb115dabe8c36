from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import pytest

from rlkd.errors import ConfigError
from rlkd.plugins import check_plugin, load_object, objects_of, place_objects, source_digest, source_files
from schemas.base import Schema
from schemas.config.plugin import PythonObject


@runtime_checkable
class Greeter(Protocol):
    """What the tests plug in."""

    name: str

    async def greet(self, who: Sequence[str]) -> list[str]: ...


@runtime_checkable
class Scale(Protocol):
    def __call__(self, value: float) -> float: ...


class PythonGreeter(PythonObject):
    kind: ClassVar[str] = "greeter"
    protocol: ClassVar[str] = f"{__name__}:Greeter"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


GOOD = """
class Polite:
    def __init__(self, word="Dear"):
        self.name, self.word = "polite", word

    async def greet(self, who):
        return [f"{self.word} {x}" for x in who]

def make_polite(word):
    return Polite(word)

SHARED = Polite("Hi")

def double(value, by=2):
    return value * by
"""


def test_a_class_a_maker_and_an_instance_are_all_objects(folder: Path) -> None:
    write(folder, "plug_good.py", GOOD)
    made = load_object("plug_good:Polite", "greeter", Greeter, {"word": "Oh"}, folder)
    by_function = load_object("plug_good:make_polite", "greeter", Greeter, {"word": "Ah"}, folder)
    shared = load_object("plug_good:SHARED", "greeter", Greeter, None, folder)
    assert [getattr(g, "word", "") for g in (made, by_function, shared)] == ["Oh", "Ah", "Hi"]


def test_a_function_that_is_the_interface_keeps_its_options(folder: Path) -> None:
    write(folder, "plug_double.py", GOOD)
    assert load_object("plug_double:double", "scale", Scale, None, folder)(1.5) == 3.0
    assert load_object("plug_double:double", "scale", Scale, {"by": 4}, folder)(1.5) == 6.0


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            "",
            "plug_missing_module_x:A",
            r"there is no module 'plug_missing_module_x' in .* or among the installed",
        ),
        ("class Polite: ...", "{m}:Polit", r"has no 'Polit'; did you mean 'Polite'\?"),
        ("class A: ...", "{m}:A", r"is no greeter: it has no method 'greet'; see .*Greeter"),
        ("class A:\n def greet(self, who): ...", "{m}:A", r"its greet must be `async`"),
        ("class A:\n async def greet(self): ...", "{m}:A", r"its greet must take \(who\)"),
        ("A = 3", "{m}:A", r"is no greeter: it has no"),
        ("class A:\n async def greet(self, who): ...", "{m}:A", r"it has no attribute 'name'"),
        (
            "import not_there_at_all",
            "{m}:A",
            r"importing \w+ failed \(there is no module 'not_there_at_all'\); install it",
        ),
        (
            "1 / 0",
            "{m}:A",
            r"importing \w+ failed \(ZeroDivisionError: division by zero, .*\.py, line 1\); mend it",
        ),
        ("def (:", "{m}:A", r"importing \w+ failed \(SyntaxError: .*line 1\)\); mend it"),
    ],
)
def test_every_fault_is_one_sentence(
    folder: Path, request: pytest.FixtureRequest, text: str, name: str, said: str
) -> None:
    module = f"plug_case_{abs(hash(request.node.name)) % 10**8}"
    write(folder, f"{module}.py", text)
    with pytest.raises(ConfigError, match=said) as fault:
        load_object(name.format(m=module), "greeter", Greeter, None, folder)
    assert "\n" not in str(fault.value)


def test_options_that_do_not_fit_are_named(folder: Path) -> None:
    write(folder, "plug_options.py", GOOD)
    with pytest.raises(ConfigError, match=r"its options do not fit \(.*unexpected keyword argument 'wort'\)"):
        load_object("plug_options:Polite", "greeter", Greeter, {"wort": 1}, folder)


def test_a_file_that_python_itself_hides_is_refused_and_hides_nothing(folder: Path) -> None:
    write(folder, "random.py", "class A: ...")
    with pytest.raises(ConfigError, match=r"random\.py is hidden by another module of that name .*rename it"):
        load_object("random:A", "greeter", Greeter, None, folder)
    import random

    assert random.Random(0).random() == 0.8444218515250481


def test_check_looks_at_a_class_without_making_it(folder: Path) -> None:
    text = "class A:\n def __init__(self): raise RuntimeError('made')\n async def greet(self, who): ...\nclass B: ..."
    write(folder, "plug_check.py", text)
    check_plugin(PythonGreeter(object="plug_check:A", folder=str(folder)))
    with pytest.raises(ConfigError, match="it has no method 'greet'"):
        check_plugin(PythonGreeter(object="plug_check:B", folder=str(folder)))


def test_the_folder_of_the_configuration_is_written_down(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, current = folder / "a", folder / "b"
    for place, name in ((beside, "plug_a"), (current, "plug_b")):
        write(place, f"{name}.py", GOOD)
    monkeypatch.chdir(current)
    values = {"x": [{"type": "python", "object": f"{name}:SHARED"} for name in ("plug_a", "plug_b", "json")]}
    place_objects(values, beside)
    assert [item.get("folder") for item in values["x"]] == [str(beside), str(current), None]


def test_digest_follows_what_the_module_imports_from_its_folder(folder: Path) -> None:
    write(folder, "plugpack/__init__.py", "")
    write(
        folder,
        "plugpack/one.py",
        "from . import two\nimport plug_beside\nimport json\nfrom rlkd import errors\n",
    )
    write(folder, "plugpack/two.py", "X = 1\n")
    write(folder, "plugpack/other.py", "Y = 1\n")
    beside = write(folder, "plug_beside.py", "Z = 1\n")
    config = PythonGreeter(object="plugpack.one:A", folder=str(folder))
    assert sorted(source_files(config)) == ["plug_beside", "plugpack", "plugpack.one", "plugpack.two"]
    before = source_digest(config)
    write(folder, "plugpack/other.py", "Y = 2\n")
    assert source_digest(config) == before
    beside.write_text("Z = 2\n", encoding="utf-8")
    assert source_digest(config) != before


def test_objects_are_found_wherever_they_stand() -> None:
    class Section(Schema):
        one: PythonObject
        many: dict[str, PythonObject]
        rest: tuple[PythonObject, ...]

    item = PythonObject(object="a:B")
    section = Section(one=item, many={"k": item}, rest=(item, item))
    assert [where for where, _ in objects_of(section)] == ["one", "many.k", "rest.0", "rest.1"]


def test_the_form_of_the_name_is_checked() -> None:
    with pytest.raises(
        ValueError, match=r"write it as module:name, for example my_pkg\.judges:MyJudge, not 'my_pkg'"
    ):
        PythonObject(object="my_pkg")
