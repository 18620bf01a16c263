from collections.abc import Sequence
from pathlib import Path

import pytest

from mailwitness.evidence.missing import Missing
from mailwitness.host import command
from mailwitness.host import packet_filter as module
from mailwitness.host.packet_filter import packet_filter


class Kernel:
    """The files by which the kernel tells what is loaded, and the programs that are installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, str | Missing] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(module, "Path", lambda path: Path(f"{folder}{path}"))
        monkeypatch.setattr(command, "run", self.run)
        monkeypatch.setattr(command, "find", self.programs.get)

    def run(self, argv: Sequence[str]) -> "str | Missing":
        self.asked.append(argv[0])
        return self.programs.get(argv[0], command.NotInstalled(f"{argv[0]}: not installed"))

    def has(self, path: str, text: str) -> None:
        file = Path(f"{self.folder}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "ascii")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    return Kernel(monkeypatch, tmp_path)


def test_without_nft_the_rules_are_not_known(kernel: Kernel) -> None:
    assert packet_filter().nft == command.NotInstalled("nft: not installed")
    assert "nft" in kernel.asked


def test_without_iptables_there_are_none_of_its_rules(kernel: Kernel) -> None:
    kernel.programs["nft"] = '{"nftables": []}'
    found = packet_filter()
    assert found.nft == '{"nftables": []}'
    assert (found.iptables, found.ip6tables) == (None, None)
    assert (found.iptables_legacy, found.ip6tables_legacy, found.ipset) == (None, None, None)


def test_a_tool_that_fails_is_missing_not_none(kernel: Kernel) -> None:
    kernel.programs["iptables-nft-save"] = Missing("iptables-nft-save: exit status 4")
    assert packet_filter().iptables == Missing("iptables-nft-save: exit status 4")


def test_tools_that_load_modules_are_not_run_unasked(kernel: Kernel) -> None:
    for program in ("iptables-legacy-save", "ip6tables-legacy-save", "iptables-save", "ipset"):
        kernel.programs[program] = "rules"
    kernel.has("/proc/net/ip_tables_names", "\n")
    packet_filter()
    assert set(kernel.asked) == {"nft", "iptables-nft-save", "ip6tables-nft-save"}


@pytest.mark.parametrize("program", ["iptables-legacy-save", "iptables-save"])
def test_legacy_tables_are_listed_by_whichever_tool_there_is(kernel: Kernel, program: str) -> None:
    kernel.has("/proc/net/ip_tables_names", "filter\n")
    kernel.programs[program] = "*filter\nCOMMIT\n"
    assert packet_filter().iptables_legacy == "*filter\nCOMMIT\n"
    assert packet_filter().ip6tables_legacy is None


def test_legacy_tables_without_their_tool_are_missing(kernel: Kernel) -> None:
    kernel.has("/proc/net/ip6_tables_names", "filter\n")
    found = packet_filter().ip6tables_legacy
    assert isinstance(found, Missing)
    assert "ip6tables-legacy-save is not installed" in found.reason


def test_sets_are_listed_where_the_module_is_loaded(kernel: Kernel) -> None:
    kernel.has("/sys/module/ip_set/refcnt", "1\n")
    assert packet_filter().ipset == command.NotInstalled("ipset: not installed")
    kernel.programs["ipset"] = "create allowed hash:net\n"
    assert packet_filter().ipset == "create allowed hash:net\n"
