"""From the configuration's words to the constructors' types."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from mailroute import composition
from mailroute.config.model import Configuration
from mailroute.credentials import Credentials, Identity
from mailroute.errors import ConfigurationError, Failure, FailureKind
from mailroute.events import Login
from mailroute.net.connector import Limits
from mailroute.net.splice import Splicer
from mailroute.route import (
    Announcement,
    Backend,
    Forwarding,
    Introduction,
    Origin,
    Route,
    TLSMode,
    Trust,
)
from mailroute.sasl import plain
from mailroute.tables.file import FileTable
from mailroute.tables.sqlite import SqliteTable
from tests.config.reading import SECTIONS, ConfigurationCase
from tests.support.dialogues import written
from tests.support.pairs import oauthbearer, password

ORIGIN = Origin("x", "imap", "203.0.113.9", 1, "192.0.2.10", 993)
FILE = '[mapping]\nsource = "file"\nnormalize = "lowercase"\n[mapping.file]\npath = "routes"\n'
PIN = "ab" * 32


class CompositionCase(ConfigurationCase):
    """Configurations, and what is made of them."""

    def configured(self, **sections: str) -> Configuration:
        self.write("routes", "alice east\nALICE east\n")
        return self.read_sections(**{"mapping": FILE, **sections})

    def router(self, **sections: str) -> Any:
        configuration = self.configured(**sections)
        clock = Clock()
        source = composition.make_source(configuration, clock)
        cache = composition.make_cache(configuration, source, clock)
        return composition.make_router(configuration, cache, clock)

    def route(self, name: str, **sections: str) -> Route:
        """The route of an account."""
        coroutine = self.router(**sections).route(Identity(name), ORIGIN)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        raise AssertionError("the file's answer is there at once")


class TableTests(CompositionCase):
    """The mapping."""

    def test_file(self) -> None:
        """A mapping file, validated against the destinations."""
        self.assertIsInstance(composition.make_source(self.configured(), Clock()), FileTable)
        self.write("routes", "alice nowhere\n")
        configuration = self.read_sections(mapping=FILE)
        error = self.assertRaises(
            ConfigurationError, composition.make_source, configuration, Clock()
        )
        self.assertIn("nowhere", error.complaints[0])

    def test_sql(self) -> None:
        """An SQL table, with query, keys and time-out of the configuration.

        The router waits a little longer: so it is the table that says what it waited for.
        """
        mapping = (
            '[mapping]\nsource = "sql"\nlookup_timeout = "3s"\n[mapping.sql]\n'
            'url = "sqlite:routes.db"\nquery = "SELECT d FROM r WHERE i = :key AND p = :protocol"\n'
            'keys = ["{user}", "{domain}"]\n'
        )
        source = composition.make_source(self.read_sections(mapping=mapping), Clock())
        assert isinstance(source, SqliteTable)
        self.assertEqual(source._lookup_seconds, 2.9)
        self.assertEqual(source.varies_on, {"protocol"})
        self.assertEqual(source.statement.names, ("key", "protocol"))

    def test_named_table(self) -> None:
        """A table by its name is tried as whole as a database is."""
        text = '[table.lines]\ntype = "file"\nfile = "lines"\n'
        mapping = '[mapping]\nsource = "table"\n[mapping.table]\nname = "lines"\n'
        configuration = self.configured(mapping=mapping, capabilities=text)
        source = composition.make_source(configuration, MemoryReactorClock())
        (warning,) = source.check()
        self.assertIn("cannot be read", warning)
        self.write("lines", ": east\n")
        self.assertRaises(ConfigurationError, source.check)
        self.write("lines", "alice: east\n")
        self.assertEqual(source.check(), [])

    def test_share(self) -> None:
        """A worker's part of the pool; everybody has one connection at least."""
        sizes = {}
        for workers in (1, 3, 16, 100, None):
            share = composition.share_of(self.read_sections(), workers)
            assert share.mapping.sql is not None
            sizes[workers] = share.mapping.sql.pool_size
        self.assertEqual(sizes, {1: 16, 3: 5, 16: 1, 100: 1, None: 1})
        configuration = self.configured()
        self.assertIs(composition.share_of(configuration, 2), configuration)

    def test_cache(self) -> None:
        """The cache keeps as long and as much as configured."""
        ttl = 'positive_ttl = "1m"\nnegative_ttl = "2s"\nstale_ttl = "3h"\ncache_max_entries = 4\n'
        configuration = self.configured(
            mapping=FILE.replace("[mapping.file]", ttl + "[mapping.file]")
        )
        source = composition.make_source(configuration, Clock())
        policy = composition.make_cache(configuration, source, Clock())._policy
        self.assertEqual(
            (policy.positive_ttl, policy.negative_ttl, policy.stale_ttl, policy.max_entries),
            (60.0, 2.0, 10800.0, 4),
        )


class RouteTests(CompositionCase):
    """The router."""

    DESTINATION = (
        '[destination.east]\nhosts = ["a.example", "b.example"]\ntls_server_name = "n.example"\n'
        "hide_auth_errors = true\nallow_plaintext_auth = true\n"
        f'tls_pinned_cert_sha256 = "{PIN}"\n'
        '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
        '[destination.east.protocol.pop3]\nport = 110\ntls = "starttls"\n'
    )

    def test_destination(self) -> None:
        """Every word of a destination arrives in the route."""
        self.assertEqual(
            self.route("Alice", destination=self.DESTINATION),
            Route(
                account="alice",
                destination="east",
                backend=Backend(
                    hosts=("a.example", "b.example"),
                    port=993,
                    tls=TLSMode.IMPLICIT,
                    trust=Trust(server_name="n.example", pinned_sha256=bytes.fromhex(PIN)),
                    allow_plaintext_auth=True,
                ),
                hide_auth_errors=True,
            ),
        )

    def test_forwarding(self) -> None:
        """How the client's address is told, of each protocol's endpoint; version 2 unless said."""
        text = SECTIONS["destination"] + 'forwarding = "xclient"\n'
        backend = self.route("alice", destination=text).backend
        self.assertEqual((backend.forwarding, backend.proxy_version), (Forwarding.XCLIENT, 2))
        for word, version in (("true", 2), ('"v1"', 1)):
            host = 'host = "east.example.org"\n'
            text = SECTIONS["destination"].replace(host, f"{host}proxy_protocol = {word}\n")
            backend = self.route("alice", destination=text).backend
            self.assertEqual(
                (backend.forwarding, backend.proxy_version), (Forwarding.PROXY, version)
            )

    def test_policy(self) -> None:
        """The rules of ``[routing]`` hold."""
        error = self.assertRaises(Failure, self.route, "bob")
        self.assertIs(error.kind, FailureKind.ACCOUNT_UNKNOWN)
        for word, kind in (
            ("reject", FailureKind.ACCOUNT_UNKNOWN),
            ("tempfail", FailureKind.ACCOUNT_TEMPFAIL),
        ):
            routing = f'[routing]\nnot_found = "{word}"\n'
            error = self.assertRaises(Failure, self.route, "bob", routing=routing)
            self.assertIs(error.kind, kind)
        routing = '[routing]\ndefault_destination = "east"\n'
        self.assertEqual(self.route("bob", routing=routing).destination, "east")

    def test_separators(self) -> None:
        """A master login is looked up by its owner."""
        routing = '[routing]\nmaster_user_separators = ["*"]\n'
        self.assertEqual(self.route("alice*admin", routing=routing).account, "alice")


class TLSTests(CompositionCase):
    """Certificates and trust."""

    def test_no_certificates(self) -> None:
        """Without certificates there is no TLS towards clients."""
        listener = (
            '[listener.imap]\nprotocol = "imap"\nbind = ["127.0.0.1:143"]\ntls = "plain"\n'
            "[capabilities.imap]\nallow_plain_auth_without_tls = true\n"
        )
        configuration = self.configured(listener=listener, tls="")
        self.assertIsNone(composition.make_server_tls(configuration))

    def test_unusable_certificate(self) -> None:
        """A complaint that names the file."""
        error = self.assertRaises(
            ConfigurationError, composition.make_server_tls, self.configured()
        )
        self.assertIn("tls.certificate: ", error.complaints[0])
        self.assertIn("chain.pem: holds no PEM certificate", error.complaints[0])


class DialogueTests(CompositionCase):
    """The dialogues of both sides."""

    def client_says(self, login: Login, backend: Backend, name: str | None = None) -> bytes:
        """What is said to a backend that offers everything, before and after STARTTLS."""
        make = composition.client_dialogue_maker("proxy.example.org")
        dialogue = make(Route("alice", "east", backend, name), login, ORIGIN)
        dialogue.start()
        return written(
            dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN STARTTLS] x\r\n")
        )

    def test_modes(self) -> None:
        """STARTTLS comes first; without TLS nothing leaves, unless it is allowed."""
        login = password("alice", b"secret")
        said = {
            (mode, leave): self.client_says(login, Backend(("h",), 1, mode, Trust(), leave))
            for mode in TLSMode
            for leave in (False, True)
        }
        self.assertEqual(said[TLSMode.STARTTLS, True], b"mr1 STARTTLS\r\n")
        self.assertEqual(said[TLSMode.STARTTLS, False], b"mr1 STARTTLS\r\n")
        self.assertEqual(said[TLSMode.PLAIN, False], b"")
        for key in ((TLSMode.PLAIN, True), (TLSMode.IMPLICIT, False), (TLSMode.IMPLICIT, True)):
            self.assertIn(b"AUTHENTICATE PLAIN ", said[key], key)

    def test_mechanism(self) -> None:
        """The route's mechanism is the only one, where there is one."""
        backend = Backend(("h",), 1, TLSMode.IMPLICIT)
        login = password("alice", b"secret")
        self.assertIn(b"AUTHENTICATE PLAIN ", self.client_says(login, backend))
        other = replace(backend, mechanism="LOGIN")
        self.assertEqual(self.client_says(login, other), b"")

    def announced(self, forwarding: Forwarding, hops: int | None = None) -> Announcement | None:
        """What the backend is to be told of a client that allows so many proxies behind it."""
        backend = Backend(("h",), 1, TLSMode.IMPLICIT, forwarding=forwarding)
        make = composition.client_dialogue_maker("proxy.example.org", 4)
        origin = replace(ORIGIN, introduction=Introduction(hops_left=hops))
        return make(Route("a", "east", backend), password("a", b"s"), origin).announcement

    def test_announcement(self) -> None:
        """Only where it is wanted; each proxy counts down from the least that is allowed."""
        self.assertIsNone(self.announced(Forwarding.NONE))
        self.assertIsNone(self.announced(Forwarding.PROXY))
        for hops, left in ((None, 4), (200, 4), (5, 4), (4, 3), (2, 1)):
            told = self.announced(Forwarding.XCLIENT, hops)
            assert told is not None
            self.assertEqual(told.hops_left, left)
            self.assertEqual(told.origin.session_id, "x")

    def test_loop(self) -> None:
        """Where no proxy is allowed behind the client, nobody is asked."""
        for hops in (1, 0):
            for forwarding in (Forwarding.XCLIENT, Forwarding.PROXY):
                error = self.assertRaises(Failure, self.announced, forwarding, hops)
                self.assertIs(error.kind, FailureKind.DESTINATION_UNKNOWN)
                self.assertIn("loop", error.reason)

    def renamed(self, login: Login, name: str) -> Credentials:
        """The credentials that are said at the backend."""
        backend = Backend(("h",), 1, TLSMode.IMPLICIT)
        said = self.client_says(login, backend, name).split()[-1]
        return plain.decode(b64decode(said))

    def test_renamed(self) -> None:
        """The row's name replaces the client's; the password stays."""
        self.assertEqual(
            self.renamed(password("alice", b"secret"), "alice@store"),
            Credentials(Identity("alice@store"), b"secret"),
        )

    def test_renamed_master(self) -> None:
        """A master login keeps its own name, and acts for the renamed account."""
        self.assertEqual(
            self.renamed(password("admin", b"secret", "alice"), "alice@store"),
            Credentials(Identity("admin", "alice@store"), b"secret"),
        )

    def test_not_renamed(self) -> None:
        """The name inside a token cannot be replaced: no try is made."""
        error = self.assertRaises(Failure, self.renamed, oauthbearer("alice"), "alice@store")
        self.assertIs(error.kind, FailureKind.BACKEND_INCAPABLE)
        self.assertIn("OAUTHBEARER", error.reason)

    def test_server(self) -> None:
        """Mechanisms in the configured order, STARTTLS and the number of attempts."""
        configuration = self.configured(
            capabilities='[capabilities.imap]\nsasl = ["xoauth2", "PLAIN"]\nbanner = "Hello"\n'
        )
        (listener,) = configuration.listeners
        make = composition.server_dialogue_maker(configuration, listener)
        greeting = written(make().start())
        self.assertIn(b"STARTTLS LOGINDISABLED]", greeting)
        self.assertTrue(greeting.endswith(b"] Hello\r\n"))
        self.assertIsNot(make(), make())
        implicit = self.configured(
            listener='[listener.imap]\nprotocol = "imap"\nbind = ["[::1]:993"]\ntls = "implicit"\n',
            capabilities='[capabilities.imap]\nsasl = ["xoauth2", "PLAIN"]\n',
        )
        secure = composition.server_dialogue_maker(implicit, implicit.listeners[0])
        self.assertIn(b" AUTH=XOAUTH2 AUTH=PLAIN] ", written(secure().start()))

    def test_empty_lists(self) -> None:
        """An empty list promises nothing: it is not the list that we would choose."""
        text = (
            "[capabilities.imap]\nadvertise = []\n[capabilities.submission]\nehlo = []\n"
            "[capabilities.managesieve]\nsieve = []\n"
        )
        configuration = self.configured(capabilities=text)
        for protocol in ("imap", "submission", "managesieve"):
            self.assertEqual(composition.appearance(configuration, protocol).keywords, ())
        for configured in (configuration, self.configured()):
            self.assertIsNone(composition.appearance(configured, "pop3").keywords)

    def test_looks(self) -> None:
        """Banner, extensions and the software's name as the operator says."""
        configuration = self.configured(
            listener='[listener.s]\nprotocol = "managesieve"\nbind = ["[::1]:4190"]\n'
            'tls = "implicit"\n',
            capabilities='[capabilities.managesieve]\nsieve = ["fileinto", "x"]\n'
            'implementation = "Ours 1"\nbanner = "Hi"\n',
        )
        make = composition.server_dialogue_maker(configuration, configuration.listeners[0])
        greeting = written(make().start())
        self.assertIn(b'"IMPLEMENTATION" "Ours 1"\r\n', greeting)
        self.assertIn(b'"SIEVE" "fileinto x"\r\n', greeting)
        self.assertTrue(greeting.endswith(b'OK "Hi"\r\n'))


class SurroundingTests(CompositionCase):
    """What every session shares."""

    def test_times(self) -> None:
        """Time-outs, retries and the delay of a refusal."""
        server = (
            '[server]\nhostname = "x"\nbackend_timeout = "7s"\nbackend_connect_retries = 4\n'
            'auth_failure_delay = "1500ms"\n'
        )
        configuration = self.configured(server=server)
        clock = Clock()
        connector = composition.make_connector(configuration, cast(Any, None), clock)
        self.assertEqual(connector._limits, Limits(7.0, 4))
        router, splicer = self.router(server=server), Splicer(clock, 1.0)  # type: ignore[arg-type]
        around = composition.make_surroundings(
            configuration, router, connector.connect, splicer, clock
        )
        paused = Deferred.fromCoroutine(cast(Any, around.pause(3.0)))
        clock.advance(2.9)
        self.assertNoResult(paused)
        clock.advance(0.2)
        self.successResultOf(paused)
        self.assertEqual(around.auth_failure_delay_seconds, 1.5)
