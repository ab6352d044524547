"""The rooms and their floors as data, and every rule of the house shown to be able to fail."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support import architecture
from tests.support.architecture import ANY, Module, Room

VALUES = frozenset({"errors", "credentials", "route", "events", "patterns"})
DIALOGUES = frozenset({"dialogue", "server_dialogue", "client_dialogue"})
PROTOCOLS = frozenset({"imap", "pop3", "smtp", "managesieve"})
WAITING = frozenset({"twisted.internet.defer", "twisted.logger"})

_SPEECH = frozenset({"wire", "events", "credentials", "errors"})
_TOP = Room(8, ANY, ANY)

ROOMS = {
    # Values know each other and the standard library alone.
    **dict.fromkeys(VALUES, Room(0, VALUES)),
    "wire": Room(1, frozenset({"errors"})),
    "sasl": Room(2, _SPEECH),
    "offer": Room(2, _SPEECH | {"sasl"}),
    "dialogue": Room(2, _SPEECH),
    "server_dialogue": Room(2, _SPEECH | {"sasl", "offer", "dialogue", "route"}),
    "client_dialogue": Room(2, _SPEECH | {"sasl", "dialogue", "route"}),
    "xclient": Room(1, VALUES),
    **dict.fromkeys(PROTOCOLS, Room(3, VALUES | DIALOGUES | {"wire", "sasl", "offer", "xclient"})),
    # Protocols that are passed through unread.
    "opaque": Room(3, VALUES | DIALOGUES | {"offer"}),
    "protocols": Room(4, PROTOCOLS | DIALOGUES | {"events", "offer", "opaque"}),
    "names": Room(
        5,
        frozenset(),
        frozenset({"twisted.internet.defer", "twisted.internet.interfaces", "zope.interface"}),
    ),
    "tables": Room(5, frozenset({"errors", "route", "names"})),
    "destinations": Room(1, frozenset({"patterns", "route"})),
    "adaptation": Room(
        5, frozenset({"errors", "credentials", "route", "destinations", "tables.contract"})
    ),
    "routing": Room(
        5,
        frozenset(
            {
                *("errors", "credentials", "route", "destinations", "tables.contract"),
                "adaptation",
            }
        ),
        WAITING,
    ),
    "fixed_route": Room(5, VALUES),
    "journal": Room(5, frozenset({"events", "errors", "route"}), WAITING),
    "learning": Room(5, frozenset({"errors"}), WAITING),
    "limits": Room(5, frozenset({"events", "errors", "route"}), WAITING),
    "session": Room(5, VALUES | {"journal"}, WAITING),
    # A listener gives birth to sessions; everything else that it needs is injected.
    "net": Room(6, DIALOGUES | {"events", "route", "errors", "session", "journal", "names"}, ANY),
    **dict.fromkeys(("manage", "workers"), Room(7, VALUES | {"journal"}, ANY)),
    "systemd": Room(7, frozenset(), ANY),
    **dict.fromkeys(
        (
            "tap",
            "cli",
            "configured",
            "service",
            "composition",
            "destination_composition",
            "listener_composition",
            "table_composition",
            "mapping_composition",
            "learning_composition",
            "observers",
            "privileges",
            "announced",
            "collector",
            "signals",
            "steady",
            "demo",
        ),
        _TOP,
    ),
    # They compose as ``tap`` does: the supervisor, and the process that each worker is.
    **dict.fromkeys(("supervision", "worker"), _TOP),
    # Imported by floor 8 alone: no other room lists it.
    "config": Room(0, frozenset({"errors", "patterns"})),
}

# Tables that wait for something outside the process, and what they wait with.
TWISTED_TABLES = frozenset(
    f"tables.{name}"
    for name in (
        "aside",
        "blocking",
        "cached",
        "colon_file",
        "crew",
        "deadline",
        "file",
        "mysql",
        "named",
        "postfix.notices",
        "postgres",
        "postgres_pool",
        "redis",
        "redis_pool",
        "redis_protocol",
        "resolving",
        "slots",
        "sql_query",
        "sql_table",
        "sqlite",
        "sqlite_changes",
    )
)

HERE = Path(__file__).parent


class HouseTests(SynchronousTestCase):
    """The package as it is obeys every rule."""

    def setUp(self) -> None:
        self.modules = architecture.read_modules(HERE.parent / "mailroute")
        self.names = [
            ".".join(["mailroute", *path.with_suffix("").parts])
            for path in (
                found.relative_to(HERE.parent / "mailroute")
                for found in sorted((HERE.parent / "mailroute").rglob("*.py"))
            )
            if path.name != "__init__.py"
        ]

    def obeys(self, complaints: list[str]) -> None:
        """Fail with all complaints at once."""
        self.assertEqual(complaints, [], "\n" + "\n".join(complaints))

    def test_modules_are_found(self) -> None:
        """Without modules every other test of this class would pass."""
        self.assertIn("mailroute.errors", self.names)
        self.assertGreater(len(self.modules), len(self.names) / 2)

    def test_arrows(self) -> None:
        """Imports go down only."""
        self.obeys(architecture.wrong_arrows(self.modules, ROOMS))

    def test_table_of_rooms(self) -> None:
        """The table itself has no arrow that goes up."""
        for name, room in ROOMS.items():
            for target in room.may_import - ANY:
                self.assertLessEqual(ROOMS[target.partition(".")[0]].floor, room.floor, name)

    def test_protocols(self) -> None:
        """Protocols never import each other."""
        self.obeys(architecture.mixed_protocols(self.modules, PROTOCOLS))

    def test_twisted(self) -> None:
        """Twisted belongs to the upper floors."""
        self.obeys(architecture.misplaced_twisted(self.modules, ROOMS, TWISTED_TABLES))

    def test_cycles(self) -> None:
        """No import cycle."""
        self.obeys(architecture.cycles(self.modules))

    def test_module_length(self) -> None:
        """At most 350 lines a module."""
        self.obeys(architecture.long_modules(self.modules))

    def test_function_length(self) -> None:
        """At most 30 lines a function."""
        self.obeys(architecture.long_functions(self.modules))

    def test_arguments(self) -> None:
        """At most 5 arguments a function."""
        self.obeys(architecture.many_arguments(self.modules))

    def test_module_names(self) -> None:
        """No module called common, utils, helpers, base or misc, in the tests neither."""
        tests = [str(path.with_suffix("")).replace("/", ".") for path in HERE.rglob("*.py")]
        self.obeys(architecture.nameless_modules([*self.names, *tests]))

    def test_every_module_has_its_tests(self) -> None:
        """mailroute/x/y.py is tested by tests/x/test_y.py."""
        files = frozenset(str(path.relative_to(HERE)) for path in HERE.rglob("test_*.py"))
        self.obeys(architecture.untested_modules(self.names, files))

    def test_dispatch(self) -> None:
        """One visible command table; no attribute's name is built."""
        self.obeys(architecture.dispatch_by_name(self.modules))


class RuleTests(SynchronousTestCase):
    """Each rule finds its small bad example, and only that."""

    ROOMS: ClassVar = {
        "errors": Room(0),
        "contract": Room(1, frozenset({"errors", "tables.contract"})),
        "tables": Room(1, frozenset({"errors"}), frozenset({"twisted.logger"})),
        "net": Room(2, frozenset({"errors", "tables"}), ANY),
        "imap": Room(2, frozenset({"errors"})),
        "pop3": Room(2, frozenset({"errors", "imap"})),
    }

    def one(self, complaints: list[str], *parts: str) -> None:
        """There is exactly one complaint, with these parts in it."""
        self.assertEqual(len(complaints), 1, complaints)
        for part in parts:
            self.assertIn(part, complaints[0])

    def arrows(self, *modules: Module) -> list[str]:
        """The wrong arrows among some modules, and a room that is there to be imported."""
        there = [Module(f"mailroute.{room}", "") for room in self.ROOMS]
        return architecture.wrong_arrows([*there, *modules], self.ROOMS)

    def test_arrow_up(self) -> None:
        """An import of an upper floor is named with its line, at any depth of the module."""
        module = Module("mailroute.tables.x", "def f():\n    import mailroute.net.peer\n")
        self.one(self.arrows(module), "mailroute.tables.x:2", "mailroute.net.peer", "down only")

    def test_arrow_of_every_form(self) -> None:
        """All the ways to write an import are seen."""
        for text in (
            "import mailroute.net",
            "from mailroute import net",
            "from mailroute.net import peer",
            "from .. import net",
            "from ..net import peer",
        ):
            self.one(self.arrows(Module("mailroute.tables.x", text)), "mailroute.net")

    def test_arrow_to_one_module(self) -> None:
        """A room may be opened for one of its modules alone."""
        good = Module("mailroute.contract.x", "from mailroute.tables.contract import Row")
        bad = Module("mailroute.contract.y", "from mailroute.tables.sqlite import Row")
        self.assertEqual(self.arrows(good), [])
        self.one(self.arrows(bad), "mailroute.tables.sqlite")

    def test_arrow_down(self) -> None:
        """The room itself, lower rooms, the package's version and other packages are allowed."""
        text = "import os\nfrom mailroute import __version__, errors\nfrom .y import z\n"
        self.assertEqual(self.arrows(Module("mailroute.tables.x", text)), [])

    def test_room_without_floor(self) -> None:
        """A new room needs a floor."""
        self.one(self.arrows(Module("mailroute.attic.x", "")), "no floor", "attic")

    def test_mixed_protocols(self) -> None:
        """Protocols are kept apart even where the table would have an arrow."""
        modules = [
            Module("mailroute.pop3.x", "from mailroute.imap import y\nimport imap\nimport errors"),
            Module("mailroute.imap.y", "from mailroute.imap import y2"),
        ]
        found = architecture.mixed_protocols(modules, frozenset({"imap", "pop3"}))
        self.one(found, "mailroute.pop3.x:1", "never import each other")

    def test_twisted(self) -> None:
        """Only the listed modules of Twisted; ANY and exceptions go free."""
        modules = [
            Module("mailroute.tables.x", "from twisted.logger import Logger\n"),
            Module("mailroute.tables.free", "from twisted.internet import reactor\n"),
            Module("mailroute.net.x", "from twisted.internet import reactor\n"),
            Module("mailroute.errors", "from twisted.logger import Logger\n"),
        ]
        found = architecture.misplaced_twisted(modules, self.ROOMS, frozenset({"tables.free"}))
        self.one(found, "mailroute.errors:1", "twisted.logger", "upper floors")

    def test_twisted_submodule(self) -> None:
        """``from twisted.internet import reactor`` is no import of ``twisted.internet.defer``."""
        rooms = {"session": Room(5, twisted=frozenset({"twisted.internet.defer"}))}
        for text in ("from twisted.internet import reactor", "import twisted.internet.task"):
            module = Module("mailroute.session", text)
            self.one(architecture.misplaced_twisted([module], rooms, frozenset()), "session:1")
        for text in (
            "from twisted.internet.defer import Deferred",
            "from twisted.internet import defer",
        ):
            module = Module("mailroute.session", text)
            self.assertEqual(architecture.misplaced_twisted([module], rooms, frozenset()), [])

    def test_cycle(self) -> None:
        """A way round is told whole."""
        modules = [
            Module("mailroute.a", "import mailroute.b"),
            Module("mailroute.b", "from mailroute import c"),
            Module("mailroute.c", "from mailroute.a import x"),
            Module("mailroute.d", "import mailroute.a"),
        ]
        self.one(
            architecture.cycles(modules),
            "mailroute.a -> mailroute.b -> mailroute.c -> mailroute.a",
            "no import cycle",
        )

    def test_long_module(self) -> None:
        """350 lines are allowed, 351 are not."""
        self.assertEqual(architecture.long_modules([Module("mailroute.a", "x = 1\n" * 350)]), [])
        found = architecture.long_modules([Module("mailroute.a", "x = 1\n" * 351)])
        self.one(found, "351 lines", "at most 350")

    def test_long_function(self) -> None:
        """30 lines of code are allowed, 31 are not; docstring, comments and blanks are free."""
        head = 'async def f():\n    """One\n\n    two."""\n\n    # three\n'
        good = Module("mailroute.a", head + "    x = 1\n" * 29)
        bad = Module("mailroute.a", head + "    x = 1\n" * 30)
        self.assertEqual(architecture.long_functions([good]), [])
        self.one(architecture.long_functions([bad]), "mailroute.a:1 f: 31", "at most 30")

    def test_many_arguments(self) -> None:
        """5 arguments beside self are allowed, keyword-only ones count."""
        good = Module("mailroute.a", "class A:\n def f(self, a, b, c, d, *, e): ...\n")
        bad = Module("mailroute.a", "def f(a, b, c, /, d, *, e, g): ...\n")
        self.assertEqual(architecture.many_arguments([good]), [])
        self.one(architecture.many_arguments([bad]), "6 arguments", "at most 5")

    def test_nameless_module(self) -> None:
        """Every part of a module's name has to say something."""
        found = architecture.nameless_modules(["mailroute.utils", "mailroute.imap.server"])
        self.one(found, "mailroute.utils", "its own noun")

    def test_untested_module(self) -> None:
        """The test file is looked for in the same place under tests."""
        names = ["mailroute.imap.server", "mailroute.route", "mailroute.demo.__main__"]
        files = frozenset({"test_route.py", "demo/test_main.py", "test_server.py"})
        found = architecture.untested_modules(names, files)
        self.one(found, "tests/imap/test_server.py", "tests/x/test_y.py")

    def test_dispatch(self) -> None:
        """A built attribute name is seen, as a sum and as an f-string; a plain one is allowed."""
        for argument in ('"do_" + verb', 'f"do_{verb}"'):
            module = Module("mailroute.a", f"getattr(self, {argument}, None)")
            self.one(architecture.dispatch_by_name([module]), "mailroute.a:1", "command table")
        self.assertEqual(
            architecture.dispatch_by_name([Module("mailroute.a", 'getattr(x, "y", z)')]), []
        )
