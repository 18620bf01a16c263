"""No key exchange is accepted that the policy holds for weak."""

from collections.abc import Iterator

from mailwitness.checks._negotiated import in_versions, negotiated, nothing_more
from mailwitness.evidence.probe import Negotiation
from mailwitness.policy.check import SERVICE, Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, few, not_applicable, passed
from mailwitness.policy.profile import KeyExchange


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    policy = case.profile.key_exchange
    assert policy is not None
    found = negotiated(session)
    if found is None:
        return not_applicable("no version of TLS is accepted")
    weak = dict(_weak(found, policy))
    if weak:
        return failed(f"accepted: {few(list(weak))}", [case.says(text) for text in weak.values()])
    nothing_more(found.suites, found.groups, found.signatures)
    return passed("no weak key exchange is accepted")


def _weak(found: Negotiation, policy: KeyExchange) -> Iterator[tuple[str, str]]:
    """What it is, and what the server said."""
    by_kind: dict[str, list[str]] = {}
    for name in in_versions(found.suites):
        by_kind.setdefault(_kind(name), []).append(name)
    for kind in policy.weak:
        if kind in by_kind:
            yield _WORDS.get(kind, kind), f"{_WORDS.get(kind, kind)}: {few(by_kind[kind])}"
    for prime in found.primes:
        # Whoever does without authentication has lost already, and is named above.
        suites = [name for name in prime.suites if _kind(name) not in policy.weak]
        if prime.bits < policy.prime_bits and suites:
            yield f"DH of {prime.bits} bits", f"a prime of {prime.bits} bits: {few(suites)}"
    for name, versions in in_versions(found.groups).items():
        if name in policy.weak_groups:
            yield name, f"group {name} in {', '.join(versions)}"
    for name, versions in in_versions(found.signatures).items():
        if not set(policy.weak_hashes).isdisjoint(name.split("_")):
            yield f"signature {name}", f"signature {name} in {', '.join(versions)}"


def _kind(suite: str) -> str:
    """`ECDHE_RSA` of TLS_ECDHE_RSA_WITH_...; nothing of a suite of TLS 1.3."""
    kind, separated, _ = suite.removeprefix("TLS_").partition("_WITH_")
    return kind if separated else ""


_WORDS = {
    "RSA": "static RSA",
    "DH_anon": "DH without authentication",
    "ECDH_anon": "ECDH without authentication",
}

_EXCLUDED = "smtpd_tls_exclude_ciphers=aNULL,kRSA"
_LISTED = "tls_medium_cipherlist=HIGH:@STRENGTH:@SECLEVEL=2"
# SSL_CTX_set_security_level(3): no RSA key of less than 2048 bits at level 2.
_FIRST = "certificate-weak-key"
_BEFORE = f"The level refuses the key that {_FIRST} may name: replace that first."

CHECK = Check(
    id="tls-weak-key-exchange",
    title="Weak key exchange is accepted",
    severity=Severity.MEDIUM,
    rationale="With static RSA or DH whoever once gets the server's key reads all that was ever "
    "recorded; without authentication anybody on the way can be the server; small primes and "
    "curves are broken by computation, and MD5 and SHA-1 signatures can be forged.",
    references=("RFC 9325 §4.1", "RFC 9325 §4.4", "RFC 9155", "RFC 5246 §A.5"),
    scope=Scope.LOOK,
    views=("outside",),  # the host does not ask itself
    judge=_judge,
    criteria="key_exchange",
    remedies=(
        Remedy(
            "dovecot",
            "<2.3",
            "ssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20\nssl_dh_parameters_length = 2048\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "dovecot",
            ">=2.3",
            "ssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2\n"
            f"Then: doveconf -n >/dev/null && doveadm reload\n{_BEFORE}",
            settings=("ssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2",),
            after=(_FIRST,),
            proven=("Debian 11", "Debian 12", "Debian 13"),
        ),
        Remedy(
            "postfix",
            "",
            # Of this service alone: port 25 has to take what it gets.
            f"postconf -P '{SERVICE}/{_EXCLUDED}' '{SERVICE}/{_LISTED}'; "
            f"postfix check && postfix reload\n{_BEFORE}",
            settings=(f"-P '{SERVICE}/{_EXCLUDED}'", f"-P '{SERVICE}/{_LISTED}'"),
            after=(_FIRST,),
            proven=("Debian 12", "Debian 13"),
        ),
    ),
)
