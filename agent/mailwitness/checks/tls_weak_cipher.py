"""No cipher suite is accepted whose encryption the policy holds for weak."""

from mailwitness.checks._negotiated import in_versions, negotiated, nothing_more
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    failed,
    few,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    ciphers = case.profile.ciphers
    assert ciphers is not None
    sslv2 = session.accepts("SSLv2") is True  # all suites of which are weak
    found = negotiated(session)
    if found is None and not sslv2:
        return not_applicable("no version of TLS is accepted")
    suites = found.suites if found is not None else ()
    weak = {
        name: versions
        for name, versions in in_versions(suites).items()
        if not set(ciphers.weak).isdisjoint(name.split("_"))
    }
    if weak or sslv2:
        return failed(
            f"accepted: {few([*weak, *(['those of SSL 2.0'] if sslv2 else [])])}",
            [
                *(case.says(f"{name} in {', '.join(where)}") for name, where in weak.items()),
                *([case.says("SSLv2 is accepted")] if sslv2 else []),
            ],
        )
    known(session.accepts("SSLv2"))
    nothing_more(suites)
    return passed("no weak suite is accepted")


CHECK = Check(
    id="tls-weak-cipher",
    title="Weak encryption is accepted",
    severity=Severity.MEDIUM,
    rationale="NULL encrypts nothing, export grades, DES and RC2 fall to a search for the key, "
    "RC4 and 3DES to known attacks on enough of what they encrypt; a client that has nothing "
    "better, or that somebody on the way holds down to it, is not protected.",
    references=("RFC 9325 §4.1", "RFC 7465", "CVE-2016-2183"),
    scope=Scope.LOOK,
    views=("outside",),  # the host does not ask itself
    judge=_judge,
    criteria="ciphers",
    remedies=(
        Remedy(
            "dovecot",
            "",
            "ssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "postfix",
            "",
            "postconf -e 'smtpd_tls_mandatory_ciphers = high' 'smtpd_tls_mandatory_exclude_ciphers "
            "= eNULL, RC4, 3DES, DES, EXPORT, RC2'; postfix check && postfix reload",
        ),
    ),
)
