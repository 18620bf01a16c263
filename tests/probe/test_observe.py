"""One observation against servers that behave, and against those that do not."""

import resource
import socket
import ssl
import time

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Session
from mailwitness.probe import observe as observing
from mailwitness.probe.run import probe
from mailwitness.probe.targets import Target
from tests.probe.servers import QUICK, context, imaps, look, serving, smtp

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def session(seen: Observation) -> Session:
    assert not isinstance(seen.session, Missing), seen.session
    return seen.session


@pytest.mark.parametrize(
    ("minimum", "maximum", "accepted"),
    [
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, ("TLSv1.2",)),
        (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, ("TLSv1.3",)),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, ("TLSv1.2", "TLSv1.3")),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ("TLSv1", "TLSv1.1", "TLSv1.2")),
    ],
)
def test_each_version_is_answered_with_proof(
    minimum: ssl.TLSVersion, maximum: ssl.TLSVersion, accepted: tuple[str, ...]
) -> None:
    with serving(imaps(context("a.example", minimum, maximum))) as port:
        its = session(look(port))
    assert its.accepted_versions == accepted
    assert [answer.accepted for answer in its.versions if answer.version == "SSLv3"] == [False]
    assert all(answer.proof for answer in its.versions)
    assert its.inside_tls.mechanisms == ("PLAIN",)  # type: ignore[union-attr]


def test_a_server_name_brings_its_own_certificate() -> None:
    default, other = context("default.example"), context("other.example")

    def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == "other.example":
            tls.context = other

    default.sni_callback = choose
    with serving(imaps(default)) as port:
        its = session(look(port, names=("other.example", "default.example")))
    leaves = {chain.server_name: chain.leaf for chain in its.chains}
    assert set(leaves) == {None, "other.example", "default.example"}
    assert leaves["default.example"] == leaves[None] != leaves["other.example"]


def test_only_tls13_still_shows_the_chain_of_each_name() -> None:
    only = context("new.example", ssl.TLSVersion.TLSv1_3)
    with serving(imaps(only)) as port:
        its = session(look(port, names=("new.example",)))
    assert [chain.server_name for chain in its.chains] == [None, "new.example"]
    assert all(str(chain.leaf).startswith("-----BEGIN") for chain in its.chains)


def test_starttls_is_taken_and_both_capabilities_are_kept() -> None:
    with serving(smtp(context("a.example"))) as port:
        its = session(look(port, "smtp", "starttls"))
    assert its.greeting == "220 mail.example ESMTP"
    assert its.before_tls.mechanisms == ("PLAIN",)  # type: ignore[union-attr]
    assert its.inside_tls.mechanisms == ("LOGIN", "PLAIN")  # type: ignore[union-attr]
    assert its.accepted_versions == ("TLSv1.2", "TLSv1.3")


def test_a_refused_starttls_is_kept_with_the_answer() -> None:
    with serving(smtp(None, b"454 4.7.0 TLS not available\r\n")) as port:
        its = session(look(port, "smtp", "starttls"))
    assert its.starttls is not None
    assert (its.starttls.state, its.starttls.detail) == ("refused", "454 4.7.0 TLS not available")
    assert its.offers_tls
    assert not its.versions


def test_data_behind_the_answer_to_starttls_is_no_tls() -> None:
    with serving(smtp(context("a.example"), after=b"250 injected\r\n")) as port:
        its = session(look(port, "smtp", "starttls"))
    assert its.starttls is not None
    assert its.starttls.state == "refused"


def test_a_closed_port_is_refused_and_nothing_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    seen = look(port)
    assert seen.reach.state == "refused"
    assert isinstance(seen.session, Missing)


def test_an_unknown_port_is_found_out() -> None:
    with serving(imaps(context("a.example"))) as port:
        (seen,) = observing.observe([observing.Endpoint("127.0.0.1", port, ())])
    assert (seen.protocol, seen.tls) == ("imap", "implicit")
    with serving(smtp(context("a.example"))) as port:
        (seen,) = observing.observe([observing.Endpoint("127.0.0.1", port, ())], QUICK)
    assert (seen.protocol, seen.tls) == ("smtp", "starttls")


def test_a_name_that_does_not_resolve_is_said() -> None:
    (seen,) = probe([Target("h", "a..b", (), (993,))], "here", QUICK)
    assert isinstance(seen.observations, Missing)
    assert "does not resolve" in seen.observations.reason


def _closes(_: socket.socket) -> None:
    pass


def _hangs(connection: socket.socket) -> None:
    connection.sendall(b"* OK ready\r\n")
    connection.recv(1)
    connection.recv(1000)
    time.sleep(2)


def _endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"A" * 65536)


def _dribbles(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"A")
        time.sleep(0.2)


def _web(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<script>\x1b[2J\x00")


def _alerts(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x15\x03\x01\x00\x02\x01\x70" * 100)


def _huge_certificate(connection: socket.socket) -> None:
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2f" + b"\x00"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    message += b"\x0b" + (16_000_000).to_bytes(3, "big")
    connection.sendall(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
    while True:
        connection.sendall(b"\x16\x03\x03\x40\x00" + bytes(16384))


HOSTILE = [_closes, _hangs, _endless, _dribbles, _web, _alerts, _huge_certificate]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("script", HOSTILE, ids=lambda script: script.__name__)
def test_a_hostile_server_costs_bounded_time_and_memory_and_proves_nothing(
    script: object, tls: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with serving(script) as port:  # type: ignore[arg-type]
        seen = look(port, "imap", tls)  # type: ignore[arg-type]
    assert time.monotonic() - begun < QUICK.endpoint + 12
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert seen.reach.state == "open"
    if not isinstance(seen.session, Missing):
        assert not seen.session.accepted_versions
        refused = [a for a in seen.session.versions if not isinstance(a.accepted, Missing)]
        assert not refused, refused


def test_a_good_endpoint_beside_a_hostile_one_is_seen_as_it_is() -> None:
    with serving(_endless) as bad, serving(imaps(context("a.example"))) as good:
        observing._USUAL.update({bad: ("imap", "starttls"), good: ("imap", "implicit")})
        try:
            seen = observing.observe(
                [observing.Endpoint("127.0.0.1", port, ()) for port in (bad, good)], QUICK
            )
        finally:
            del observing._USUAL[bad], observing._USUAL[good]
    assert isinstance(seen[0].session, Missing)
    assert session(seen[1]).accepted_versions == ("TLSv1.2", "TLSv1.3")
