"""Ports that are asked about together have the answer that each has alone."""

import pytest

from mailwitness.firewall.addresses import WIDTH, IntervalSet, between, single, union
from mailwitness.firewall.network import Interface, Listener, Network, Route
from mailwitness.firewall.reach import Capture, read
from mailwitness.firewall.verdict import first_networks, networks
from tests.firewall.cases import load

CASES = load()
PORTS = (22, 25, 26, 80, 110, 143, 465, 587, 993, 995, 2525, 8993)


@pytest.mark.parametrize("name", [*CASES][::9])
def test_each_port_alone(name: str) -> None:
    case = CASES[name]
    together = read(case.capture)
    places = {(query.address, query.interface) for query in case.queries}
    for address, interface in sorted(places)[:2]:
        for port in {*PORTS, *(query.port for query in case.queries)}:
            asked = case.network, address, port, interface
            assert together.reach(*asked) == read(case.capture).reach(*asked)


def test_where_nothing_listens_the_port_is_named() -> None:
    listeners = frozenset({Listener(4, None, 993)})
    network = Network(
        (Interface("eth0", ("192.0.2.10/24",)),),
        routes=(Route(4, "default", ("eth0",)),),
        listeners=listeners,
        forwards=False,
        reverse_path=(("eth0", 0),),
    )
    firewall = read(Capture())
    for port in (110, 143, 995):
        (share,) = {
            str(share.decided_by)
            for share in firewall.reach(network, "192.0.2.10", port, "eth0").shares
            if "listens" in str(share.decided_by)
        }
        assert share == f"nothing listens on 192.0.2.10 port {port}"


@pytest.mark.parametrize(
    ("family", "members"),
    [
        (4, IntervalSet(())),
        (4, IntervalSet((0, 1 << 32))),
        (4, ~single(3232235777)),
        (4, union((between(1, 6), between(9, 9), between(1 << 31, (1 << 32) - 2)))),
        (6, ~single(1 << 77)),
        (6, between(5, 1 << 127)),
    ],
)
def test_networks_are_counted_as_they_are_written_out(family: int, members: IntervalSet) -> None:
    within = members & IntervalSet((0, 1 << WIDTH[family]))
    whole = tuple(networks(family, within))
    listed, more = first_networks(family, within, 3)
    assert (listed, more) == (whole[:3], max(len(whole) - 3, 0))
