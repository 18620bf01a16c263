"""The certificate on disk is the one that is served, without a server name and for each one."""

import datetime
from collections.abc import Iterable, Iterator

from mailwitness.checks._served import expires_soon, leaf_without_name
from mailwitness.correlate.certificate import Certificate, parse
from mailwitness.correlate.endpoint import CertificateOnDisk, Configured, Running
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.names import is_address
from mailwitness.evidence.probe import Session
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    known,
    not_applicable,
    passed,
)


def _judge(case: Case) -> Verdict:
    """Only the host's own handshake tells: outside, something else may stand in between."""
    endpoint = case.endpoint
    setting = known(endpoint.configured)
    if setting is None or endpoint.tls == "none" or setting.tls == "none":
        return not_applicable("no certificate is configured here")
    running = known(endpoint.running)
    if not running.sockets:
        return not_applicable("nothing listens here")
    look = known(running.observation)
    unknown: list[NotKnownError] = []
    for name, leaf in _served(known(look.session)):
        files = setting.certificates_for(look.address, look.address, name)
        try:
            now, on_disk = known(leaf), _fingerprints(known(files))
        except NotKnownError as error:
            unknown.append(error)
            continue
        if now.fingerprint not in on_disk:
            return _stale(setting, running, known(files), name, now)
    if unknown:
        raise unknown[0]
    return passed("the certificate on disk is served")


def _fingerprints(files: Iterable[CertificateOnDisk]) -> list[str]:
    found = [known(file.leaf).fingerprint for file in files]
    if not found:
        raise NotKnownError("the settings name no certificate file that was read")
    return found


def _served(session: Session) -> Iterator[tuple[str | None, Certificate | Missing]]:
    """The leaf for a client that names no server, and for each name; an address is no name."""
    yield None, leaf_without_name(session)
    for chain in session.chains:
        if chain.server_name is not None and not is_address(chain.server_name):
            leaf = chain.leaf if isinstance(chain.leaf, Missing) else parse(chain.leaf)
            yield chain.server_name, leaf


def _stale(
    setting: Configured,
    running: Running,
    files: Iterable[CertificateOnDisk],
    name: str | None,
    now: Certificate,
) -> Verdict:
    asked = f" for {name}" if name else ""
    return failed(
        "the files hold another certificate than the daemon serves",
        [
            *(_on_disk(setting, file) for file in files),
            Witness(
                "running",
                _daemon(running),
                f"serves {now.subject}{asked}, SHA-256 "
                f"{now.fingerprint[:16]}…, valid until {now.not_after:%Y-%m-%d}",
            ),
        ],
    )


def _on_disk(setting: Configured, file: CertificateOnDisk) -> Witness:
    leaf = known(file.leaf)
    changed = "" if isinstance(file.modified_at, Missing) else f", written {file.modified_at}"
    return Witness(
        "configured",
        f"{file.path} ({setting.source})",
        f"holds {leaf.subject}, SHA-256 {leaf.fingerprint[:16]}…, "
        f"valid until {leaf.not_after:%Y-%m-%d}{changed}",
    )


def _daemon(running: Running) -> str:
    process = running.sockets[0].process
    if isinstance(process, Missing):
        return "the running daemon"
    since = "" if isinstance(process.started_at, Missing) else f", started {process.started_at}"
    return f"{process.name}, pid {process.pid}{since}"


def _on_its_disk(case: Case) -> list[Certificate]:
    setting = case.endpoint.configured
    files = setting.certificates if isinstance(setting, Configured) else ()
    return [file.leaf for file in files if not isinstance(file.leaf, Missing)]


def _newer_on_disk(case: Case, _: Verdict) -> bool:
    """Whether what a reload would serve is valid, and not to be renewed yet."""
    inside, on_disk = case.host.inside, _on_its_disk(case)
    if isinstance(inside, Missing):
        return False
    now = datetime.datetime.fromisoformat(inside.agent.started_at)
    return bool(on_disk) and all(
        leaf.not_before <= now and not expires_soon(leaf, now) for leaf in on_disk
    )


def _right_names_on_disk(case: Case, _: Verdict) -> bool:
    on_disk = _on_its_disk(case)
    return bool(on_disk) and all(
        leaf.covers(name) for leaf in on_disk for name in case.host.plan.names
    )


CHECK = Check(
    id="certificate-not-reloaded",
    title="A renewed certificate is not served yet",
    severity=Severity.HIGH,
    rationale="The file was replaced and the daemon still serves what it read when it started: "
    "the day the old certificate expires clients are locked out, with a valid one on disk.",
    references=(
        "https://doc.dovecot.org/2.3/configuration_manual/dovecot_ssl_configuration/",
        "https://www.postfix.org/TLS_README.html",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    explains=(
        Explains(("certificate-expired", "certificate-expiring"), when=_newer_on_disk),
        Explains(("certificate-name-mismatch",), when=_right_names_on_disk),
    ),
    relay_severity=Severity.HIGH,
    remedies=(
        Remedy(
            "dovecot",
            "",
            "doveadm reload\nand let the renewal do it: certbot reconfigure --cert-name NAME "
            "--deploy-hook 'doveadm reload'",
            reload=True,
            proven=("Debian 12",),
        ),
        Remedy(
            "postfix",
            "",
            "postfix reload\nand let the renewal do it: certbot reconfigure --cert-name NAME "
            "--deploy-hook 'postfix reload'",
            reload=True,
        ),
    ),
)
