"""No protocol version is offered that the policy forbids."""

from collections.abc import Sequence

from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)
from mailwitness.policy.profile import Tls


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    tls = case.profile.tls
    accepted = [version for version in tls.forbidden if version in session.accepted_versions]
    if accepted:
        return failed(_graded(tls, accepted), _proofs(case, accepted))
    for version in tls.forbidden:
        known(session.accepts(version))
    aging = [version for version in tls.phase_out if version in session.accepted_versions]
    if aging:
        return failed(_graded(tls, aging), _proofs(case, aging), Severity.LOW)
    for version in tls.phase_out:
        known(session.accepts(version))
    return passed(f"none of {', '.join((*tls.forbidden, *tls.phase_out))} is accepted")


def _graded(tls: Tls, versions: Sequence[str]) -> str:
    grade = tls.grade(versions[0])
    return f"{' and '.join(versions)} accepted" + (f" ({grade})" if grade else "")


def _proofs(case: Case, versions: Sequence[str]) -> list[Witness]:
    return [
        case.says(f"{answer.version}: {answer.proof}")
        for answer in case.session.versions
        if answer.version in versions
    ]


CHECK = Check(
    id="tls-legacy-version",
    title="Outdated TLS versions are offered",
    severity=Severity.MEDIUM,
    rationale="SSLv3, TLS 1.0 and 1.1 rest on MD5 and SHA-1 and have no authenticated encryption; "
    "as long as they are offered a client can be led to use them.",
    references=("RFC 8996", "RFC 7568", "RFC 9325 §3.1.1"),
    scope=Scope.LOOK,
    judge=_judge,
    criteria="tls",
    remedies=(
        Remedy(
            "dovecot",
            "<2.3",
            "ssl_protocols = !SSLv3 !TLSv1 !TLSv1.1\n"
            "Then: doveconf -n >/dev/null && doveadm reload",
            settings=("ssl_protocols = !SSLv3 !TLSv1 !TLSv1.1",),
        ),
        Remedy(
            "dovecot",
            ">=2.3",
            "ssl_min_protocol = TLSv1.2\nThen: doveconf -n >/dev/null && doveadm reload",
            settings=("ssl_min_protocol = TLSv1.2",),
            proven=("Debian 11", "Debian 12", "Debian 13"),
        ),
        Remedy(
            "postfix",
            "<3.6",
            "postconf -e 'smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1' "
            "'smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1'; "
            "postfix check && postfix reload",
            settings=(
                "-e 'smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1'",
                "-e 'smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1'",
            ),
            proven=("Debian 11",),
        ),
        Remedy(
            "postfix",
            ">=3.6",
            "postconf -e 'smtpd_tls_protocols = >=TLSv1.2' "
            "'smtpd_tls_mandatory_protocols = >=TLSv1.2'; postfix check && postfix reload",
            settings=(
                "-e 'smtpd_tls_protocols = >=TLSv1.2'",
                "-e 'smtpd_tls_mandatory_protocols = >=TLSv1.2'",
            ),
            proven=("Debian 12", "Debian 13"),
        ),
    ),
)
