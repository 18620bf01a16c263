"""The test account that an administrator gave can log in."""

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Login
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    accepted: list[Witness] = []
    refused: list[Witness] = []
    unknown: list[str] = []
    for vantage, seen in case.endpoint.observations():
        source = f"{vantage} to {seen.address}"
        if isinstance(seen.login, Missing):
            unknown.append(f"{source}: {seen.login.reason}")
        elif seen.login is not None:
            works = all(step.accepted for step in seen.login.steps)
            witness = Witness("outside", source, _says(seen.login))
            (accepted if works else refused).append(witness)
    if refused:
        return failed("the test account is refused", refused)
    if unknown:
        raise NotKnownError("; ".join(unknown))
    if not accepted:
        return not_applicable("no test account was given, or nobody logs in on this port")
    return passed("the test account logs in", accepted)


def _says(login: Login) -> str:
    steps = ", ".join(f"{step.command}: {step.answer}" for step in login.steps)
    trusted = {
        "chain": f"certificate trusted for {login.server_name}",
        "fingerprint": "certificate excepted by its fingerprint",
    }
    return f"{steps} ({trusted[login.trusted_by]})"


CHECK = Check(
    id="auth-login-refused",
    title="The test account cannot log in",
    severity=Severity.HIGH,
    rationale="A service outside that is given a mailbox's name and password logs in as the probe "
    "did, and is refused as it was: whatever mechanisms the server offers, they do not work.",
    references=("RFC 9051 §6.2", "RFC 4954 §4", "RFC 4616"),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    views=("outside",),
    remedies=(
        Remedy(
            "dovecot",
            "",
            "Try the account on the host: doveadm auth test USER\n"
            "Where that succeeds, see why the login fails: journalctl -u dovecot | grep USER",
        ),
        Remedy(
            "postfix",
            "",
            "See why it fails: journalctl -u 'postfix*' | grep -i sasl\n"
            "Where Dovecot knows the accounts, its socket must be there for Postfix: "
            "postconf smtpd_sasl_type smtpd_sasl_path",
        ),
    ),
)
