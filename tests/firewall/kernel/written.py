"""Rulesets as the usual front ends write them, recorded with this kernel's answers.

    python -m tests.firewall.kernel.written ROOT tests/firewall/cases [PART OF A NAME]

ROOT is the root of a Debian with ufw, firewalld, fail2ban, shorewall, shorewall6, dbus, iptables,
ipset and nftables installed, CSF from its published sources, and /proc and /dev mounted; its
configuration is changed.
"""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.firewall.cases import to_document, write
from tests.firewall.kernel.corners import CLIENTS, ODD_SOURCES
from tests.firewall.kernel.filters import Filters
from tests.firewall.kernel.namespaces import Host, Probe
from tests.firewall.kernel.scene import CONTAINER, OUTER, PLAIN
from tests.firewall.kernel.tools import ToolError, run

PORTS = (22, 25, 110, 143, 465, 587, 993, 995, 1993)
WAIT_SECONDS = 20.0

UFW = "ufw --force reset; ufw logging off;"
FIREWALLD = """offline() { firewall-offline-cmd "$@" >/dev/null; }
rich() { offline --zone=public --add-rich-rule="rule $*"; }"""
ALLOWLIST = "203.0.113.0/26", "2a00:1450::/32"
# A file from its lines, for one of Shorewall's two halves; and both halves started.
SHOREWALL = r"""put() { printf '%s\n' "${@:2}" >"/etc/$1"; }
both() { put "shorewall/$1" "${@:2}"; put "shorewall6/$1" "${@:2}"; }
set_to() { sed -i "s/^$1=.*/$1=$2/" /etc/shorewall/shorewall.conf /etc/shorewall6/shorewall6.conf; }
for file in zones interfaces policy rules blrules hosts snat; do rm -f /etc/shorewall*/$file; done
put shorewall/zones 'fw firewall' 'net ipv4' 'loc ipv4' 'dock ipv4'
put shorewall6/zones 'fw firewall' 'net ipv6' 'loc ipv6' 'dock ipv6'
both interfaces '?FORMAT 2' 'net eth0 tcpflags,nosmurfs' 'loc eth1 tcpflags' 'dock docker0 bridge'
both policy 'fw all ACCEPT' 'net all DROP' 'loc fw REJECT' 'all all REJECT'
set_to OPTIMIZE All; set_to FASTACCEPT No; set_to DYNAMIC_BLACKLIST Yes
go() { shorewall start; shorewall6 start; }"""
CSF = r"""echo nameserver 192.0.2.53 >/etc/resolv.conf; touch /etc/crontab; csf -x
rm -f /etc/csf/csf.disable; : >/etc/csf/csf.allow; : >/etc/csf/csf.deny; : >/etc/csf/csf.redirect
ipset destroy
conf() { sed -i "s|^$1 = .*|$1 = \"$2\"|" /etc/csf/csf.conf; }
conf TESTING 0; conf IPV6 1; conf LF_IPSET 0; conf TCP_IN 25,110; conf TCP6_IN 25
conf CONNLIMIT ''; conf PORTFLOOD ''; conf SYNFLOOD 0; conf ETH_DEVICE ''; conf LF_SPI 1
conf PACKET_FILTER 1; conf DROP DROP; conf DOCKER 0; conf FASTSTART 1; conf IPV6_SPI 1
line() { printf '%s\n' "${@:2}" >>/etc/csf/csf.$1; }"""
# By name: what runs, and which iptables ufw, fail2ban and firewalld find.
SCENARIOS: Mapping[str, tuple[str, str]] = {
    "ufw-deny-and-allowlist": (
        "nft",
        f"""{UFW} ufw default deny incoming; ufw allow 25/tcp; ufw limit 22/tcp
        ufw allow proto tcp from {ALLOWLIST[0]} to any port 993
        ufw allow proto tcp from {ALLOWLIST[1]} to any port 993,995
        ufw allow in on eth1 to any port 143 proto tcp
        ufw insert 1 deny from 203.0.113.5
        ufw reject proto tcp from 10.1.0.0/16 to any port 465
        ufw allow 465/tcp; ufw --force enable""",
    ),
    "ufw-legacy-app-profiles": (
        "legacy",
        f"""{UFW} ufw default deny incoming; ufw allow IMAPS; ufw allow 'Mail submission'
        ufw allow from 10.1.2.3 to 192.0.2.10 port 110 proto tcp; ufw deny out 25/tcp
        ufw allow 100:200/tcp; ufw --force enable""",
    ),
    "ufw-default-allow": (
        "nft",
        f"""{UFW} ufw default allow incoming; ufw deny 110/tcp; ufw reject 143/tcp
        ufw deny from 2001:db8:5::/48 to any port 993 proto tcp; ufw default allow routed
        ufw route deny in on eth1 out on docker0 to any port 25 proto tcp; ufw --force enable""",
    ),
    "firewalld-services-and-rich-rules": (
        "nft",
        f"""{FIREWALLD}
        offline --set-default-zone=public
        offline --zone=public --add-service=smtp; offline --zone=public --add-port=465/tcp
        rich family=ipv4 source address={ALLOWLIST[0]} port port=993 protocol=tcp accept
        rich family=ipv6 source address={ALLOWLIST[1]} port port=993 protocol=tcp accept
        rich family=ipv4 source address=203.0.113.77 drop
        rich priority=-5 family=ipv4 source address=203.0.113.5 port port=995 protocol=tcp accept
        rich family=ipv4 source NOT address=10.0.0.0/8 port port=110 protocol=tcp reject
        offline --zone=public --add-port=110/tcp""",
    ),
    "firewalld-zones-and-sets": (
        "nft",
        f"""{FIREWALLD}
        offline --new-ipset=vendor --type=hash:net --family=inet
        offline --ipset=vendor --add-entry={ALLOWLIST[0]}
        offline --ipset=vendor --add-entry=10.1.2.0/24
        offline --new-ipset=vendor6 --type=hash:net --family=inet6
        offline --ipset=vendor6 --add-entry={ALLOWLIST[1]}
        offline --new-zone=mail; offline --zone=mail --add-port=993/tcp
        offline --zone=mail --add-source=ipset:vendor
        offline --zone=mail --add-source=ipset:vendor6
        offline --zone=drop --add-source=203.0.113.77
        offline --zone=internal --add-interface=eth1; offline --zone=internal --add-port=143/tcp
        offline --zone=trusted --add-source=2001:db8:5:7::/64
        offline --zone=public --add-interface=eth0
        offline --zone=public --add-forward-port=port=1993:proto=tcp:toport=993
        offline --zone=public --add-forward-port=port=25:proto=tcp:toport=25:toaddr={CONTAINER[0]}
        offline --zone=public --set-target=DROP""",
    ),
    "firewalld-by-iptables": (
        "nft",
        f"""{FIREWALLD}
        sed -i 's/^FirewallBackend=.*/FirewallBackend=iptables/' /etc/firewalld/firewalld.conf
        offline --zone=public --add-service=imaps
        rich family=ipv4 source address={ALLOWLIST[0]} port port=995 protocol=tcp accept
        offline --zone=block --add-source=203.0.113.5; offline --zone=work --add-interface=eth1
        offline --zone=work --add-port=25/tcp""",
    ),
    "shorewall-zones": (
        "nft",
        rf"""{SHOREWALL}
        put shorewall/rules 'SMTP(ACCEPT) net fw' 'ACCEPT net:{ALLOWLIST[0]} fw tcp 993,995' \
          'DROP net:203.0.113.5 fw tcp 995' 'ACCEPT net:!10.0.0.0/8 fw tcp 110' \
          'ACCEPT loc fw tcp 143' 'DNAT net dock:{CONTAINER[0]} tcp 465' \
          'REDIRECT net 993 tcp 1993' 'REJECT net fw tcp 587'
        put shorewall6/rules 'SMTP(ACCEPT) net fw' 'ACCEPT net:[{ALLOWLIST[1]}] fw tcp 993,995' \
          'ACCEPT loc fw tcp 143'; go""",
    ),
    "shorewall-legacy-blacklists-and-sets": (
        "legacy",
        rf"""{SHOREWALL}
        ipset create vendor hash:net -exist; ipset add vendor {ALLOWLIST[0]} -exist
        ipset add vendor 10.1.2.0/24 -exist; ipset create vendor6 hash:net family inet6 -exist
        ipset add vendor6 {ALLOWLIST[1]} -exist
        put shorewall/rules 'ACCEPT net:+vendor fw tcp 993,995' 'SMTP(ACCEPT) net fw' \
          'ACCEPT net:203.0.113.64-203.0.113.90 fw tcp 143' \
          'ACCEPT net fw tcp 110 ; mark=0' 'IMAPS(ACCEPT) loc fw'
        put shorewall6/rules 'ACCEPT net:+vendor6 fw tcp 993,995' 'SMTP(ACCEPT) net fw'
        put shorewall/blrules 'DROP net:203.0.113.5 all' 'WHITELIST net:10.1.2.3 all' \
          'DROP net:10.0.0.0/8 all tcp 25'; go; shorewall drop 203.0.113.77""",
    ),
    "shorewall-nested-zones": (
        "nft",
        rf"""{SHOREWALL}; set_to OPTIMIZE 0; set_to FASTACCEPT Yes
        put shorewall/zones 'fw firewall' 'net ipv4' 'ven:net ipv4' 'loc ipv4' 'dock ipv4'
        put shorewall6/zones 'fw firewall' 'net ipv6' 'ven:net ipv6' 'loc ipv6' 'dock ipv6'
        put shorewall/hosts 'ven eth0:{ALLOWLIST[0]},10.1.0.0/16'
        put shorewall6/hosts 'ven eth0:[{ALLOWLIST[1]}]'
        both policy 'fw all ACCEPT' 'ven fw CONTINUE' 'net fw DROP' 'loc all ACCEPT' \
          'all all REJECT'
        both rules 'ACCEPT ven fw tcp 993,995' 'SMTP(ACCEPT) net fw' 'DROP loc fw tcp 110' \
          'ACCEPT net fw tcp 22 - - 3/min:5'; go""",
    ),
    "csf-ports-and-allowlist": (
        "nft",
        f"""{CSF}
        line allow 'tcp|in|d=993|s={ALLOWLIST[0]}' 'tcp|in|d=993,995|s={ALLOWLIST[1]}' 10.1.2.3
        line deny 203.0.113.5 'tcp|in|d=25|s=203.0.113.77'; csf -s""",
    ),
    "csf-legacy-sets": (
        "legacy",
        f"""{CSF}; conf LF_IPSET 1; conf FASTSTART 0; conf DROP REJECT
        line allow 10.1.2.0/24 'tcp|in|d=995|s={ALLOWLIST[0]}' 2001:db8:5:7::/64
        line deny 203.0.113.5 203.0.113.64/29 2a00:1450::1
        line redirect '*|1993|*|993|tcp'; conf TCP_IN 25,110,993; csf -s""",
    ),
    "csf-limits-and-device": (
        "nft",
        f"""{CSF}; conf ETH_DEVICE eth0; conf CONNLIMIT '110;5'; conf PORTFLOOD '143;tcp;9;300'
        conf TCP_IN 25,110,143,993; conf TCP6_IN 25,993; conf SYNFLOOD 1
        line deny {ALLOWLIST[0]}; line allow 203.0.113.5; csf -s""",
    ),
    "fail2ban-nftables": ("nft", "nftables-multiport"),
    "fail2ban-nftables-allports": ("nft", "nftables-allports"),
    "fail2ban-iptables": ("nft", "iptables-multiport"),
    "fail2ban-iptables-legacy-allports": ("legacy", "iptables-allports"),
    "fail2ban-ipset": ("nft", "iptables-ipset-proto6"),
}
JAILS = """[DEFAULT]
backend = polling
banaction = {action}
banaction_allports = {action}
bantime = 1h
ignoreip =
[imap]
enabled = true
filter = dovecot
port = 143,993
logpath = /var/log/mail.log
[smtp]
enabled = true
filter = postfix
port = 25,465,587
logpath = /var/log/mail.log
"""
BANS = (
    ("imap", "203.0.113.5"),
    ("imap", "10.1.2.0/24"),
    ("imap", "2001:db8:5::5"),
    ("smtp", "203.0.113.77"),
    ("smtp", "2a00:1450::1"),
)


class Root:
    """The other file system; its programs run in this process's network namespace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = {
            name: (path / name).read_bytes()
            for name in ("etc/firewalld/firewalld.conf", "etc/fail2ban/jail.conf")
        }

    def shell(self, script: str) -> str:
        return run("chroot", str(self._path), "/bin/bash", "-c", script)

    @contextlib.contextmanager
    def _daemon(self, *argv: str) -> Iterator[None]:
        with subprocess.Popen(
            ("chroot", str(self._path), *argv),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as daemon:
            try:
                yield
            finally:
                daemon.terminate()
                daemon.wait(WAIT_SECONDS)

    @contextlib.contextmanager
    def running(self, name: str, tool: str, script: str) -> Iterator[None]:
        """The scenario, in force."""
        for command in ("iptables", "ip6tables"):
            self.shell(f"update-alternatives --quiet --set {command} /usr/sbin/{command}-{tool}")
        for file, content in self._kept.items():
            (self._path / file).write_bytes(content)
        match name.partition("-")[0]:
            case "ufw" | "shorewall" | "csf" | "nft" | "iptables":
                self.shell(script)
                yield
            case "firewalld":
                with self._firewalld(script):
                    yield
            case _:
                with self._fail2ban(script):
                    yield

    @contextlib.contextmanager
    def _firewalld(self, script: str) -> Iterator[None]:
        for folder in ("zones", "ipsets", "policies"):
            shutil.rmtree(self._path / "etc/firewalld" / folder, ignore_errors=True)
            (self._path / "etc/firewalld" / folder).mkdir()
        self.shell(script)
        self.shell("mkdir -p /run/dbus; rm -f /run/dbus/pid")
        with self._daemon("dbus-daemon", "--system", "--nofork"):
            self._until(
                "dbus-send --system --dest=org.freedesktop.DBus --print-reply / "
                "org.freedesktop.DBus.ListNames"
            )
            with self._daemon("firewalld", "--nofork", "--nopid"):
                self._until("firewall-cmd --state")
                yield

    @contextlib.contextmanager
    def _fail2ban(self, action: str) -> Iterator[None]:
        (self._path / "etc/fail2ban/jail.local").write_text(JAILS.format(action=action))
        self.shell(
            "rm -rf /etc/fail2ban/jail.d/* /run/fail2ban/* /var/lib/fail2ban/*; "
            ": >>/var/log/mail.log; mkdir -p /run/fail2ban"
        )
        with self._daemon("fail2ban-server", "-xf", "start"):
            self._until("fail2ban-client status imap && fail2ban-client status smtp")
            for jail, address in BANS:
                self.shell(f"fail2ban-client set {jail} banip {address}")
            self._until("fail2ban-client status smtp | grep -q 2a00:1450::1")
            time.sleep(1)  # the ban is listed a moment before its command ran
            yield

    def _until(self, script: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                self.shell(script)
            except ToolError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)
            else:
                return


def record(root: Root, folder: Path, only: str) -> None:
    for name, (tool, script) in SCENARIOS.items():
        if only not in name:
            continue
        with Host(PLAIN) as host, root.running(name, tool, script):
            filters = Filters()
            capture = filters.capture()
            filters.close()
            probes = [
                Probe(source, address, port, device)
                for device in OUTER
                for source in (*CLIENTS, *ODD_SOURCES[-3:], "203.0.113.63", "203.0.113.64")
                for address, port in _asked(":" in source)
            ]
            rows = [
                (probe.source, probe.address, probe.port, probe.interface, admitted)
                for probe, admitted in zip(probes, host.probe(probes), strict=True)
            ]
            write(folder / f"{name}.json", to_document(name, capture, host.network(), rows))
            print(f"{name}: {sum(row[-1] for row in rows)} of {len(rows)} admitted")


def _asked(six: bool) -> Iterator[tuple[str, int]]:  # noqa: FBT001
    own = "2001:db8:1::10" if six else "192.0.2.10"
    yield from ((own, port) for port in PORTS)
    yield CONTAINER[six], 25


if __name__ == "__main__":
    record(Root(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
