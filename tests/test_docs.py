"""What the documents name is there: links and headings, files, modules, commands with their options, settings, targets."""

from __future__ import annotations

import functools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from flows.cli.main import app
from rlkd.config.load import config_json_schema

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "rlkd/models/**/*.md")
    for path in ROOT.glob(pattern)
)
PAST = {"research-log.md", "CHANGELOG.md"}
"""Documents of what was: they may name what is gone."""
PRESENT = [path for path in DOCUMENTS if path.name not in PAST]
ROOMS = ("schemas", "rlkd", "tasks", "flows", "tests", "benchmarks", "docs", "examples", ".github")

_FENCE = re.compile(r"^(?:```|~~~)(\w*)\n(.*?)^(?:```|~~~)", re.M | re.S)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(rf"(?:{'|'.join(map(re.escape, ROOMS))})/[\w./*-]*")
_MODULE = re.compile(r"(?:schemas|rlkd|tasks|flows)(?:\.\w+)+")
_DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
_ENDINGS = ("json", "jsonl", "yaml", "md", "html", "parquet", "csv")
_SETTING = re.compile(r"--set[ =]([\w.]+)=")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """The document without its blocks of code."""
    return _FENCE.sub("", text)


def code_of(text: str) -> list[str]:
    """Every piece of inline code and every line of a shell block, comments taken off."""
    pieces = _CODE.findall(prose(text))
    for language, block in _FENCE.findall(text):
        if language in ("", "sh", "bash", "console"):
            joined = block.replace("\\\n", " ")
            pieces += [re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines()]
    return [piece for piece in pieces if piece]


def slugs(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ +(.+?) *#*$", _FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    broken = []
    for target in _LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        if not found.exists() or (anchor and anchor not in slugs(found.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", PRESENT, ids=name_of)
def test_named_files_and_modules_exist(document: Path) -> None:
    missing = []
    for piece in code_of(document.read_text(encoding="utf-8")):
        if piece.startswith(("rlkd ", "http")):
            continue
        for path in _PATH.findall(piece):
            place = re.sub(r"[.,:]+$", "", path)
            if not (ROOT / place).exists() and not any(ROOT.glob(place)):
                missing.append(place)
        if _MODULE.fullmatch(piece) and not piece.endswith(".json") and not is_object(piece):
            missing.append(piece)
    assert missing == []


def is_object(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that stands in a module."""
    parts = dotted.split(".")
    for size in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:size])
        source = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if source.exists():
            rest = parts[size:]
            return (
                not rest
                or re.search(rf"\b{re.escape(rest[0])}\b", source.read_text(encoding="utf-8")) is not None
            )
    return False


@functools.cache
def rlkd_command() -> Any:
    return typer.main.get_command(app)


def command_fault(words: list[str]) -> str | None:
    """What is wrong with the words after ``rlkd``: an unknown command or option."""
    command = rlkd_command()
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    if command.context_settings.get("ignore_unknown_options"):  # passes on what it does not know
        return None
    known = {option for param in command.params for option in param.opts} | {"--help", "-h"}
    for word in words:
        if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known:
            return f"no option {word}"
    return None


@pytest.mark.parametrize("document", PRESENT, ids=name_of)
def test_named_commands_exist(document: Path) -> None:
    faults = []
    for piece in code_of(document.read_text(encoding="utf-8")):
        line = re.sub(r"^(?:\$ |[A-Z_]+=\S+ )+", "", piece)
        if not line.startswith("rlkd "):
            continue
        words = [word for word in shlex.split(line)[1:] if "..." not in word]
        fault = command_fault(words)
        if fault:
            faults.append(f"{line}: {fault}")
    assert faults == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert command_fault(["run", "demo", "--set", "a=1"]) is None
    assert command_fault(["rewards", "replay", "x", "--set", "a=1"]) is None
    assert command_fault(["walk", "demo"]) == "no command walk"
    assert command_fault(["run", "demo", "--fast"]) == "no option --fast"
    assert command_fault(["rewards", "undo"]) == "no command undo"


def property_names(schema: Any) -> set[str]:
    """Every name of a field in a JSON schema."""
    if isinstance(schema, list):
        return set().union(*map(property_names, schema))
    if not isinstance(schema, dict):
        return set()
    names = set(schema.get("properties", {}))
    return names.union(*(property_names(value) for value in schema.values()))


KINDS = ("distill", "gsrm", "experiment")


json_schema = functools.cache(config_json_schema)


@functools.cache
def setting_names() -> set[str]:
    return set().union(*(property_names(json_schema(kind)) for kind in KINDS))


@pytest.mark.parametrize("document", PRESENT, ids=name_of)
def test_named_settings_exist(document: Path) -> None:
    known = setting_names()
    text = document.read_text(encoding="utf-8")
    sections = {name for kind in KINDS for name in json_schema(kind)["properties"]}
    named = [piece for piece in code_of(text) if _DOTTED.fullmatch(piece) and piece.split(".")[0] in sections]
    keys = [key for key in _SETTING.findall(text) + named if key.split(".")[-1] not in _ENDINGS]
    assert [key for key in keys if not set(key.split(".")) <= known] == []


@pytest.mark.parametrize("document", PRESENT, ids=name_of)
def test_named_scripts_and_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    faults = []
    for piece in code_of(document.read_text(encoding="utf-8")):
        if made := re.fullmatch(r"make ([a-z-]+)(?: \w+=\S+)*", piece):
            faults += [piece] if made[1] not in targets else []
        if script := re.match(r"(?:nice )?python ((?:benchmarks|examples)/\w+\.py)(.*)", piece):
            source = ROOT / script[1]
            options = re.findall(r"--[a-z][a-z-]*", script[2])
            text = source.read_text(encoding="utf-8") if source.exists() else ""
            faults += [
                f"{piece}: no {o}"
                for o in (options or [script[1]] if not text else options)
                if f'"{o}"' not in text
            ]
    assert faults == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_for_editors_are_current(kind: str) -> None:
    written = json.loads((ROOT / "docs" / "schema" / f"{kind}.json").read_text(encoding="utf-8"))
    assert written == json_schema(kind), "run `make docs`"


@pytest.mark.parametrize("preset", sorted((ROOT / "flows" / "presets").rglob("*.yaml")), ids=name_of)
def test_presets_name_their_schema(preset: Path) -> None:
    first = preset.read_text(encoding="utf-8").partition("\n")[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found, first
    kind = {"gsrm": "gsrm", "experiments": "experiment"}.get(preset.parent.name, "distill")
    assert (preset.parent / found[1]).resolve() == ROOT / "docs" / "schema" / f"{kind}.json"
