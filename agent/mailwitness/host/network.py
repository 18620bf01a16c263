"""Interfaces, routes and the few sysctls that decide whether a packet arrives and is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

from mailwitness.evidence.host import Interface, Network, ReversePath, Route
from mailwitness.evidence.missing import Missing
from mailwitness.host import command

_SYSCTL = Path("/proc/sys/net")
# The rules of a kernel that nobody gave others: ip-rule(8).
_USUAL_TABLES = {"local", "main", "default"}
MAX_ROUTES = 20_000  # a full table of the Internet's routes is not a mail host's


def network() -> Network:
    """What ip(8) and /proc/sys say; none of it needs root."""
    return Network(
        interfaces=_interfaces(),
        routes=_routes(),
        forwards=_switch("ipv4/ip_forward"),
        forwards_ipv6=_switch("ipv6/conf/all/forwarding") if _has_ipv6() else False,
        reverse_path=_reverse_path(),
    )


def _interfaces() -> Union[tuple[Interface, ...], Missing]:
    listed = _listed("ip", "-j", "address")
    if isinstance(listed, Missing):
        return listed
    return tuple(
        Interface(
            str(device["ifname"]),
            tuple(
                f"{info['local']}/{int(info['prefixlen'])}"
                for info in device.get("addr_info", ())
                if info.get("family") in ("inet", "inet6") and "local" in info
            ),
        )
        for device in listed
        if "ifname" in device and "UP" in device.get("flags", ())
    )


def _routes() -> Union[tuple[Route, ...], Missing]:
    """The main table of both families, most preferred first among routes to one network."""
    found: list[Route] = []
    for family, option in (("4", "-4"), ("6", "-6")):
        if family == "6" and not _has_ipv6():
            continue
        rules = _listed("ip", "-j", option, "rule")
        listed = _listed("ip", "-j", option, "route", "show", "table", "main")
        if isinstance(rules, Missing) or isinstance(listed, Missing):
            return rules if isinstance(rules, Missing) else listed  # type: ignore[return-value]
        other = {str(rule.get("table")) for rule in rules} - _USUAL_TABLES
        if other or any(rule.get("src") != "all" for rule in rules):
            return Missing("policy routing (ip rule) is in use, which one table does not tell")
        ordered = sorted(listed, key=lambda route: int(route.get("metric", 0)))
        found += (_route(family, route) for route in ordered)
    if len(found) > MAX_ROUTES:
        return Missing(f"more than {MAX_ROUTES} routes")
    return tuple(found)


def _route(family: str, route: dict[str, Any]) -> Route:
    hops = [hop.get("dev") for hop in route.get("nexthops", ())] or [route.get("dev")]
    return Route(
        family=family,  # type: ignore[arg-type]
        destination=str(route["dst"]),
        devices=tuple(str(device) for device in hops if device),
        type=str(route.get("type", "unicast")),
    )


def _listed(*argv: str) -> Union[list[dict[str, Any]], Missing]:
    answer = command.run(argv)
    if isinstance(answer, Missing):
        return answer
    try:
        # Some versions print nothing at all where there is nothing to list.
        listed = json.loads(answer or "[]")
    except ValueError:
        return Missing(f"{' '.join(argv)}: no JSON")
    return [entry for entry in listed if isinstance(entry, dict) and entry]


def _has_ipv6() -> bool:
    return (_SYSCTL / "ipv6").is_dir()


def _switch(name: str) -> Union[bool, Missing]:
    value = _number(_SYSCTL / name)
    return value if isinstance(value, Missing) else value != 0


def _reverse_path() -> Union[tuple[ReversePath, ...], Missing]:
    """The higher of the device's own setting and that of all: ip-sysctl, rp_filter."""
    settings: dict[str, int] = {}
    for name, value in _rp_filters():
        if isinstance(value, Missing):
            return value
        settings[name] = value
    if "all" not in settings:
        return Missing("rp_filter: the settings are not there")
    common = settings.pop("all")
    settings.pop("default", None)
    return tuple(ReversePath(name, max(value, common)) for name, value in sorted(settings.items()))


def _rp_filters() -> Iterator[tuple[str, Union[int, Missing]]]:
    for file in _SYSCTL.glob("ipv4/conf/*/rp_filter"):
        yield file.parent.name, _number(file)


def _number(file: Path) -> Union[int, Missing]:
    try:
        return int(file.read_text("ascii"))
    except OSError as error:
        return Missing(f"{file}: {error.strerror}")
    except ValueError:
        return Missing(f"{file}: no number")
