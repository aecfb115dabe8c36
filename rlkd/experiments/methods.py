"""Reads methods: what each sets, and which other one it takes something of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from rlkd.config.load import config_text
from rlkd.config.strict_yaml import parse_yaml
from rlkd.errors import ConfigError
from schemas.config.experiment import method_label

TAKES = ("flops_of", "student_of")
"""Keys of a method's section ``experiment``."""


def method_names(folder: Traversable) -> list[str]:
    """Lists the methods that ship with the project, in a folder."""
    return sorted(e.name.removesuffix(".yaml") for e in folder.iterdir() if e.name.endswith(".yaml"))


def read_methods(names: Sequence[str], folder: Traversable) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What each method sets, and what is wrong with those that cannot be read."""
    known = method_names(folder)
    found: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    for name in names:
        path = Path(name)
        try:
            if path.suffix in (".yaml", ".yml"):
                values = parse_yaml(
                    config_text(path, "the path of a method's YAML file, from the folder that rlkd runs in"),
                    name,
                ).value
            elif name in known:
                values = parse_yaml(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name).value
            else:
                faults.append(
                    f"there is no method {name!r}; choose from {', '.join(known)}, or give the path of a YAML file"
                )
                continue
        except ConfigError as error:
            faults.append(f"method {name} cannot be read: {one_line(str(error))}")
            continue
        if not isinstance(values or {}, dict):
            faults.append(f"method {name} is no mapping of settings")
            continue
        label = method_label(name)
        if label in found:
            faults.append(f"two methods are called {label}; rename a file")
        found[label] = values or {}
    return found, faults


def taken_from(
    name: str, section: Any, methods: Mapping[str, Any], faults: list[str], shipped: Sequence[str] = ()
) -> tuple[str, str]:
    """What a method takes of another one's cells: the key, and the method; both empty for nothing.

    Several methods may be named: the first that is among the experiment's counts. Without any, operations are not matched,
    and a student that is missing is a fault.

    Args:
        name: The method.
        section: Its section ``experiment``.
        methods: The experiment's methods.
        faults: What is wrong with it is added here.
        shipped: Methods that may be named without being among the experiment's.
    """
    if section is None:
        return "", ""
    if not isinstance(section, dict) or len(section) != 1 or set(section) - set(TAKES):
        faults.append(f"method {name}: its section `experiment` names one of {', '.join(TAKES)}")
        return "", ""
    ((takes, wanted),) = section.items()
    names = wanted if isinstance(wanted, list) else [wanted]
    if not names or not all(isinstance(other, str) for other in names):
        faults.append(f"method {name}: experiment.{takes} is {wanted!r}; name a method, or several in a list")
        return "", ""
    if unknown := [other for other in names if other == name or other not in {*methods, *shipped}]:
        why = "the method itself" if unknown[0] == name else "no method of this experiment"
        faults.append(f"method {name}: experiment.{takes} names {unknown[0]}, which is {why}; mend the name")
        return "", ""
    found = next((other for other in names if other in methods), "")
    if takes == "student_of" and not found:
        faults.append(
            f"method {name} goes on from the student of {' or '.join(names)}, which is not among the methods; add it"
        )
    return (takes, found) if found else ("", "")


def circles(after: Mapping[str, str]) -> list[str]:
    """Methods that take something of each other, so that none could start."""
    faults: dict[str, None] = {}
    for first in after:
        chain = [first]
        while (other := after.get(chain[-1], "")) and other not in chain:
            chain.append(other)
        if other == first:
            names = " and ".join(sorted(chain))
            faults[
                f"methods {names} each take something of the other, so that none can be first; name another in one"
            ] = None
    return list(faults)


def one_line(text: str) -> str:
    """Puts a configuration's list of faults into one line, without its headline."""
    lines = [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]
    return "; ".join(lines[1:] or lines)
