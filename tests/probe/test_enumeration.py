"""Servers of known suites, groups and signatures, and what is found of them."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Negotiation, Prime, TlsMode, VersionName
from mailwitness.probe.answer import NUMBERS, Alert, Answer, ServerHello
from mailwitness.probe.channel import ClosedError, SilentError
from mailwitness.probe.enumeration import negotiation
from mailwitness.probe.hello import Offer
from tests.lab.certificates import OAKLEY_GROUP_2
from tests.probe.looking import HASTY, Port, look, negotiated, session_of, usual
from tests.probe.scripted import Peer, context, serving, with_starttls, with_tls

V = ssl.TLSVersion
REFUSED = "alert 40 handshake_failure"
GCM, CBC = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
)


def tls12(folder: Path, ciphers: str, curve: "str | None" = None) -> ssl.SSLContext:
    made = context(folder, lowest=V.TLSv1_2, highest=V.TLSv1_2)
    made.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if curve:
        made.set_ecdh_curve(curve)
    return made


class TestRealServers:
    @pytest.mark.parametrize("mode", ["implicit", "starttls"])
    def test_exactly_the_suites_that_are_configured(self, tmp_path: Path, mode: TlsMode) -> None:
        tls = tls12(tmp_path, "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
        script = with_tls("smtp", tls) if mode == "implicit" else with_starttls("smtp", tls)
        with serving(script) as server:
            _, found, questions = negotiated(Port(server.port, "smtp", mode))
            assert server.connections == questions
        (suites,) = found.suites
        assert (suites.version, set(suites.names), suites.rest) == ("TLSv1.2", {GCM, CBC}, REFUSED)

    @pytest.mark.parametrize(("prefers", "order"), [(True, "server"), (False, "client")])
    def test_whose_order_counts(self, tmp_path: Path, prefers: bool, order: str) -> None:  # noqa: FBT001
        tls = tls12(tmp_path, "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
        tls.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if prefers:
            tls.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        with serving(with_tls("imap", tls)) as server:
            _, found, _ = negotiated(Port(server.port))
        assert found.suites[0].order == order
        assert found.suites[0].names == ((CBC, GCM) if prefers else (GCM, CBC))

    def test_where_there_is_one_suite_nobody_prefers(self, tmp_path: Path) -> None:
        with serving(with_tls("imap", tls12(tmp_path, "ECDHE-ECDSA-AES256-SHA"))) as server:
            _, found, _ = negotiated(Port(server.port))
        assert found.suites[0].order is None

    def test_groups_beside_that_of_the_certificate_are_found(self, tmp_path: Path) -> None:
        tls = tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256")
        tls.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # else its second choice ends all
        with serving(with_tls("imap", tls)) as server:
            _, found, _ = negotiated(Port(server.port))
        (groups,) = found.groups
        assert {"x25519", "secp256r1", "secp384r1", "secp521r1"} <= set(groups.names)
        assert isinstance(groups.rest, str)

    def test_one_curve_alone(self, tmp_path: Path) -> None:
        tls = tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256", "prime256v1")
        with serving(with_tls("imap", tls)) as server:
            _, found, _ = negotiated(Port(server.port))
        assert found.groups[0].names == ("secp256r1",)

    def test_groups_of_tls_1_3_are_all_named(self, tmp_path: Path) -> None:
        with serving(with_tls("imap", context(tmp_path, lowest=V.TLSv1_3))) as server:
            _, found, _ = negotiated(Port(server.port))
        (groups,) = found.groups
        assert groups.version == "TLSv1.3"
        assert {"x25519", "secp256r1", "ffdhe2048"} <= set(groups.names)
        assert groups.rest == REFUSED
        (signatures,) = found.signatures
        assert (signatures.version, signatures.rest) == ("TLSv1.3", REFUSED)
        assert signatures.names == ("ecdsa_secp256r1_sha256",)

    def test_signatures_are_those_of_the_key(self, tmp_path: Path) -> None:
        tls = tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256")
        with serving(with_tls("imap", tls)) as server:
            _, found, _ = negotiated(Port(server.port))
        (signatures,) = found.signatures
        assert "ecdsa_secp256r1_sha256" in signatures.names
        assert "ecdsa_sha1" in signatures.names  # the security level is 0
        assert all(name.startswith("ecdsa_") for name in signatures.names)

    def test_the_size_of_a_prime_is_seen(self, tmp_path: Path) -> None:
        tls = tls12(tmp_path, "ADH-AES128-SHA256")
        parameters = tmp_path / "dh.pem"
        parameters.write_text(OAKLEY_GROUP_2)
        tls.load_dh_params(str(parameters))
        with serving(with_tls("imap", tls)) as server:
            _, found, _ = negotiated(Port(server.port))
        assert found.suites[0].names == ("TLS_DH_anon_WITH_AES_128_CBC_SHA256",)
        assert found.primes == (Prime(1024, found.suites[0].names),)

    def test_a_whole_look_has_it_and_a_brief_one_says_that_it_has_not(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with serving(with_starttls("imap", context(tmp_path))) as server:
            usual(monkeypatch, server.port, "imap", "starttls")
            whole = session_of(look(server.port, depth="full")).negotiation
            before = server.connections
            brief = session_of(look(server.port, depth="brief")).negotiation
            assert server.connections - before < 10 < before
        assert isinstance(whole, Negotiation)
        assert [suites.version for suites in whole.suites] == ["TLSv1.2", "TLSv1.3"]
        assert isinstance(brief, Missing)


def test_a_server_that_turns_away_for_a_while_is_asked_again(tmp_path: Path) -> None:
    honest = with_starttls("smtp", tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256"))
    seen = 0

    def script(peer: Peer) -> None:
        nonlocal seen
        seen += 1
        if seen % 2:
            peer.send(b"421 4.7.0 too many connections\r\n")
        else:
            honest(peer)

    with serving(script) as server:
        _, found, _ = negotiated(Port(server.port, "smtp", "starttls"))
    assert found.suites[0].names == (GCM,)
    assert found.suites[0].rest == REFUSED


def test_a_server_that_turns_away_from_then_on_has_refused_nothing(tmp_path: Path) -> None:
    honest = with_starttls("smtp", tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256"))
    seen = 0

    def script(peer: Peer) -> None:
        nonlocal seen
        seen += 1
        if seen > len(NUMBERS):
            peer.send(b"421 4.7.0 too many connections\r\n")
        else:
            honest(peer)

    with serving(script) as server:
        _, found, _ = negotiated(Port(server.port, "smtp", "starttls"))
    assert found.suites[0].names == (GCM,)
    for one in (*found.suites, *found.groups, *found.signatures):
        assert isinstance(one.rest, Missing)
        assert one.rest.reason.startswith("turned away")


def test_a_server_that_hangs_has_refused_nothing(tmp_path: Path) -> None:
    tls = tls12(tmp_path, "ECDHE-ECDSA-AES128-GCM-SHA256")
    honest = with_tls("imap", tls)
    seen = 0

    def script(peer: Peer) -> None:
        nonlocal seen
        seen += 1
        (honest if seen <= len(NUMBERS) else Peer.hang)(peer)

    with serving(script) as server:
        _, found, _ = negotiated(Port(server.port, limits=HASTY))
    assert found.suites[0].rest == Missing("nothing came for 0.4 s")


class TestClosing:
    """Dovecot refuses by closing: its word only where it still answers afterwards."""

    def ask(self, after: Sequence[Answer]) -> Negotiation:
        hello = ServerHello(0x0300, 0x0005, retry=False, certificates=())
        answers: dict[VersionName, Answer] = {"SSLv3": hello}
        said = iter(after)

        async def ask(_: Offer) -> Answer:
            return next(said)

        async def ask_all(offers: Iterable[Offer]) -> list[Answer]:
            return [await ask(offer) for offer in offers]

        return asyncio.run(negotiation(ask, ask_all, answers))

    def test_it_refuses_where_a_control_is_answered(self) -> None:
        control = ServerHello(0x0300, 0x0005, retry=False, certificates=())
        found = self.ask([ClosedError("connection closed"), control])
        assert found.suites[0].names == ("TLS_RSA_WITH_RC4_128_SHA",)
        assert found.suites[0].rest == "connection closed in answer to the hello"

    @pytest.mark.parametrize(
        "control", [ClosedError("connection closed"), SilentError("nothing"), Alert(80)]
    )
    def test_it_does_not_where_nothing_works_any_more(self, control: Answer) -> None:
        found = self.ask([ClosedError("connection closed"), control])
        assert isinstance(found.suites[0].rest, Missing)

    @pytest.mark.parametrize("end", [Alert(80), SilentError("nothing came")])
    def test_trouble_refuses_nothing(self, end: Answer) -> None:
        found = self.ask([end])
        assert isinstance(found.suites[0].rest, Missing)

    def test_nor_does_the_choice_of_what_was_not_offered(self) -> None:
        again = ServerHello(0x0300, 0x0005, retry=False, certificates=())
        found = self.ask([again])
        assert found.suites[0].names == ("TLS_RSA_WITH_RC4_128_SHA",)
        assert isinstance(found.suites[0].rest, Missing)
