"""The daemon does what its files say."""

from collections.abc import Iterator

from mailwitness.checks._versions import NEWEST, accepted_by_itself, named_in, offers
from mailwitness.correlate.endpoint import Configured
from mailwitness.evidence.host import ConfigurationFile, Daemon
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Observation, Session
from mailwitness.policy.check import Case, Check, Explains, Remedy, Scope
from mailwitness.policy.outcome import (
    NotKnownError,
    Severity,
    Verdict,
    Witness,
    failed,
    few,
    known,
    not_applicable,
    passed,
)
from mailwitness.resolver.offer import Offer


def _judge(case: Case) -> Verdict:
    """What is foretold of the files against the host's own handshake; the times say why."""
    setting = known(case.endpoint.configured)
    if setting is None:
        return not_applicable("nothing is configured here")
    running = known(case.endpoint.running)
    if not running.sockets:
        return not_applicable("nothing listens here")
    look = known(running.observation)
    session = known(look.session)
    daemon = known(setting.daemon)
    if daemon is None:
        raise NotKnownError(f"{setting.product} has no running master process: who answers here?")
    differences = list(_differences(setting, look, session))
    newer = _changed_since(setting, known(daemon.read_at))
    if not differences:
        return passed("the daemon does what its files say")
    if not newer:
        said = "; ".join(what for what, _ in differences)
        raise NotKnownError(
            f"the daemon does other than its files say ({said}), though none of them was "
            "written since it read them"
        )
    return failed(
        "the daemon has not read its files since they were changed",
        [
            *(Witness("configured", setting.source, what) for what, _ in differences),
            *(Witness("configured", file.path, f"written {file.modified_at}") for file in newer),
            *(Witness("running", _master(setting, daemon), what) for _, what in differences),
        ],
    )


def _differences(
    setting: Configured, look: Observation, session: Session
) -> Iterator[tuple[str, str]]:
    """What the files make of the port, and what the daemon does in its place."""
    offer = setting.offer_to(look.address, look.address)  # the host asks itself
    if isinstance(offer.tls, Missing):
        raise NotKnownError(offer.tls.reason)
    offers = offer.tls != "none"
    if offers != session.offers_tls:
        words = {True: "TLS is offered", False: "no TLS is offered"}
        yield words[offers], words[session.offers_tls]
    elif offers:
        yield from _versions(offer, session)


def _versions(offer: Offer, session: Session) -> Iterator[tuple[str, str]]:
    unknown = []
    for version in known(offer.versions):
        accepted = session.accepts(version.version)
        if isinstance(version.offered, Missing) or isinstance(accepted, Missing):
            unknown.append(version.version)
        elif version.offered != accepted:
            words = {True: f"{version.version} is accepted", False: f"{version.version} is refused"}
            yield f"{words[version.offered]} ({version.decided_by})", words[accepted]
    if len(unknown) == len(known(offer.versions)):
        raise NotKnownError(f"not known of {few(unknown)}")


def _changed_since(setting: Configured, read_at: str) -> list[ConfigurationFile]:
    """Files written after the daemon read them; times are to the second, in one notation."""
    files = list(setting.files)
    if not isinstance(setting.library, Missing):
        files.append(setting.library.configuration)
    return [
        file
        for file in files
        if not isinstance(file.modified_at, Missing) and file.modified_at > read_at
    ]


def _master(setting: Configured, daemon: Daemon) -> str:
    return f"{setting.product}, pid {daemon.pid}, read its files {daemon.read_at}"


def _refused_by_the_files(case: Case, legacy: Verdict) -> bool:
    """Whether the daemon itself accepts these versions and, once reloaded, will refuse each."""
    setting, versions = case.endpoint.configured, named_in(legacy)
    return (
        isinstance(setting, Configured)
        and bool(versions)
        and versions <= accepted_by_itself(case)
        and all(_says(offer, version) is False for offer in offers(setting) for version in versions)
    )


def _newest_in_the_files(case: Case, _: Verdict) -> bool:
    """Whether the daemon itself refuses it and, once reloaded, will accept it."""
    setting = case.endpoint.configured
    return (
        isinstance(setting, Configured)
        and NEWEST not in accepted_by_itself(case)
        and all(_says(offer, NEWEST) is True for offer in offers(setting))
    )


def _says(offer: Offer, version: str) -> bool | Missing:
    found = offer.version(version)
    return found if isinstance(found, Missing) else found.offered


CHECK = Check(
    id="config-not-reloaded",
    title="A changed configuration is not in force yet",
    severity=Severity.HIGH,
    rationale="The files say one thing and the running daemon does another: what was put right "
    "protects nobody yet, and the next restart changes what clients get without anyone near.",
    references=(
        "https://doc.dovecot.org/2.3/admin_manual/doveadm_arguments/",
        "https://www.postfix.org/postfix.1.html",
    ),
    scope=Scope.ENDPOINT,
    judge=_judge,
    always=True,
    explains=(
        Explains(("tls-legacy-version",), when=_refused_by_the_files),
        Explains(("tls-modern-version",), when=_newest_in_the_files),
    ),
    relay_severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            "dovecot",
            "",
            "doveconf -n >/dev/null && doveadm reload",
            reload=True,
            proven=("Debian 12",),
        ),
        Remedy(
            "postfix", "", "postfix check && postfix reload", reload=True, proven=("Debian 12",)
        ),
    ),
)
