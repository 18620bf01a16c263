"""What is configured to listen does."""

from mailwitness.checks._availability import (
    AVAILABILITY,
    for_want_of_a_connection,
    nobody_gets_through,
)
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    Outcome,
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    """The kernel's own list of listening sockets decides: a failed handshake may have others."""
    setting = known(case.endpoint.configured)
    if setting is None:
        return not_applicable("neither Dovecot nor Postfix is configured for this port")
    running = known(case.endpoint.running)
    if running.sockets:
        where = ", ".join(dict.fromkeys(socket.address for socket in running.sockets))
        return passed(f"listens at {where}")
    return failed(
        f"{setting.product} is configured for port {case.endpoint.port} and nothing listens there",
        [
            Witness("configured", setting.source, f"listens on port {case.endpoint.port}"),
            Witness("running", "/proc/net/tcp and tcp6", "no socket listens on this port"),
        ],
    )


CHECK = Check(
    id="listener-down",
    title="Configured, and not listening",
    severity=Severity.HIGH,
    rationale="The daemon has not been started, has died, could not bind the port, or was not "
    "reloaded since the port was configured: clients are refused.",
    references=(
        "https://doc.dovecot.org/2.3/configuration_manual/service_configuration/",
        "https://www.postfix.org/master.5.html",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    explains=(
        Explains(AVAILABILITY, when=nobody_gets_through),
        Explains((), Outcome.NOT_ASSESSED, when=for_want_of_a_connection),
    ),
    relay_severity=Severity.HIGH,
    remedies=(
        Remedy(
            "dovecot",
            "",
            "doveconf -n >/dev/null && systemctl enable dovecot && systemctl restart dovecot\n"
            "Why it was down: journalctl -u dovecot -n 50",
            restart=True,
            proven=("Debian 12",),
        ),
        Remedy(
            "postfix",
            "",
            "postfix check && systemctl enable postfix && systemctl restart postfix\n"
            "Why it was down: journalctl -t postfix/master -n 50",
            restart=True,
        ),
    ),
)
