"""Dovecot and Postfix listen on no port that their configuration does not have."""

from mailwitness.checks._processes import product
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


def _judge(case: Case) -> Verdict:
    endpoint = case.endpoint
    sockets = known(endpoint.running).sockets
    if not sockets:
        return not_applicable("nothing listens here")
    own = {}
    for socket in sockets:
        its = product(known(socket.process))
        if its:
            own[its] = socket
    if not own:
        return not_applicable("held by another program, which foreign-listener judges")
    setting = known(endpoint.configured)
    if setting is not None and setting.product in own:
        return passed(f"{setting.product} is configured for this port, and listens")
    held = ", ".join(own)
    return failed(
        f"{held} listens on port {endpoint.port}, and the configuration does not have it",
        [
            Witness("configured", "doveconf and postconf", f"nothing of {held} on this port"),
            *(
                Witness(
                    "running",
                    f"{socket.address} port {socket.port}",
                    f"held by {its}, pid {known(socket.process).pid}, "
                    f"started {known(known(socket.process).started_at)}",
                )
                for its, socket in own.items()
            ),
        ],
    )


CHECK = Check(
    id="listener-not-configured",
    title="A port is served that is not configured",
    severity=Severity.MEDIUM,
    rationale="The daemon runs with a configuration that is no longer in its files: the port was "
    "taken out and the daemon not restarted, and whatever else was changed since does not hold.",
    references=(
        "https://doc.dovecot.org/2.3/configuration_manual/service_configuration/",
        "https://www.postfix.org/master.5.html",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    views=("running", "configured"),
    relay_severity=Severity.MEDIUM,
    remedies=(
        Remedy("dovecot", "", "doveconf -n >/dev/null && doveadm reload", reload=True),
        Remedy("postfix", "", "postfix check && postfix reload", reload=True),
    ),
)
