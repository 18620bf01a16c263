"""From the variables of hosts to the plan of a run, with all that is wrong told before contact."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mailwitness.correlate.allowlist_file import allowlist
from mailwitness.evidence import folder
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.names import client_names
from mailwitness.evidence.run import Allowlist, PlannedHost
from mailwitness.evidence.services import DEFAULT_PORTS
from mailwitness.notify.contact import contacts
from mailwitness.policy.profile import ProfileError
from mailwitness.policy.waiver import WaiverError
from mailwitness.policy.waiver import read as read_waivers
from mailwitness.probe.targets import fingerprint

Variables = Mapping[str, Any]  # of one host, templates resolved

MAIL, VANTAGE = "mail", "vantage"  # the two groups that count
EVIDENCE = "evidence"  # in the folder of a run
_HIGHEST_PORT = 65535


class InventoryError(Exception):
    """What the inventory says cannot be done; the message names the host and the variable."""

    def __init__(self, host: str, problem: object) -> None:
        super().__init__(f"Inventory of {host}: {problem}")


def planned_host(name: str, its: Variables) -> PlannedHost:
    """The host as the plan has it.

    Raises:
        InventoryError: a variable is wrong, or a file that it names.
    """
    address = str(its.get("ansible_host") or name)
    try:
        names = _list(its, "mailwitness_names")
        ports = tuple(map(_port, _list(its, "mailwitness_ports"))) or DEFAULT_PORTS
        return PlannedHost(
            name=name,
            address=address,
            groups=tuple(map(str, its.get("group_names") or ())),
            names=tuple(map(str, names)) if names else client_names((name, address)),
            ports=ports,
            policies=tuple(
                file.stem if (file := _policy_file(given, its)) else given
                for given in _policies(its)
            ),
            trust_store=_trust_store(its),
            allowlists=_allowlists(its, ports),
            contacts=contacts(its.get("mailwitness_contacts") or ()),
        )
    except (TypeError, ValueError) as error:
        raise InventoryError(name, error) from error


def keep(hosts: Mapping[str, Variables], evidence: Path) -> None:
    """Copy the policies and waivers beside the evidence: it can be judged by them anywhere.

    Raises:
        InventoryError: one of them is wrong.
    """
    for name, its in hosts.items():
        for given in policies(name, its):
            kept = folder.policies(evidence) / given.name
            text = given.read_text("utf-8")
            if kept.exists() and kept.read_text("utf-8") != text:
                raise InventoryError(
                    name,
                    f"mailwitness_policies: {given}: another policy of the name {given.stem} is "
                    "in use",
                )
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(text, "utf-8")
    # Each file once, however many hosts name it.
    files = dict.fromkeys(file for name, its in hosts.items() for file in waivers(name, its))
    for number, file in enumerate(files, start=1):
        kept = folder.waivers(evidence) / str(number) / file.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(file.read_text("utf-8"), "utf-8")


def policies(name: str, its: Variables) -> list[Path]:
    """The host's own policy files.

    Raises:
        InventoryError: a policy, of a file or not, is wrong.
    """
    found = []
    try:
        for given in _policies(its):
            file = _policy_file(given, its)
            _see_to_policy(str(file or given))
            if file:
                found.append(file)
    except TypeError as error:
        raise InventoryError(name, error) from error
    except ProfileError as error:
        raise InventoryError(name, f"mailwitness_policies: {error}") from error
    return found


def waivers(name: str, its: Variables) -> list[Path]:
    """The file of waivers that the host names, if it does.

    Raises:
        InventoryError: it is wrong.
    """
    given = its.get("mailwitness_waivers")
    if not given:
        return []
    file = _from_inventory(str(given), its)
    try:
        read_waivers(file, _checks())
    except WaiverError as error:
        raise InventoryError(name, f"mailwitness_waivers: {error}") from error
    return [file]


def account(name: str, its: Variables) -> dict[str, Any] | None:
    """The host's test account as the probe reads it; it is on no page and in no message.

    Raises:
        InventoryError: it is not as it should be.
    """
    given = its.get("mailwitness_login")
    if not given:
        return None
    try:
        certificates = [fingerprint(str(each)) for each in given.get("certificates") or ()]
        user, password = str(given["user"]), str(given["password"])
    except (AttributeError, KeyError, TypeError):
        expected = "user and password are expected, and certificates as a list"
        raise InventoryError(name, f"mailwitness_login: {expected}") from None
    except ValueError as error:
        raise InventoryError(name, f"mailwitness_login: {error}") from None
    return {
        "user": user,
        "password": password,
        "certificates": certificates,
        "trust_store": _trust_store(its),
    }


def output_folder(given: str | Path | None, inventory_dir: str | None, started: datetime) -> Path:
    """The folder of this run, made; evidence of configurations is not for every local user."""
    if given:
        output = Path(given).expanduser().absolute()
        output.mkdir(parents=True, exist_ok=True, mode=0o700)
        return output
    base = Path(inventory_dir or ".").absolute() / "reports"
    output = base / started.strftime("%Y-%m-%dT%H%M%SZ")
    output.mkdir(parents=True, exist_ok=True, mode=0o700)
    link, unfinished = base / "latest", base / ".latest"
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(output.name)
    unfinished.replace(link)
    return output


# The checks, and what reads certificates, take a third of a second to import, and most inventories
# name no policy, no waivers and no CA.


def _see_to_policy(policy: str) -> None:
    from mailwitness.checks import all_checks  # noqa: PLC0415
    from mailwitness.policy.audit import load_policy  # noqa: PLC0415

    load_policy(policy, all_checks())


def _checks() -> list[str]:
    from mailwitness.checks import all_checks  # noqa: PLC0415

    return [check.id for check in all_checks()]


def _store_problem(pem: str) -> str | None:
    from mailwitness.correlate.trust import given_store  # noqa: PLC0415

    store = given_store(pem)
    return store.reason if isinstance(store, Missing) else None


def _port(given: object) -> int:
    try:
        port = int(str(given))
    except ValueError:
        port = 0
    if not 1 <= port <= _HIGHEST_PORT:
        raise ValueError(f"mailwitness_ports: {given!a} is no port number")
    return port


def _list(its: Variables, variable: str) -> Iterable[Any]:
    given = its.get(variable) or ()
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{variable}: a list is expected")
    return given


def _policies(its: Variables) -> tuple[str, ...]:
    return tuple(map(str, _list(its, "mailwitness_policies")))


def _policy_file(policy: str, its: Variables) -> Path | None:
    """Where a policy of one's own lies."""
    return _from_inventory(policy, its) if policy.endswith(".toml") else None


def _allowlists(its: Variables, ports: tuple[int, ...]) -> tuple[Allowlist, ...]:
    return tuple(
        allowlist(entry, f"mailwitness_allowlists entry {number}", _folder(its), ports)
        for number, entry in enumerate(_list(its, "mailwitness_allowlists"), start=1)
    )


def _trust_store(its: Variables) -> str | None:
    given = its.get("mailwitness_trust_store")
    if not given:
        return None
    try:
        pem = Path(str(given)).expanduser().read_text("utf-8")
    except OSError as error:
        raise ValueError(f"mailwitness_trust_store: {given}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"mailwitness_trust_store: {given}: not PEM") from None
    if problem := _store_problem(pem):
        raise ValueError(f"{given}: {problem}")
    return pem


def _from_inventory(path: str, its: Variables) -> Path:
    """Files are named from the inventory's folder on."""
    return _folder(its) / Path(path).expanduser()


def _folder(its: Variables) -> Path:
    return Path(str(its.get("inventory_dir") or ".")).absolute()
