"""A user's own objects (``type: python``): found, imported, checked, and covered by the identity of stages.

A module is looked for in the folder of the configuration file, in the current folder, and among the installed
packages. Its folder goes to the *end* of Python's search path: a user's ``random.py`` or ``schemas.py`` that lies beside
the module hides nothing that the standard library or this project needs.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from rlkd.errors import ConfigError
from rlkd.io import expand_path, sha256_file, sha256_json
from schemas.base import JsonValue, Schema
from schemas.config.plugin import PythonObject

Shape = TypeVar("Shape")
OURS = frozenset({"schemas", "rlkd", "tasks", "flows"})
"""Packages whose changes are told by stage versions, not by digests."""


def load_object(
    path: str,
    kind: str,
    protocol: type[Shape],
    options: Mapping[str, JsonValue] | None = None,
    folder: str | Path | None = None,
) -> Shape:
    """Imports ``module:name`` and makes the object of it.

    A class, or a function that makes the object, is called with the options. What has the interface already (an
    instance; a function where the interface is a call) is taken as it is, its options bound as keyword arguments.

    Args:
        path: ``module:name``.
        kind: What it should be, in words (``judge``), for errors.
        protocol: The interface that it must have (a ``runtime_checkable`` protocol, or a class).
        options: Keyword arguments for it.
        folder: Folder to look in first.

    Raises:
        ConfigError: The module or the name is missing, the import fails, or what is there does not have the interface.
    """
    what = f"{kind} {path}"
    found = import_object(path, kind, folder)
    given = dict(options or {})
    if not isinstance(found, type) and _lacks(found, protocol) is None:
        return cast(Shape, functools.partial(found, **given) if given else found)
    fault = _lacks(found, protocol) if isinstance(found, type) or not callable(found) else None
    if fault is not None:
        raise ConfigError(f"{what}: is no {kind}: {fault}")
    try:
        inspect.signature(found).bind(**given)
    except TypeError as error:
        raise ConfigError(f"{what}: its options do not fit ({error}); mend `options`") from None
    except ValueError:
        pass  # a built-in without a signature: the call itself says what is wrong
    try:
        made = found(**given)
    except Exception as error:
        raise ConfigError(f"{what}: could not be made ({type(error).__name__}: {error})") from error
    fault = _lacks(made, protocol)
    if fault is not None:
        raise ConfigError(f"{what}: is no {kind}: {fault}")
    return cast(Shape, made)


def make_plugin(config: PythonObject) -> Any:
    """Makes the object that a configuration names; see :func:`load_object`."""
    return load_object(config.object, config.kind, protocol_of(config), config.options, config.folder)


def make_of_type(package: str, config: Any, *parts: Any) -> Any:
    """Makes what ``type: NAME`` names: by ``build`` of the file NAME in a package, or a user's own (``type: python``)."""
    if isinstance(config, PythonObject):
        return make_plugin(config)
    return importlib.import_module(f"{package}.{config.type}").build(config, *parts)


def check_plugin(config: PythonObject) -> None:
    """Imports an object and checks its interface as far as that is known without making it.

    Raises:
        ConfigError: As :func:`load_object`.
    """
    found = import_object(config.object, config.kind, config.folder)
    what = f"{config.kind} {config.object}"
    if isinstance(found, type):
        fault = _lacks(found, protocol_of(config))
        if fault is not None:
            raise ConfigError(f"{what}: is no {config.kind}: {fault}")
    elif not callable(found) or not config.options:
        make_plugin(config)


def protocol_of(config: PythonObject) -> type[Any]:
    """The interface that an object of this kind must have."""
    module, _, name = config.protocol.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name) if module else object
    return found


def import_object(path: str, kind: str, folder: str | Path | None = None) -> Any:
    """Imports ``module:name``.

    Raises:
        ConfigError: It is not there, or its module cannot be imported.
    """
    what = f"{kind} {path}"
    module_name, _, name = path.partition(":")
    root = root_of(module_name, folder)
    if root is not None and str(root) not in sys.path:
        sys.path.append(str(root))
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{what}: importing {module_name} failed (there is no module {error.name!r}); install it"
            ) from error
        places = ", ".join(dict.fromkeys(str(place) for place in _places(folder)))
        raise ConfigError(
            f"{what}: there is no module {module_name!r} in {places} or among the installed packages; put its file "
            "beside the configuration, or install its package"
        ) from None
    except Exception as error:
        where = f", {_last_line(error)}" if not isinstance(error, SyntaxError) else ""
        raise ConfigError(
            f"{what}: importing {module_name} failed ({type(error).__name__}: {error}{where}); mend it"
        ) from error
    wanted = _file_in(root, module_name) if root is not None else None
    origin = getattr(module, "__file__", None)
    if wanted is not None and (origin is None or Path(origin).resolve() != wanted.resolve()):
        raise ConfigError(
            f"{what}: {wanted} is hidden by another module of that name ({origin or 'part of Python'}); rename it"
        )
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; name what its file defines"
            raise ConfigError(f"{what}: {origin or module_name} has no {part!r}{hint}") from None
    return found


def root_of(module: str, folder: str | Path | None = None) -> Path | None:
    """The folder that a module is imported from; ``None`` for an installed one (or none at all)."""
    for place in _places(folder):
        if _file_in(place, module) is not None:
            return place
    return None


def place_objects(values: Any, beside: Path | None) -> None:
    """Writes into a configuration, as read, in which folder the module of each Python object lies.

    A resolved configuration then works in another folder and in another process, and does not depend on where a
    command was typed.

    Args:
        values: The configuration's values, before they are validated; changed in place.
        beside: Folder of the configuration file; ``None`` where there is no file.
    """
    if isinstance(values, dict):
        path = values.get("object")
        if values.get("type") == "python" and isinstance(path, str) and values.get("folder") is None:
            root = root_of(path.partition(":")[0], beside)
            if root is not None:
                values["folder"] = str(root)
    for item in values.values() if isinstance(values, dict) else values if isinstance(values, list) else ():
        place_objects(item, beside)


def objects_of(value: Any, where: str = "") -> Iterator[tuple[str, PythonObject]]:
    """Finds every Python object in a configuration, with its dotted place."""
    if isinstance(value, PythonObject):
        yield where, value
    if isinstance(value, Schema):
        items: Iterator[tuple[Any, Any]] = iter(value)
    elif isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list | tuple):
        items = iter(enumerate(value))
    else:
        return
    for name, item in items:
        yield from objects_of(item, f"{where}.{name}" if where else str(name))


# -- identity -------------------------------------------------------------------------------------------


def source_digest(config: PythonObject) -> str:
    """Digest of the code behind an object: its module, and what that imports from the same folder.

    Of an installed package only its own modules count, not the packages that it needs. Nothing is imported.
    """
    files = source_files(config)
    return sha256_json({name: sha256_file(path) for name, path in sorted(files.items())})


def source_files(config: PythonObject) -> dict[str, Path]:
    """The files of :func:`source_digest`, by module name."""
    module = config.object.partition(":")[0]
    root, only = root_of(module, config.folder), ""
    if root is None:
        only = module.partition(".")[0]
        root = next((Path(place) for place in sys.path if _file_in(Path(place or "."), module)), None)
    found: dict[str, Path] = {}
    waiting = [module]
    while root is not None and waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in found or top in OURS or (only and top != only):
            continue
        file = _file_in(root, name)
        if file is not None:
            found[name] = file
            waiting += _imported(name, file)
    return found


def _imported(module: str, file: Path) -> list[str]:
    """Names that a module may import: its own packages, and everything in an import statement."""
    parents = module.split(".")[:-1]
    names = [".".join(parents[: i + 1]) for i in range(len(parents))]
    package = module.split(".") if file.name == "__init__.py" else parents
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return names  # importing it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return [name for name in names if name]


def _places(folder: str | Path | None) -> list[Path]:
    given = [expand_path(str(folder), "folder").resolve()] if folder is not None else []
    return [*given, Path.cwd()]


def _file_in(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split("."))
    for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def _last_line(error: BaseException) -> str:
    """File and line of the innermost frame of an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}" if trace is not None else ""


# -- interfaces -----------------------------------------------------------------------------------------


def _lacks(found: Any, protocol: type[Any]) -> str | None:
    """What an object (or, of a class, what its objects) lacks of an interface; ``None`` where it has all."""
    if not getattr(protocol, "_is_protocol", False):
        fits = issubclass(found, protocol) if isinstance(found, type) else isinstance(found, protocol)
        return None if fits else f"it is no {protocol.__module__}.{protocol.__qualname__}"
    see = f"; see {protocol.__module__}.{protocol.__qualname__}"
    members = _members(protocol)
    for name, wanted in members.items():
        if wanted is None:
            continue
        own = (
            inspect.getattr_static(found, name, None)
            if isinstance(found, type)
            else getattr(found, name, None)
        )
        if name == "__call__" and isinstance(found, type) and own is None:
            return f"its objects cannot be called{see}"
        own = found if name == "__call__" and inspect.isroutine(found) else own
        shown = name if name != "__call__" else "call"
        if own is None or not (callable(own) or isinstance(own, staticmethod | classmethod)):
            return f"it has no method {name!r}{see}"
        if inspect.iscoroutinefunction(wanted) and not inspect.iscoroutinefunction(own):
            return f"its {shown} must be `async`{see}"
        fault = _misfit(own, wanted, bound=not isinstance(found, type))
        if fault is not None:
            return f"its {shown} {fault}{see}"
    if isinstance(found, type):
        return None  # attributes may be set when it is made
    absent = [name for name, wanted in members.items() if wanted is None and not hasattr(found, name)]
    return f"it has no attribute {absent[0]!r}{see}" if absent else None


def _members(protocol: type[Any]) -> dict[str, Any]:
    """Attributes and methods of a protocol; an attribute that is only annotated has the value ``None``."""
    found: dict[str, Any] = {}
    for base in reversed(protocol.__mro__):
        if base in (object, Protocol) or not getattr(base, "_is_protocol", False):
            continue
        found |= {name: None for name in inspect.get_annotations(base) if not name.startswith("_")}
        found |= {
            name: value
            for name, value in vars(base).items()
            if inspect.isfunction(value) and (name == "__call__" or not name.startswith("_"))
        }
    return found


def _misfit(own: Any, wanted: Any, *, bound: bool) -> str | None:
    """Why a method cannot be called as the interface's is; ``None`` where it can or where that is not known."""
    needed = [
        p
        for p in list(inspect.signature(wanted).parameters.values())[1:]
        if p.default is inspect.Parameter.empty
    ]
    if any(p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for p in needed):
        return None
    if not bound and not inspect.isfunction(own):
        return None
    try:
        inspect.signature(own).bind(*[None] * (len(needed) + (not bound)))
    except TypeError:
        return f"must take ({', '.join(p.name for p in needed)})"
    except ValueError:
        return None
    return None
