"""This machine's own tools, and why they cannot be used where they cannot."""

import ctypes
import ctypes.util
import os
import shutil
import subprocess

TOOLS = {
    "ip": "iproute2",
    "nft": "nftables",
    "iptables-legacy-restore": "iptables",
    "iptables-nft-restore": "iptables",
    "ipset": "ipset",
}


class ToolError(Exception):
    """A command failed; the message has its words."""


def run(*argv: str, stdin: str = "") -> str:
    """The output of a command. Raises ToolError."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise ToolError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def unavailable() -> str | None:
    """Why the kernel cannot be asked on this machine, with what to do; None where it can."""
    if os.geteuid() != 0:
        return "real packets through real packet filters need root"
    absent = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if absent:
        return f"packages are missing: apt-get install {' '.join(absent)}"
    if ctypes.util.find_library("nftables") is None:
        return "the library libnftables is missing: apt-get install nftables"
    try:
        run("unshare", "-n", "true")
        run("unshare", "-n", "nft", "add", "table", "inet", "t")
    except ToolError as error:
        return f"no packet filter of one's own here: {error}"
    return None
