"""The tool that a host's packet filter is written with, and words that are safe to paste."""

import pytest

from mailwitness.checks._firewall_remedies import tool
from mailwitness.evidence.host import PacketFilter
from mailwitness.evidence.missing import Missing


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (PacketFilter('{"nftables": []}', None, None, None, None, None), "nft"),
        (
            PacketFilter('{"table": {"name": "firewalld"}}', None, None, None, None, None),
            "firewalld",
        ),
        (PacketFilter("", ":ufw-before-input - [0:0]", None, None, None, None), "ufw"),
        (PacketFilter("", None, None, ":LOCALINPUT - [0:0]\n:ALLOWIN - [0:0]", None, None), "csf"),
        (PacketFilter("", None, None, ":shorewall - [0:0]\n-A INPUT", None, None), "shorewall"),
        (PacketFilter("", None, None, "-A INPUT -j ACCEPT", None, None), "iptables"),
        (PacketFilter("", None, None, ":INPUT_ZONES - [0:0]", None, None), "firewalld"),
        (PacketFilter(Missing("x"), Missing("x"), None, None, None, None), "nft"),
    ],
)
def test_the_tool_is_known_by_what_it_makes(found: PacketFilter, expected: str) -> None:
    assert tool(found) == expected
