"""Puts packet filters in force in the current network namespace, and captures them."""

import ctypes
import ctypes.util
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailwitness.firewall.reach import Capture
from tests.firewall.kernel.tools import ToolError, run

JSON_OUTPUT = 1 << 4  # nftables/libnftables.h
COMMANDS = {4: "iptables", 6: "ip6tables"}
HOOKS: Mapping[str, tuple[str, ...]] = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
EMPTY = "".join(
    f"*{table}\n" + "".join(f":{hook} ACCEPT [0:0]\n" for hook in hooks) + "COMMIT\n"
    for table, hooks in HOOKS.items()
)


@dataclass(frozen=True)
class Ruleset:
    """What the tools are given: nft's commands, and the lines for the restore commands.

    An nft command that nft refuses is left out; a text is loaded as a whole or not at all.
    """

    nft: tuple[str, ...] = ()
    legacy: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # by family
    nft_back_end: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    translated: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # to nft, by the tool
    sets: tuple[str, ...] = ()


class Filters:
    """The packet filters of the network namespace that this is made in.

    With the root of another Debian, that one's nft makes and lists them: versions differ in both.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        library = ctypes.CDLL(ctypes.util.find_library("nftables"))
        library.nft_ctx_new.restype = ctypes.c_void_p
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).restype = ctypes.c_char_p
        self._library = library
        # Its socket stays in this namespace.
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)
        self._legacy_used = False
        self.refused: list[str] = []

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)

    def nft(self, command: str, *, json: bool = False) -> str | None:
        """What nft prints; None if it refuses."""
        if self._root is not None:
            return self._nft_of_root(command, json=json)
        self._library.nft_ctx_output_set_flags(self._context, JSON_OUTPUT if json else 0)
        status = self._library.nft_run_cmd_from_buffer(self._context, command.encode())
        said = self._library.nft_ctx_get_output_buffer(self._context)
        error = self._library.nft_ctx_get_error_buffer(self._context)
        if status:
            self.refused.append(f"{command}: {error.decode(errors='replace').splitlines()[:1]}")
            return None
        return str(said.decode())

    def load(self, ruleset: Ruleset) -> Capture:
        """Puts these filters in force, and no others. Raises ToolError if a text is refused."""
        self.clear()
        if ruleset.sets:
            self._legacy_used = True
            run("ipset", "restore", stdin=_text(ruleset.sets))
        saved: dict[str, str] = {}
        for tool, texts in (("legacy", ruleset.legacy), ("nft", ruleset.nft_back_end)):
            for family, lines in texts.items():
                self._legacy_used = True
                run(f"{COMMANDS[family]}-{tool}-restore", stdin=_text(lines))
            for family in texts:
                command = COMMANDS[family]
                saved[f"{command}_{tool}"] = run(f"{command}-{tool}-save")
        for family, lines in ruleset.translated.items():
            tool = f"{COMMANDS[family]}-restore-translate"
            for command in run(tool, "-f", "/dev/stdin", stdin=_text(lines)).splitlines():
                if not command.startswith("#"):
                    self.nft(command)
        for command in ruleset.nft:
            self.nft(command)
        native = None
        if ruleset.nft or ruleset.translated or ruleset.nft_back_end:
            native = self.nft("list ruleset", json=True)
        saved_sets = run("ipset", "save") if ruleset.sets else None
        return Capture(
            native,
            saved.get("iptables_nft"),
            saved.get("ip6tables_nft"),
            saved.get("iptables_legacy"),
            saved.get("ip6tables_legacy"),
            saved_sets,
        )

    def _nft_of_root(self, command: str, *, json: bool) -> str | None:
        try:
            return run("chroot", str(self._root), "nft", *(("-j",) if json else ()), command)
        except ToolError as error:
            self.refused.append(f"{command}: {str(error)[-100:]}")
            return None

    def capture(self) -> Capture:
        """All there is, whoever made it."""
        saved = {
            f"{command}_{tool}": run(f"{command}-{tool}-save")
            for command in COMMANDS.values()
            for tool in ("nft", "legacy")
        }
        return Capture(
            self.nft("list ruleset", json=True),
            saved["iptables_nft"],
            saved["ip6tables_nft"],
            saved["iptables_legacy"],
            saved["ip6tables_legacy"],
            run("ipset", "save") or None,
        )

    def clear(self) -> None:
        """No filter at all."""
        self.nft("flush ruleset")
        if not self._legacy_used:
            return
        for command in COMMANDS.values():
            run(f"{command}-legacy-restore", stdin=EMPTY)
        # A list holds on to its members; and the kernel lets go of sets a little later.
        run("ipset", "flush")
        for wait in (0.0, 0.02, 0.1, 0.5, 2.0):
            time.sleep(wait)
            try:
                run("ipset", "destroy")
            except ToolError:
                continue
            break
        else:
            raise ToolError("ipset destroy: the sets stay in use")
        self._legacy_used = False


def _text(lines: tuple[str, ...]) -> str:
    return "\n".join(lines) + "\n"
