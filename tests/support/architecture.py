"""The rules of the house as functions: modules in, a list of complaints out.

Every complaint names the place and quotes the rule.  The table of rooms is data and is given
by ``tests/test_architecture.py``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = "mailroute"
MODULE_LINES = 350
FUNCTION_LINES = 30
ARGUMENTS = 5
NAMELESS = frozenset({"common", "utils", "util", "helpers", "helper", "base", "misc"})

ANY = frozenset({"*"})
NONE: frozenset[str] = frozenset()

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Room:
    """What the modules of one room may import.

    ``may_import`` names rooms, or single modules of a room as ``room.module``; ``twisted``
    names modules of Twisted, or is ANY or NONE.
    """

    floor: int
    may_import: frozenset[str] = NONE
    twisted: frozenset[str] = NONE


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the package: its dotted name and its text."""

    name: str
    source: str
    tree: ast.Module = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", ast.parse(self.source))

    @property
    def place(self) -> str:
        """The name below the package, e.g. ``imap.server``; empty for the package itself."""
        return self.name.partition(".")[2]

    @property
    def room(self) -> str:
        """The first part of the place."""
        return self.place.partition(".")[0]


def read_modules(folder: Path) -> list[Module]:
    """Read every module below ``folder``, the package's own folder."""
    modules = []
    for path in sorted(folder.rglob("*.py")):
        parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        modules.append(Module(".".join(parts), path.read_text(encoding="utf-8")))
    return modules


def imports(module: Module, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of each import, wherever in the module it stands.

    ``from package import name`` is the module ``package.name`` if there is one in ``known``.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node, known)
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                yield node.lineno, whole if whole in known else origin


def _origin(module: Module, node: ast.ImportFrom, known: frozenset[str]) -> str:
    if not node.level:
        return node.module or ""
    is_package = any(name.startswith(f"{module.name}.") for name in known)
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def wrong_arrows(modules: Iterable[Module], rooms: Mapping[str, Room]) -> list[str]:
    """Imports between rooms that the table does not allow, and rooms without a floor."""
    modules = list(modules)
    known = frozenset(module.name for module in modules)
    complaints = []
    for module in modules:
        if not module.room:
            continue
        if module.room not in rooms:
            complaints.append(f"{module.name}: no floor is given for the room '{module.room}'")
            continue
        for line, target in imports(module, known):
            place = target.removeprefix(f"{ROOT}.")
            if place != target and not _allowed(module, place, rooms[module.room]):
                complaints.append(
                    f"{module.name}:{line} imports {target}. Rule: imports go down only; floor "
                    f"{rooms[module.room].floor} ({module.room}) may import "
                    f"{', '.join(sorted(rooms[module.room].may_import)) or 'nothing of ours'}"
                )
    return complaints


def _allowed(module: Module, place: str, room: Room) -> bool:
    target_room = place.partition(".")[0]
    if target_room == module.room or "*" in room.may_import:
        return True
    return any(place == name or place.startswith(f"{name}.") for name in room.may_import)


def mixed_protocols(modules: Iterable[Module], protocols: frozenset[str]) -> list[str]:
    """Imports from one protocol's package in another's."""
    modules = list(modules)
    known = frozenset(module.name for module in modules)
    return [
        f"{module.name}:{line} imports {target}. Rule: protocols never import each other"
        for module in modules
        if module.room in protocols
        for line, target in imports(module, known)
        if (other := target.removeprefix(f"{ROOT}.").partition(".")[0]) in protocols
        and target.startswith(f"{ROOT}.")
        and other != module.room
    ]


def misplaced_twisted(
    modules: Iterable[Module], rooms: Mapping[str, Room], exceptions: frozenset[str]
) -> list[str]:
    """Imports of Twisted where the table has none; ``exceptions`` are places that may."""
    modules = list(modules)
    known = frozenset(module.name for module in modules)
    complaints = []
    for module in modules:
        room = rooms.get(module.room, Room(0))
        if room.twisted == ANY or module.place in exceptions:
            continue
        for line, target in imports(module, known | room.twisted):
            if target.partition(".")[0] not in ("twisted", "zope"):
                continue
            if target not in room.twisted:
                allowed = ", ".join(sorted(room.twisted)) or "nothing of it"
                complaints.append(
                    f"{module.name}:{line} imports {target}. Rule: Twisted belongs to the upper "
                    f"floors; {module.room or ROOT} may import {allowed}"
                )
    return complaints


def cycles(modules: Iterable[Module]) -> list[str]:
    """Groups of modules that import each other, one complaint for each way round."""
    modules = list(modules)
    known = frozenset(module.name for module in modules)
    arrows = {
        module.name: sorted(
            {target for _, target in imports(module, known) if target in known} - {module.name}
        )
        for module in modules
    }
    complaints: list[str] = []
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            way = " -> ".join([*trail[trail.index(name) :], name])
            complaints.append(f"{way}. Rule: no import cycle")
        elif name not in finished:
            for target in arrows[name]:
                visit(target, [*trail, name])
            finished.add(name)

    for name in arrows:
        visit(name, [])
    return complaints


def long_modules(modules: Iterable[Module]) -> list[str]:
    """Modules over the cap of lines."""
    return [
        f"{module.name}: {count} lines. Rule: at most {MODULE_LINES} lines a module"
        for module in modules
        if (count := len(module.source.splitlines())) > MODULE_LINES
    ]


def long_functions(modules: Iterable[Module]) -> list[str]:
    """Functions over the cap of code lines; docstring, comments and blank lines are free."""
    complaints = []
    for module in modules:
        lines = module.source.splitlines()
        for node in ast.walk(module.tree):
            if isinstance(node, _Function) and (n := _code_lines(node, lines)) > FUNCTION_LINES:
                complaints.append(
                    f"{module.name}:{node.lineno} {node.name}: {n} code lines. "
                    f"Rule: at most {FUNCTION_LINES} lines a function"
                )
    return complaints


def _code_lines(node: _Function, lines: list[str]) -> int:
    free: set[int] = set()
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        free.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return sum(
        1
        for number in span
        if number not in free and (text := lines[number - 1].strip()) and not text.startswith("#")
    )


def many_arguments(modules: Iterable[Module]) -> list[str]:
    """Functions with more arguments than the cap; ``self`` and ``cls`` are free."""
    complaints = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, _Function):
                continue
            names = [
                argument.arg
                for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            ]
            if names[:1] in (["self"], ["cls"]):
                del names[0]
            if len(names) > ARGUMENTS:
                complaints.append(
                    f"{module.name}:{node.lineno} {node.name}: {len(names)} arguments. "
                    f"Rule: at most {ARGUMENTS} arguments a function"
                )
    return complaints


def nameless_modules(names: Iterable[str]) -> list[str]:
    """Dotted module names of which a part says nothing."""
    return [
        f"{name}. Rule: no module called {', '.join(sorted(NAMELESS))}; "
        "a shared thing gets its own noun"
        for name in names
        if NAMELESS & set(name.split("."))
    ]


def untested_modules(names: Iterable[str], is_file: frozenset[str]) -> list[str]:
    """Modules without their test file; ``is_file`` has the test files below ``tests``."""
    complaints = []
    for name in names:
        *folders, last = name.split(".")[1:]
        expected = "/".join([*folders, f"test_{last.strip('_')}.py"])
        if expected not in is_file:
            complaints.append(
                f"{name}: tests/{expected} is missing. "
                "Rule: mailroute/x/y.py is tested by tests/x/test_y.py"
            )
    return complaints


def dispatch_by_name(modules: Iterable[Module]) -> list[str]:
    """Calls such as ``getattr(self, "do_" + verb)``."""
    complaints = []
    for module in modules:
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "getattr"
                and len(node.args) > 1
                and isinstance(node.args[1], ast.BinOp | ast.JoinedStr)
            ):
                complaints.append(
                    f"{module.name}:{node.lineno} builds an attribute's name. "
                    'Rule: one visible command table; never getattr(self, "do_" + verb)'
                )
    return complaints
