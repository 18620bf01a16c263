"""The bridge that joins the lab's hosts with this machine, and says whose lab is up."""

import subprocess
from pathlib import Path

from tests.lab.command import run
from tests.lab.errors import LabError

BRIDGE = "mwlab0"
ADDRESSES = ("10.203.0.1", "fd6d:7769:746e::1")
_DEVICE = Path("/sys/class/net") / BRIDGE


def claim(state: Path) -> None:
    """See that no other lab is up: addresses, cables and control groups have the same names.

    The bridge bears the folder of its lab as its alias; one without is nobody's.

    Raises:
        LabError: the lab of another folder is up.
    """
    try:
        owner = (_DEVICE / "ifalias").read_text().strip()
    except OSError:
        return
    if owner and owner != str(state):
        raise LabError(
            f"the lab of {owner} is up on this machine, and there can be one; "
            f"to end it: python -m tests.lab --state {owner} down"
        )


def up(state: Path) -> None:
    """Make the bridge where it is not there, for the lab of that folder."""
    # The machine's own packet filter must not see what passes between the hosts.
    for family in ("iptables", "ip6tables", "arptables"):
        switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}")
        if switch.exists():
            switch.write_text("0")
    if not _DEVICE.exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        for address, length in zip(ADDRESSES, (24, 64), strict=True):
            nodad = ["nodad"] if ":" in address else []
            run("ip", "address", "add", f"{address}/{length}", "dev", BRIDGE, *nodad)
    run("ip", "link", "set", BRIDGE, "alias", str(state))
    run("ip", "link", "set", BRIDGE, "up")


def down() -> None:
    """Take the bridge away where it is there."""
    if _DEVICE.exists():
        run("ip", "link", "delete", BRIDGE)


def detach(name: str) -> None:
    """Take the bridge's end of a host's cable away; the kernel itself may take a while to."""
    cable = f"vb-{name}"[:15]  # systemd-nspawn(1); IFNAMSIZ is 16 with its zero
    if Path(f"/sys/class/net/{cable}").exists():
        subprocess.run(("ip", "link", "delete", cable), check=False, capture_output=True)
