"""The bridge that joins the lab's hosts with this machine."""

import subprocess
from pathlib import Path

BRIDGE = "mwlab0"
_ADDRESSES = ("10.203.0.1/24", "fd6d:7769:746e::1/64")


def up() -> None:
    """Make the bridge where it is not there."""
    # The machine's own packet filter must not see what passes between the hosts.
    for family in ("iptables", "ip6tables", "arptables"):
        switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}")
        if switch.exists():
            switch.write_text("0")
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        _ip("link", "add", BRIDGE, "type", "bridge")
        for address in _ADDRESSES:
            _ip("address", "add", address, "dev", BRIDGE, *(["nodad"] if ":" in address else []))
        _ip("link", "set", BRIDGE, "up")


def down() -> None:
    """Take the bridge away where it is there."""
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        _ip("link", "delete", BRIDGE)


def detach(name: str) -> None:
    """Take the bridge's end of a host's cable away; the kernel itself may take a while to."""
    cable = f"vb-{name}"[:15]  # systemd-nspawn(1); IFNAMSIZ is 16 with its zero
    if Path(f"/sys/class/net/{cable}").exists():
        subprocess.run(("ip", "link", "delete", cable), check=False, capture_output=True)


def _ip(*argv: str) -> None:
    subprocess.run(("ip", *argv), check=True)
