"""All kinds of bad servers at once beside good ones, by a probe whose memory is limited."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailwitness.evidence.codec import loads
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, ProbeEvidence, Protocol, Session, TlsMode
from tests.probe import hostile
from tests.probe.looking import session_of, versions_of
from tests.probe.scripted import Peer, Script, context, identity, serving, with_starttls, with_tls

MEGABYTE = hostile.MEGABYTE

# The address space that may be added to what the interpreter has with all modules loaded.
_ROOM = 64 * MEGABYTE
_PROBE = f"""
import json, resource, sys
from mailwitness.evidence.codec import dumps
from mailwitness.probe import observe
from mailwitness.probe.limits import Limits
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
ports = json.loads(sys.argv[1])
observe._USUAL.update((port, (protocol, tls)) for port, protocol, tls in ports)
pages = int(open("/proc/self/statm").read().split()[0])
room = pages * resource.getpagesize() + {_ROOM}
resource.setrlimit(resource.RLIMIT_AS, (room, room))
limits = Limits(
    connect=2, greeting=2, read=2, endpoint=6, pause=0.01, paused=0.1, lingering=0,
    connections_per_host=64,
)
target = Target("mail1", "127.0.0.1", (), tuple(port for port, _, _ in ports))
(evidence,) = probe([target], "here", limits)
print(dumps(evidence))
"""


@dataclass(frozen=True)
class Bad:
    """A server, and what is to be made of it: why there is no session, as a pattern, or more."""

    script: Script
    expected: "str | Callable[[Session], bool]"
    protocol: Protocol = "imap"
    tls: TlsMode = "starttls"


def nothing_known_of_tls(session: Session) -> bool:
    return bool(session.versions) and all(
        isinstance(answer.accepted, Missing) for answer in session.versions
    )


def capabilities_unknown(session: Session) -> bool:
    return isinstance(session.before_tls, Missing) and session.starttls is not None


BAD = {
    "closes at once": Bad(lambda _: None, "connection closed"),
    "resets at once": Bad(hostile.resets, "(no connection: )?connection (lost|reset|closed)"),
    "says nothing": Bad(Peer.hang, "nothing came for 2 s"),
    "says nothing in TLS": Bad(Peer.hang, nothing_known_of_tls, tls="implicit"),
    "hangs after the banner": Bad(hostile.hangs_after_the_banner, capabilities_unknown),
    "endless banner": Bad(hostile.never_ends_its_banner, "a line of more than 8192 bytes"),
    "endless banner in TLS": Bad(
        hostile.never_ends_its_banner, nothing_known_of_tls, tls="implicit"
    ),
    "endless greeting": Bad(
        hostile.never_ends_its_greeting_of_many_lines, "a reply without end", "smtp"
    ),
    "endless capabilities": Bad(hostile.sends_lines_without_end, capabilities_unknown),
    "endless list": Bad(hostile.never_ends_its_list, capabilities_unknown, "pop3"),
    "a byte at a time": Bad(hostile.sends_a_byte_at_a_time, "no end within 6 s"),
    "a byte at a time in TLS": Bad(hostile.drips_its_answer_to_the_hello, nothing_known_of_tls),
    "100 MB of certificate": Bad(
        hostile.sends_a_certificate_of_100_megabytes, nothing_known_of_tls
    ),
    "garbage after STARTTLS": Bad(hostile.sends_garbage_after_starttls, nothing_known_of_tls),
    "closes after STARTTLS": Bad(hostile.closes_after_starttls, nothing_known_of_tls),
    "warnings without end": Bad(hostile.answers_with_alerts_without_end, nothing_known_of_tls),
    "records without end": Bad(
        hostile.answers_with_empty_records_without_end, nothing_known_of_tls
    ),
    "refusals without end": Bad(
        hostile.refuses_with_a_storm_of_alerts,
        lambda session: not any(a.accepted for a in session.versions[1:]),
    ),
    "HTTP": Bad(hostile.speaks_http, "nothing came for 2 s"),
    "HTTP in place of TLS": Bad(hostile.speaks_http, nothing_known_of_tls, tls="implicit"),
    "SSH": Bad(hostile.speaks_ssh, "no such greeting: 'SSH-2.0-OpenSSH_9.2'"),
    "SSH in place of TLS": Bad(hostile.speaks_ssh, nothing_known_of_tls, tls="implicit"),
    "SMTP in place of IMAP": Bad(with_starttls("smtp", None), "no such greeting: '220 mail ESMTP'"),
    "terminal escapes and HTML": Bad(
        hostile.greets_oddly,
        lambda session: "<script>" in str(session.greeting) and session.before_tls is not None,
        "smtp",
    ),
}
GOOD: tuple[tuple[Protocol, TlsMode], ...] = (
    ("imap", "starttls"),
    ("pop3", "starttls"),
    ("smtp", "starttls"),
    ("imap", "implicit"),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    """The observations of the bad, then of the good, all of one run."""
    tls = context(tmp_path_factory.mktemp("keys"))
    honest = {"starttls": with_starttls, "implicit": with_tls}
    with contextlib.ExitStack() as stack:
        bad = [
            (stack.enter_context(serving(one.script)).port, one.protocol, one.tls)
            for one in BAD.values()
        ]
        good = [
            (stack.enter_context(serving(honest[mode](protocol, tls))).port, protocol, mode)
            for protocol, mode in GOOD
        ]
        ran = subprocess.run(
            [sys.executable, "-c", _PROBE, json.dumps([*bad, *good])],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2] / "agent",
        )
    assert ran.returncode == 0, ran.stderr
    evidence = loads(ran.stdout, ProbeEvidence)
    assert isinstance(evidence.observations, tuple)
    return list(evidence.observations)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_server_is_what_it_shows(found: list[Observation], name: str) -> None:
    bad = BAD[name]
    one = found[list(BAD).index(name)]
    assert one.reach.state in {"open", "reset"}
    if isinstance(bad.expected, str):
        assert isinstance(one.session, Missing), one.session
        assert re.match(bad.expected, one.session.reason), one.session
    else:
        assert bad.expected(session_of(one)), one.session


@pytest.mark.parametrize("at", range(len(GOOD)), ids=map("-".join, GOOD))
def test_a_good_server_beside_them_is_seen_whole(found: list[Observation], at: int) -> None:
    good = found[len(BAD) + at]
    accepted = [version for version, answer in versions_of(good).items() if answer]
    assert accepted == ["TLSv1.2", "TLSv1.3"]
    assert None not in versions_of(good).values()
    assert session_of(good).chains[0].leaf == identity("mail.example.com").leaf
