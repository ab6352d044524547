"""Pigeonhole where TLS comes before the greeting: it may overlook AUTHENTICATE."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login, Remind
from mailroute.managesieve.client import ManageSieveClient
from mailroute.route import Announcement
from tests.managesieve.test_client import ORIGIN, ManageSieveClientLawsTests, make
from tests.support.conversations import Run, bounded, conversations
from tests.support.dialogues import assert_transcript, written
from tests.support.pairs import password, xoauth2

GREETING = b'"IMPLEMENTATION" "Pigeonhole"\r\n"SASL" "PLAIN"\r\nOK "ready"\r\n'
GREETED = 'S: "IMPLEMENTATION" "Dovecot Pigeonhole"\nS: "SASL" "PLAIN XOAUTH2"\nS: OK "ready"\n'
ASKED = GREETED + 'C: AUTHENTICATE "PLAIN"\n= Remind\n'
RESPONSE = 'C: "AG1yb3NlAHNlY3JldA=="\n'
AT_ONCE = 'C: AUTHENTICATE "PLAIN" "AG1yb3NlAHNlY3JldA=="\nS: OK\n= Accepted\n'


class OverlookedTests(SynchronousTestCase):
    """The first message leaves when it is asked for, or when nobody asks."""

    def check(self, transcript: str, login: Login | None = None) -> None:
        assert_transcript(lambda: make(login), transcript)

    def test_heard(self) -> None:
        """Asked for, it is said; a reminder that comes then says nothing."""
        said = ASKED + 'S: ""\n' + RESPONSE + "> remind\n"
        self.check(said + 'S: OK "in"\n= Accepted in\n> remind\n')
        self.check(said + 'S: NO "no"\n= Rejected credentials-rejected\n> remind\n')
        self.check(said + 'S: ""\n= Rejected backend-misbehaved\n')

    def test_overlooked(self) -> None:
        """It follows unasked, once, and the request for it that comes then is no second one."""
        said = ASKED + "> remind\n" + RESPONSE + "> remind\n"
        for request in ('S: ""\n', "S: {0}\nS: \n"):
            self.check(said + request + 'S: OK "in"\n= Accepted in\n')
            self.check(said + request + 'S: NO "no"\n= Rejected credentials-rejected\n')
            self.check(said + request + 'S: ""\n= Rejected backend-misbehaved\n')
        self.check(said + "> timeout\n= Rejected backend-timed-out\n")

    def test_trailing(self) -> None:
        """What follows the final OK belongs to the client, as ever."""
        for first in ('S: ""\n' + RESPONSE, "> remind\n" + RESPONSE + 'S: ""\n'):
            transcript = ASKED + first + "S: OK\n= Accepted\n"
            assert_transcript(make, transcript, trailing=b'"SIEVE" ""\r\nOK\r\n')

    def test_challenges(self) -> None:
        """Those behind the first message are the client's to answer."""
        asked = GREETED + 'C: AUTHENTICATE "XOAUTH2"\n= Remind\n'
        message = 'C: "dXNlcj1hAWF1dGg9QmVhcmVyIHRva2VuAQE="\n'
        rest = 'S: "YQ=="\n= Challenge a\n> remind\n> respond\nC: ""\nS: OK\n= Accepted\n'
        self.check(asked + 'S: ""\n' + message + rest, xoauth2("a"))
        self.check(asked + "> remind\n" + message + 'S: ""\n' + rest, xoauth2("a"))

    def test_nothing_of_our_own(self) -> None:
        """Where the backend begins there is nothing to say unasked."""
        asked = GREETED.replace("PLAIN", "X-TOY") + 'C: AUTHENTICATE "X-TOY"\n= Remind\n> remind\n'
        rest = 'S: "YQ=="\n= Challenge a\n> respond b\nC: "Yg=="\nS: OK\n= Accepted\n'
        self.check(asked + rest, Login(Identity("a"), "X-TOY", None))

    def test_login(self) -> None:
        """LOGIN's prompts are answered in their order, the first of them unasked."""
        begun = GREETED.replace("PLAIN", "LOGIN") + 'C: AUTHENTICATE "LOGIN"\n= Remind\n'
        name, secret = 'C: "bXJvc2U="\n', 'S: "UGFzc3dvcmQ6"\nC: "c2VjcmV0"\nS: OK\n= Accepted\n'
        self.check(begun + 'S: "VXNlcm5hbWU6"\n' + name + "> remind\n" + secret)
        self.check(begun + "> remind\n" + name + 'S: "VXNlcm5hbWU6"\n' + secret)

    def test_xclient(self) -> None:
        """XCLIENT can be overlooked as well; no secret leaves before it is answered."""
        said = GREETED.replace("S: OK", 'S: "XCLIENT"\nS: OK')
        said += "C: XCLIENT ADDR=192.0.2.1 PORT=1 SESSION=id TTL=7\n= Remind\n"
        begun = 'C: AUTHENTICATE "PLAIN"\n= Remind\n'
        rest = 'S: ""\n' + RESPONSE + "S: OK\n= Accepted\n"
        for transcript in (
            said + "S: OK\n" + begun + rest,
            said + "S: NO\n= Rejected backend-incapable\n> remind\n",
            said
            + "> remind\n"
            + begun
            + "> remind\nS: OK\n> remind\n"
            + RESPONSE
            + 'S: ""\nS: OK\n= Accepted\n',
            said + "> remind\n" + begun + "S: OK\n" + rest,
            said + "> remind\n" + begun + "S: NO\n= Rejected backend-incapable\n",
            said + "> remind\n" + begun + 'S: ""\n= Rejected backend-misbehaved\n',
        ):
            assert_transcript(_told, transcript)

    def test_nobody_else(self) -> None:
        """Others, and Pigeonhole in the clear or behind STARTTLS, are told all at once."""
        clear = GREETED.replace("S: OK", 'S: "STARTTLS"\nS: OK')
        self.check(clear + AT_ONCE)
        self.check(GREETED.replace("Dovecot Pigeonhole", "Cyrus timsieved") + AT_ONCE)
        assert_transcript(
            lambda: make(starttls=True, secure=False),
            clear + "C: STARTTLS\nS: OK\n= StartTLS\n> tls\n" + GREETED + AT_ONCE,
        )

    def test_reminded_at_any_moment(self) -> None:
        """No exception, one verdict at most, and the first message at most once."""

        @bounded
        @given(conversations(ManageSieveClientLawsTests.fragments), st.integers(0, 60))
        def law(data: bytes, moment: int) -> None:
            dialogue = ManageSieveClient(password("mrose", b"secret"), False, True)
            run = Run(dialogue, True)
            run.feed(GREETING, 5)
            run.feed(data[:moment], 5)
            run.take(dialogue.reminded())
            run.feed(data[moment:], 5)
            assert run.said.count(b"AG1yb3Nl") <= 1, run.said
            assert sum(line.split()[0] in ("Accepted", "Rejected") for line in run.story) <= 1

        law()

    def test_time(self) -> None:
        """Nobody waits long: far less than a backend has for its answer."""
        dialogue = make()
        dialogue.start()
        events = dialogue.receive_data(GREETING)
        last = events[-1]
        assert isinstance(last, Remind)
        self.assertLessEqual(last.seconds, 0.5)
        self.assertEqual(written(events), b'AUTHENTICATE "PLAIN"\r\n')


def _told() -> ManageSieveClient:
    """A dialogue that has to tell of its client before it logs in."""
    dialogue = make()
    dialogue.announcement = Announcement(ORIGIN, 7)
    return dialogue
