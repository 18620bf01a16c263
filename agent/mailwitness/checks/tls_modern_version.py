"""A protocol version is offered that the policy still takes, and each one that it requires."""

from mailwitness.evidence.probe import VERSIONS
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, known, not_applicable, passed


def _judge(case: Case) -> Verdict:
    session = case.session
    if not session.offers_tls:
        return not_applicable("no TLS is offered")
    minimum = case.profile.tls.minimum
    wanted = VERSIONS[VERSIONS.index(minimum) :]
    accepted = [version for version in wanted if version in session.accepted_versions]
    lacking = [
        version for version in case.profile.tls.required if not known(session.accepts(version))
    ]
    if accepted and lacking:
        return failed(
            f"{', '.join(lacking)} is required and not accepted",
            [case.says(f"accepts {', '.join(accepted)} and not {', '.join(lacking)}")],
            Severity.MEDIUM,
        )
    if accepted:
        best = accepted[-1]
        grade = case.profile.tls.grade(best)
        said = case.says(f"accepts {best}" + (f" ({grade})" if grade else ""))
        return passed(f"{', '.join(accepted)} accepted", [said])
    for version in wanted:
        known(session.accepts(version))
    return failed(
        f"nothing from {minimum} on is accepted",
        [case.says(f"{answer.version}: {answer.proof}") for answer in session.versions],
    )


CHECK = Check(
    id="tls-modern-version",
    title="No TLS version that the policy asks for is offered",
    severity=Severity.HIGH,
    rationale="Clients that keep to the policy cannot connect at all; where they still can, it is "
    "by a version that the policy has replaced.",
    references=("RFC 9325 §3.1.1", "RFC 8997"),
    scope=Scope.LOOK,
    judge=_judge,
    criteria="tls",
    remedies=(
        Remedy("dovecot", "<2.3", "ssl_protocols = !SSLv3 !TLSv1 !TLSv1.1"),
        Remedy(
            "dovecot",
            ">=2.3",
            "ssl_min_protocol = TLSv1.2\nand see that openssl.cnf sets no MaxProtocol. "
            "Then: doveconf -n >/dev/null && doveadm reload",
        ),
        Remedy(
            "postfix",
            "",
            "Take '<=' bounds and exclusions of new versions out of smtpd_tls_protocols and "
            "smtpd_tls_mandatory_protocols (postconf -n, postconf -P); postfix reload. "
            "An OpenSSL older than 1.0.1 cannot do better: upgrade it.",
        ),
    ),
)
