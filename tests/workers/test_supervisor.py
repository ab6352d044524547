"""The supervisor: one generation after the other, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import ConfigurationError
from mailroute.workers.places import Places
from mailroute.workers.plan import Place, Plan
from mailroute.workers.seat import Worker
from mailroute.workers.supervisor import (
    HANDOVER_SECONDS,
    KILL_SECONDS,
    RENEWAL_SECONDS,
    START_SECONDS,
    Edition,
    Means,
    Supervisor,
)
from tests.workers.staff import FakeWorker, StaffCase
from tests.workers.test_places import FakeSocket

IMAP, POP3 = Place("tcp", "192.0.2.1", 143), Place("tcp", "192.0.2.1", 110)
PLAN = Plan(2, (IMAP,), ("imap",), 30.0, "first")


class SupervisorCase(StaffCase):
    """A supervisor with two workers that serve."""

    def setUp(self) -> None:
        super().setUp()
        self.sockets: list[FakeSocket] = []
        self.places = Places(self.bind, lambda bound: None)  # type: ignore[arg-type]
        self.refused: set[Place] = set()
        self.plan = PLAN
        self.complaints: list[str] = []
        self.checked: list[str] = []
        self.checking: Deferred[None] | None = None
        self.launched: list[tuple[str, int]] = []
        self.log_descriptor: int | None = 9
        self.waiting: list[Callable[[], None]] = []
        means = Means(
            clock=self.clock,
            places=self.places,
            read=self.read,
            check=self.check,
            launch=self.launch,
            reopen_log=self.reopen,
            when_running=self.waiting.append,
        )
        self.supervisor = Supervisor(Edition("one", PLAN), means)
        self.announced: list[str] = []
        self.supervisor.announce = self.announced.append
        self.supervisor.startService()
        # Bound already, but nobody is started before the reactor heeds signals.
        self.assertEqual((self.open_places(), self.staff), ({IMAP}, []))
        self.waiting.pop()()
        self.first = self.ready()

    def bind(self, place: Place, is_shared: bool) -> FakeSocket:
        if place in self.refused:
            raise OSError(98, "Address already in use")
        self.sockets.append(FakeSocket(place, is_shared))
        return self.sockets[-1]

    def read(self) -> str:
        return "two"

    async def check(self, text: str) -> Plan:
        self.checked.append(text)
        if self.checking is not None:
            await self.checking
        if self.complaints:
            raise ConfigurationError(self.complaints)
        return self.plan

    def launch(self, edition: Edition, index: int) -> Worker:
        self.launched.append((edition.text, index))
        return self.hire()

    def reopen(self) -> int | None:
        if self.log_descriptor == 0:
            raise OSError(13, "Permission denied")
        return self.log_descriptor

    def ready(self) -> list[FakeWorker]:
        """Those who were started since get ready."""
        waiting = [worker for worker in self.staff if not worker.ready.called]
        for worker in waiting:
            worker.get_ready()
        return waiting

    def change(self, **of_plan: Any) -> None:
        """A new configuration, and SIGHUP."""
        self.plan = replace(PLAN, **{"fingerprint": "second", **of_plan})
        self.supervisor.reload()

    def told(self, workers: list[FakeWorker]) -> list[list[str]]:
        """What they were told, without the log's affairs."""
        return [[w for w in each.told if not w.startswith("reopen")] for each in workers]

    def open_places(self) -> set[Place]:
        return {each.place for each in self.sockets if each.is_open}


class ChangeTests(SupervisorCase):
    """A reload and an upgrade."""

    def test_first(self) -> None:
        """Each worker serves as soon as it is ready; nobody waits for its neighbour."""
        self.assertEqual(self.told(self.first), [["serve"], ["serve"]])
        self.assertEqual(self.launched, [("one", 0), ("one", 1)])

    def test_order(self) -> None:
        """The old ones stop when all of the new ones are ready, and then the new ones begin."""
        self.change()
        first, second = self.staff[2:]
        first.get_ready()
        self.assertEqual(self.told(self.staff), [["serve"], ["serve"], [], []])
        for worker in self.first:
            worker.lets_go = False
        second.get_ready()
        self.assertEqual(self.told(self.staff), [["serve", "retire"]] * 2 + [[], []])
        for worker in self.first:
            worker.letting_go.callback(None)
        self.assertEqual(self.told([first, second]), [["serve"], ["serve"]])
        self.assertEqual(self.launched[2:], [("two", 0), ("two", 1)])
        # The old ones end when they like.
        for worker in self.first:
            worker.end()
        self.assertEqual(self.said("error"), [])

    def test_hangs_on(self) -> None:
        """Workers that do not let go hold their successors up for a moment only."""
        for worker in self.first:
            worker.lets_go = False
        self.change()
        new = self.ready()
        self.clock.advance(HANDOVER_SECONDS)
        self.assertEqual(self.told(new), [["serve"], ["serve"]])

    def test_nothing_new(self) -> None:
        """The same configuration: the same workers read the mapping anew, and say so."""
        self.supervisor.reload()
        self.assertEqual(self.told(self.staff), [["serve", "renew"]] * 2)
        self.assertEqual(self.said("info")[-1], "reloaded: cache dropped")

    def test_not_everything(self) -> None:
        """Where one worker could not read what its neighbour could, both are told."""
        self.first[1].renewal = "the old mapping stays"
        self.supervisor.reload()
        expected = ["cache dropped", "the old mapping stays"]
        expected = [f"reloaded: {words} (1 of 2 workers)" for words in expected]
        self.assertEqual(self.said("info")[-2:], expected)

    def test_no_answer(self) -> None:
        """A worker that hangs is named, and does not hold up the next change for ever."""
        hanging: Deferred[str] = Deferred()
        # As the link does it.
        answer = hanging.addErrback(lambda _: "")
        self.patch(self.first[1], "renew", lambda: answer)
        self.supervisor.reload()
        self.assertEqual(self.said("warn"), [])
        self.clock.advance(RENEWAL_SECONDS)
        (warning,) = self.said("warn")
        self.assertIn(f"worker 2/2 (pid {self.first[1].pid}) does not answer", warning)
        self.assertIn("reloaded: no answer (1 of 2 workers)", self.said("info"))
        self.change()
        self.assertEqual(len(self.ready()), 2)

    def test_upgrade(self) -> None:
        """New code: new workers, whatever the configuration."""
        self.supervisor.upgrade()
        self.assertEqual(len(self.ready()), 2)
        self.assertEqual(self.told(self.first), [["serve", "retire"]] * 2)

    def test_complaints(self) -> None:
        """Each is an error; the old generation goes on."""
        self.complaints = ["this", "that"]
        self.change()
        expected = [f"reload: {text}; the old content stays" for text in self.complaints]
        expected.append("not reloaded: the old configuration is served on")
        self.assertEqual(self.said("error"), expected)
        self.assertEqual(self.told(self.staff), [["serve"]] * 2)
        self.complaints = []
        self.supervisor.reload()
        self.assertEqual(len(self.staff), 4)

    def test_cannot_start(self) -> None:
        """New workers that do not get ready: all of them are given up, and their sockets."""
        self.change(places=(IMAP, POP3), listeners=("imap", "pop3"), workers=3)
        good = self.staff[2]
        good.get_ready()
        for _ in range(3):
            for worker in self.staff[3:]:
                if not worker.ended.called:
                    worker.end("exit status 1")
            self.clock.advance(5)
        self.assertIn("the new workers cannot start", self.said("error")[-2])
        self.assertEqual(self.told([good]), [["stop"]])
        self.assertEqual(self.told(self.first), [["serve"]] * 2)
        self.assertEqual(len([s for s in self.sockets if s.is_open]), 2)
        # One that dies later has its successor of the old configuration.
        self.first[0].end("signal SIGKILL")
        self.clock.advance(0)
        self.assertEqual(self.launched[-1], ("one", 0))

    def test_hangs(self) -> None:
        """A new worker that never gets ready does not hold up changes for ever."""
        self.change(fingerprint="hangs")
        good, hanging = self.staff[2:]
        good.get_ready()
        self.supervisor.upgrade()
        self.clock.advance(START_SECONDS)
        self.assertIn("not ready after 300 s", self.said("error")[0])
        self.assertEqual(self.told([good, hanging]), [["stop"], ["kill"]])
        self.assertEqual(self.told(self.first), [["serve"]] * 2)
        # What was asked for meanwhile is done now; late words change nothing.
        self.assertEqual(len(self.staff), 6)
        hanging.end("signal SIGKILL")
        self.assertEqual(self.told(self.ready()[1:]), [["serve"]] * 2)
        self.assertEqual(self.told(self.first), [["serve", "retire"]] * 2)

    def test_places(self) -> None:
        """A new place is bound before, a removed one is closed after the change."""
        self.change(places=(POP3,), listeners=("pop3",))
        self.assertEqual(self.open_places(), {IMAP, POP3})
        self.ready()
        self.assertEqual(self.open_places(), {POP3})

    def test_taken(self) -> None:
        """A place that cannot be had: nothing changes."""
        self.refused.add(POP3)
        self.change(places=(IMAP, POP3), listeners=("imap", "pop3"))
        self.assertIn("cannot listen at 192.0.2.1:110", self.said("error")[0])
        self.assertEqual((len(self.staff), self.open_places()), (2, {IMAP}))

    def test_number(self) -> None:
        """As many workers as the new plan wants; all of the old ones leave."""
        self.change(workers=1)
        self.assertEqual(self.told(self.ready()), [["serve"]])
        self.assertEqual(self.told(self.first), [["serve", "retire"]] * 2)

    def test_crash_meanwhile(self) -> None:
        """A worker that dies while its successors start is replaced by one of its own kind."""
        self.change()
        self.first[1].end("signal SIGKILL")
        self.clock.advance(0)
        self.assertEqual(self.launched[-1], ("one", 1))

    def test_crash(self) -> None:
        """The neighbour has the slot's own sockets until the successor is ready."""
        unix = Place("unix", "/nowhere")
        self.change(places=(IMAP, unix), listeners=("imap", "local"))
        first, second = self.ready()
        second.end("signal SIGKILL")
        self.assertEqual(self.told([first]), [["serve", "cover 1 imap"]])
        self.clock.advance(0)
        self.ready()
        self.assertEqual(first.told[-1], "give back 1")

    def test_wishes(self) -> None:
        """Signals during a change are one more change, not several at once."""
        self.checking = Deferred()
        self.supervisor.reload()
        for _ in range(5):
            self.supervisor.reload()
        self.supervisor.upgrade()
        self.assertEqual(len(self.checked), 1)
        waiting, self.checking = self.checking, None
        waiting.callback(None)
        self.assertEqual(len(self.checked), 2)
        # One of them wanted new code.
        self.assertEqual(len(self.ready()), 2)

    def test_defect(self) -> None:
        """A change that fails in an unforeseen way does not keep the next from happening."""
        self.checking = Deferred()
        self.change()
        self.checking.errback(RuntimeError("a defect"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.checking = None
        self.change()
        self.assertEqual(len(self.ready()), 2)


class AnnounceTests(SupervisorCase):
    """What the service manager is told of the node."""

    def test_ready(self) -> None:
        """Once, when everybody has got ready."""
        self.assertEqual(self.announced, ["ready"])

    def test_one_is_enough(self) -> None:
        """Where some cannot start, those who can serve; where nobody can, the node is not ready."""
        for count in (0, 1):
            supervisor = Supervisor(Edition("one", PLAN), self.supervisor._means)
            announced: list[str] = []
            supervisor.announce = announced.append
            before = len(self.staff)
            supervisor.startService()
            self.waiting.pop()()
            for worker in self.staff[before : before + count]:
                worker.get_ready()
            for _ in range(3):
                for worker in self.staff[before + count :]:
                    if not worker.ended.called:
                        worker.end("exit status 1")
                self.clock.advance(5)
            self.assertEqual(announced, ["ready"] * count)

    def test_reload(self) -> None:
        """Reloading until all wishes are fulfilled, whatever comes of it."""
        self.announced.clear()
        self.change()
        self.assertEqual(self.announced, ["reloading"])
        self.ready()
        self.assertEqual(self.announced, ["reloading", "ready"])
        self.complaints = ["this"]
        self.change()
        self.assertEqual(self.announced, ["reloading", "ready"] * 2)

    def test_stop(self) -> None:
        """Stopping is the last word, during a change as well."""
        self.announced.clear()
        self.checking = Deferred()
        self.change()
        self.supervisor.stopService()
        self.checking.callback(None)
        self.assertEqual(self.announced, ["reloading", "stopping"])


class LogTests(SupervisorCase):
    """SIGUSR1."""

    def test_reopened(self) -> None:
        """Everybody gets the new file, those who leave as well."""
        self.change()
        self.ready()
        for worker in self.staff:
            worker.told.clear()
        self.supervisor.rotate_log()
        self.assertEqual([worker.told for worker in self.staff], [["reopen 9"]] * 4)

    def test_not_ours(self) -> None:
        """Standard output and syslog stay."""
        self.log_descriptor = None
        self.supervisor.rotate_log()
        self.assertEqual(self.staff[0].told, ["serve"])

    def test_refused(self) -> None:
        """It is told where there can be no new file."""
        self.log_descriptor = 0
        self.supervisor.rotate_log()
        self.assertIn("the log cannot be reopened", self.said("error")[0])


class StopTests(SupervisorCase):
    """SIGTERM."""

    def test_all(self) -> None:
        """Every generation is told, nobody follows, and it is over with the last of them."""
        self.change()
        self.ready()
        stopping = self.supervisor.stopService()
        self.assertEqual([worker.told[-1] for worker in self.staff], ["stop"] * 4)
        self.assertEqual(self.open_places(), set())
        for worker in self.staff:
            self.assertNoResult(stopping)
            worker.end()
        self.successResultOf(stopping)
        self.clock.advance(60)
        self.assertEqual(len(self.staff), 4)

    def test_hanging(self) -> None:
        """Who goes on beyond the grace is killed."""
        stopping = self.supervisor.stopService()
        self.first[0].end()
        self.clock.advance(PLAN.grace_seconds + KILL_SECONDS - 0.1)
        self.assertNotIn("kill", self.first[1].told)
        self.clock.advance(0.1)
        self.assertEqual(self.first[1].told[-1], "kill")
        self.first[1].end("signal SIGKILL")
        self.successResultOf(stopping)

    def test_during_a_change(self) -> None:
        """Workers that are just starting end as well, and the change is over."""
        self.change()
        stopping = self.supervisor.stopService()
        self.assertEqual([worker.told[-1] for worker in self.staff], ["stop"] * 2 + ["kill"] * 2)
        for worker in self.staff:
            worker.end()
        self.successResultOf(stopping)
        self.supervisor.reload()
        self.assertEqual(self.checked, ["two"])

    def test_during_a_check(self) -> None:
        """What is found out afterwards changes nothing."""
        self.checking = Deferred()
        self.change()
        self.supervisor.stopService()
        self.checking.callback(None)
        self.assertEqual(len(self.staff), 2)

    def test_stopped_early(self) -> None:
        """Stopped before the reactor ran: nobody is started at all."""
        self.supervisor.stopService()
        count = len(self.staff)
        self.supervisor.startService()
        self.supervisor.stopService()
        self.waiting.pop()()
        self.assertEqual(len(self.staff), count)
