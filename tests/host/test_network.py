import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailwitness.evidence.host import Interface, ReversePath, Route
from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host import network as module
from mailwitness.host.network import network

ADDRESS = ("ip", "-j", "address")
RULES_4 = ("ip", "-j", "-4", "rule")
RULES_6 = ("ip", "-j", "-6", "rule")
ROUTES_4 = ("ip", "-j", "-4", "route", "show", "table", "main")
ROUTES_6 = ("ip", "-j", "-6", "route", "show", "table", "main")
USUAL = [{"src": "all", "table": name} for name in ("local", "main", "default")]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[tuple[str, ...], object]:
    said: dict[tuple[str, ...], object] = {
        ADDRESS: [
            {
                "ifname": "eth0",
                "flags": ["UP"],
                "addr_info": [
                    {"family": "inet", "local": "192.0.2.1", "prefixlen": 24},
                    {"family": "inet6", "local": "2001:db8::1", "prefixlen": 64},
                ],
            },
            {"ifname": "eth1", "flags": [], "addr_info": []},
        ],
        RULES_4: USUAL,
        RULES_6: USUAL,
        ROUTES_4: [
            {"dst": "default", "dev": "eth0", "metric": 100},
            {"dst": "198.51.100.0/24", "nexthops": [{"dev": "eth0"}, {"dev": "eth2"}]},
            {"type": "blackhole", "dst": "10.0.0.0/8"},
        ],
        ROUTES_6: [],
    }

    def run(argv: Sequence[str]) -> "str | Missing":
        answer = said[tuple(argv)]
        return answer if isinstance(answer, (str, Missing)) else json.dumps(answer)

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(module, "_SYSCTL", tmp_path)
    for name, value in {
        "ipv4/ip_forward": "1",
        "ipv6/conf/all/forwarding": "0",
        "ipv4/conf/all/rp_filter": "1",
        "ipv4/conf/default/rp_filter": "0",
        "ipv4/conf/eth0/rp_filter": "2",
        "ipv4/conf/eth1/rp_filter": "0",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    return said


@pytest.mark.usefixtures("answers")
def test_what_is_up_and_where_it_leads() -> None:
    found = network()
    assert found.interfaces == (Interface("eth0", ("192.0.2.1/24", "2001:db8::1/64")),)
    assert found.routes == (
        Route("4", "198.51.100.0/24", ("eth0", "eth2"), "unicast"),
        Route("4", "10.0.0.0/8", (), "blackhole"),
        Route("4", "default", ("eth0",), "unicast"),
    )
    assert (found.forwards, found.forwards_ipv6) == (True, False)


@pytest.mark.usefixtures("answers")
def test_the_higher_of_two_rp_filters_counts() -> None:
    assert network().reverse_path == (ReversePath("eth0", 2), ReversePath("eth1", 1))


@pytest.mark.parametrize(
    "rule", [{"src": "192.0.2.0", "table": "main"}, {"src": "all", "table": "vpn"}]
)
def test_policy_routing_is_missing_and_not_the_main_table(
    answers: dict[tuple[str, ...], object], rule: dict[str, str]
) -> None:
    answers[RULES_4] = [*USUAL, rule]
    found = network().routes
    assert isinstance(found, Missing)
    assert "policy routing" in found.reason


@pytest.mark.parametrize("wrong", [Missing("ip: not installed"), "Object unknown", "[[1]]"])
def test_what_ip_does_not_say_is_missing(
    answers: dict[tuple[str, ...], object], wrong: object
) -> None:
    answers[ADDRESS] = answers[ROUTES_4] = wrong
    found = network()
    assert isinstance(found.interfaces, Missing) or found.interfaces == ()
    assert isinstance(found.routes, Missing) or found.routes == ()


def test_settings_that_are_not_there_are_missing(
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[tuple[str, ...], object],  # noqa: ARG001
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(module, "_SYSCTL", tmp_path / "none")
    found = network()
    assert isinstance(found.forwards, Missing)
    assert isinstance(found.reverse_path, Missing)
    assert found.forwards_ipv6 is False
