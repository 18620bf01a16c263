"""The commands that need root, and what to say where root is lacking.

Each stands in docs/sudoers: with that file, and `--sudo`, an ordinary login gets all that
root gets. They print what the kernel or a daemon says and can be given nothing to change.
"""

from collections.abc import Sequence

DOCUMENT = "docs/without-root.md"
# Who holds which socket, in which network namespace, and by which program. Depth 3 is
# /proc/PID/fd/N and /proc/PID/ns/net.
LINKS = (
    *("find", "/proc", "-mindepth", "2", "-maxdepth", "3"),
    *("-lname", "socket*", "-ls", "-o", "-lname", "net*", "-ls", "-o", "-name", "exe", "-ls"),
)
# The root directory of each process, as device and inode.
ROOTS = (
    *("find", "-L", "/proc", "-mindepth", "2", "-maxdepth", "2"),
    *("-name", "root", "-printf", "%p/%D/%i/"),
)
# A word that may be any jail's name.
NAME = "*"

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("nft", "-j", "list", "ruleset"),
    ("iptables-nft-save",),
    ("ip6tables-nft-save",),
    ("iptables-legacy-save",),
    ("ip6tables-legacy-save",),
    ("iptables-save",),  # the legacy tool's name before iptables 1.8
    ("ip6tables-save",),
    ("ipset", "save"),
    ("cat", "/proc/net/ip_tables_names"),
    ("cat", "/proc/net/ip6_tables_names"),
    ("fail2ban-client", "status"),
    ("fail2ban-client", "status", NAME),
    LINKS,
    ROOTS,
)


def needs_root(argv: Sequence[str]) -> bool:
    """Whether the command is one of those that only root is answered."""
    return tuple(argv) in COMMANDS or (*argv[:-1], NAME) in COMMANDS


def how(program: str, argv: Sequence[str]) -> str:
    """What gives an ordinary login the answer."""
    return f"needs root, or sudo ({DOCUMENT}) for: {' '.join((program, *argv[1:]))}"
