"""The packet filters in force, as the tools of each print them; nothing is interpreted here."""

from pathlib import Path
from typing import Union

from mailwitness.evidence.host import PacketFilter
from mailwitness.evidence.missing import Missing
from mailwitness.host import command


def packet_filter() -> PacketFilter:
    """All of nft, iptables (both back ends, both families) and ipset; several may be in force."""
    return PacketFilter(
        nft=command.run(("nft", "-j", "list", "ruleset")),
        iptables=_none_if_not_installed(command.run(("iptables-nft-save",))),
        ip6tables=_none_if_not_installed(command.run(("ip6tables-nft-save",))),
        iptables_legacy=_legacy("iptables-legacy-save", "/proc/net/ip_tables_names"),
        ip6tables_legacy=_legacy("ip6tables-legacy-save", "/proc/net/ip6_tables_names"),
        ipset=_ipset(),
    )


def _none_if_not_installed(answer: Union[str, Missing]) -> Union[str, Missing, None]:
    """iptables-nft's rules are nft tables and so in nft's answer: its absence hides nothing."""
    return None if isinstance(answer, command.NotInstalled) else answer


def _legacy(program: str, tables: str) -> Union[str, Missing, None]:
    """The kernel is asked first: the legacy tool loads modules and makes tables by listing them."""
    names: Union[str, Missing]
    try:
        names = Path(tables).read_text("ascii")
    except FileNotFoundError:
        return None
    except PermissionError:
        names = command.run(("cat", tables))  # it is root's, and sudo can be asked for it
    except OSError as error:
        names = Missing(f"{tables}: {error.strerror}")
    if isinstance(names, Missing):
        return names
    if not names.strip():
        return None
    # Before iptables 1.8 the legacy tool had the plain name.
    for name in (program, program.replace("-legacy", "")):
        if command.find(name):
            return command.run((name,))
    return Missing(f"{tables} names tables, and {program} is not installed")


def _ipset() -> Union[str, Missing, None]:
    """Where the module is not loaded there are no sets, and the tool would load it."""
    if not Path("/sys/module/ip_set").is_dir():
        return None
    return command.run(("ipset", "save"))
