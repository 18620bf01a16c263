"""A mail port is held by Dovecot or Postfix, whose settings are what the report shows."""

from mailwitness.checks._processes import product
from mailwitness.evidence.host import Process
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
    running = known(case.endpoint.running)
    others: dict[Witness, str] = {}  # with the name of the program
    for led in known(running.beyond):
        process = known(led.socket.process)
        where = f"{led.address} port {led.socket.port}, where the packet filter leads"
        said = f"{_described(process)}, in a network namespace of its own"
        others[Witness("running", where, said)] = process.name
    own = []
    for socket in running.sockets:
        process = known(socket.process)
        its = product(process)
        if its is None:
            where = f"{socket.address} port {socket.port}"
            others[Witness("running", where, _described(process))] = process.name
        else:
            own.append(its)
    if others:
        names = " and ".join(dict.fromkeys(others.values()))
        return failed(f"served by {names}, not by Dovecot or Postfix", list(others))
    if not own:
        return not_applicable("nothing listens here")
    return passed(f"served by {' and '.join(dict.fromkeys(own))}")


def _described(process: Process) -> str:
    said = f"held by {process.name}, {known(process.executable)}, pid {process.pid}"
    if isinstance(process.cgroup, str) and process.cgroup != "/":
        said += f", of {process.cgroup}"
    if process.own_root is False:
        said += ", in a container or chroot"
    return f"{said}, for {process.forwards_to}" if process.forwards_to else said


CHECK = Check(
    id="foreign-listener",
    title="A mail port is served by something else",
    severity=Severity.MEDIUM,
    rationale="A proxy, a container or another mailer answers on this port: what Dovecot and "
    "Postfix are set to says nothing of what its clients get, and remedies belong there.",
    references=("https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html",),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    relay_severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            "",
            "",
            "If it should be there, set TLS, certificate and login in it, not in Dovecot or "
            "Postfix. If not: find what starts it with systemctl status PID, and take it away.",
        ),
    ),
)
