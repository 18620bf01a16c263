"""Whom the daemons keep out by their own rules: what is said of each client, and what it meets."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mailwitness import zipapp
from mailwitness.correlate.filtered import Filtered
from mailwitness.correlate.host import Host, Witnesses, correlate
from mailwitness.evidence.run import PlannedHost
from mailwitness.firewall.verdict import Answer
from tests.lab import access_client, suites
from tests.resolver.cell import ADDRESSES, Cell, cell
from tests.resolver.trials import START, inspect

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("bootable")]

V4, V6 = ADDRESSES[0], "2001:db8:9::2"
SOURCES = ("10.9.0.17", "10.9.0.200", "2001:db8:9::7", "2001:db8:9:0:1::1")
_START = f"""\
ip address add {V6}/64 dev v0 nodad
newaliases
postmap /etc/postfix/clients
{START}"""
CIDR = """\
# in their order
10.9.0.17 OK
if 10.9.0.0/24
!10.9.0.128/25 REJECT
endif
2001:db8:9::/80
  554 go away
2001:db8:9::/64 DUNNO
"""
INDEXED = "10.9.0 REJECT\n10.9.0.17 OK\n2001:db8:9:0:0:0:0:7 REJECT\n"
MAIN_CF = """\
compatibility_level = 2
myhostname = cell.example
mydestination = cell.example
alias_maps =
local_recipient_maps =
inet_protocols = all
smtpd_peername_lookup = no
mynetworks = {mynetworks}
postscreen_access_list = permit_mynetworks, cidr:/etc/postfix/screened
{action}
postscreen_greet_wait = 1s
"""
MASTER_CF = """\
smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
2601 inet n - n - - smtpd
  -o smtpd_client_restrictions=check_client_access,cidr:/etc/postfix/by_network
2602 inet n - n - - smtpd
  -o smtpd_client_restrictions=check_client_access,hash:/etc/postfix/clients,permit
2603 inet n - n - - smtpd
  -o smtpd_client_restrictions=permit_mynetworks,reject
2604 inet n - n - - smtpd
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o mynetworks=!10.9.0.200,10.9.0.0/24,[2001:db8:9::7]
2605 inet n - n - - smtpd
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o mynetworks=hash:/etc/postfix/clients
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
SCREENED = "10.9.0.200 reject\n10.9.0.0/24 permit\n2001:db8:9:0:1::/80 reject\n"
PORTS = (25, 2601, 2602, 2603, 2604, 2605)


Ask = tuple[str, str, int, str, str]  # source, address, port, protocol, user


def met(host: Cell, asks: list[Ask]) -> dict[Ask, str]:
    """What became of each client."""
    for source in {ask[0] for ask in asks}:
        length = 64 if ":" in source else 24
        host.from_client("ip", "address", "replace", f"{source}/{length}", "dev", "v0", "nodad")
    script = Path(access_client.__file__).read_text("utf-8")
    answered = host.from_client(sys.executable, "-c", script, json.dumps(asks))
    assert answered.returncode == 0, answered.stderr
    return dict(zip(asks, json.loads(answered.stdout), strict=True))


def foretold(inside: Host, ask: Ask) -> str:
    """In the same words; "?" where it is not known."""
    source, address, port, *_ = ask
    (filtered,) = (each.filtered for each in inside.endpoints if each.port == port)
    assert isinstance(filtered, Filtered), filtered
    (way,) = (way for way in filtered.ways if way.address == address)
    return {Answer.ADMITTED: "in", Answer.BLOCKED: "out"}.get(way.of(source).answer, "?")


def audited(host: Cell, *ports: int) -> Host:
    inside = inspect(host, ports)
    plan = PlannedHost("cell", V4, (), (), ports, (), None, (), ())
    return correlate(plan, Witnesses(inside, ()), inside.agent.started_at)


@contextlib.contextmanager
def started(suite: str, files: Mapping[str, str], agent: bytes, folder: Path) -> Iterator[Cell]:
    """A host whose daemons run with these files."""
    content = {name: text.encode() for name, text in files.items()}
    with cell(suites.base(suite), folder, {**content, "/agent.pyz": agent}) as host:
        host.run("/bin/sh", "-c", _START)
        yield host


@pytest.fixture(scope="module")
def agent() -> bytes:
    return zipapp.build().content


@pytest.mark.parametrize("suite", suites.SUITES)
@pytest.mark.parametrize(
    ("mynetworks", "action"),
    [
        ("127.0.0.0/8 10.9.0.17", "enforce"),
        ("cidr:/etc/postfix/screened", "drop"),
        ("127.0.0.0/8", "ignore"),
    ],
)
def test_whom_postfix_keeps_out(
    suite: str, mynetworks: str, action: str, agent: bytes, tmp_path: Path
) -> None:
    denying = "postscreen_blacklist_action" if suite == "bullseye" else "postscreen_denylist_action"
    files = {
        "/etc/postfix/main.cf": MAIN_CF.format(
            mynetworks=mynetworks, action=f"{denying} = {action}"
        ),
        "/etc/postfix/master.cf": MASTER_CF,
        "/etc/postfix/by_network": CIDR,
        "/etc/postfix/clients": INDEXED,
        "/etc/postfix/screened": SCREENED,
        "/etc/hosts": "127.0.0.1 localhost cell.example\n",
        "/etc/resolv.conf": "nameserver 127.0.0.1\n",
    }
    with started(suite, files, agent, tmp_path) as host:
        asks = [
            (source, V6 if ":" in source else V4, port, "smtp", "")
            for source in SOURCES
            for port in PORTS
        ]
        seen = met(host, asks)
        inside = audited(host, *PORTS)
        assert {ask: foretold(inside, ask) for ask in asks} == seen
        assert set(seen.values()) == {"in", "out"}


SERVICES = """\
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
first_valid_uid = 1
haproxy_trusted_networks = 10.9.0.17 2001:db8:9::/80
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener proxied {
    port = 10143
    haproxy = yes
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""
DOVECOT = """\
disable_plaintext_auth = no
protocols = imap
login_trusted_networks = ::/0 0.0.0.0/0
mail_location = maildir:/tmp/%u
{services}userdb {{
  driver = static
  args = uid=mail gid=mail home=/tmp
}}
{passdbs}
"""
DOVECOT_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
protocols {{
  imap = yes
}}
mail_driver = maildir
mail_path = /tmp/%{{user}}
{services}userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = /tmp
  }}
}}
{passdbs}
"""
ALL_OF_THEM = {
    "2.3": """\
passdb {
  driver = static
  args = password=its-password allow_nets=10.9.0.0/24,2001:db8:9::/80
  override_fields = allow_nets=10.9.0.16/28,2001:db8::/32
}
""",
    "2.4": """\
passdb static {
  password = its-password
  fields {
    allow_nets = 10.9.0.16/28,2001:db8:9::/80
  }
}
""",
}
EACH_ITS_OWN = {
    "2.3": """\
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
  default_fields = allow_nets=10.9.0.17
  override_fields = allow_nets=10.9.0.0/24
}
""",
    "2.4": """\
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
""",
}
NOBODY_BOUND = {
    "2.3": """\
passdb {
  driver = static
  args = password=its-password
}
""",
    "2.4": """\
passdb static {
  password = its-password
}
""",
}
USERS = """\
bound:{PLAIN}its-password::::::allow_nets=10.9.0.17/32
free:{PLAIN}its-password::::::allow_nets=0.0.0.0/0,::/0
"""


@pytest.mark.parametrize("suite", suites.SUITES)
@pytest.mark.parametrize(
    ("passdbs", "words"),
    [(ALL_OF_THEM, {"in", "out"}), (EACH_ITS_OWN, {"?", "out"}), (NOBODY_BOUND, {"in"})],
)
def test_whom_dovecot_lets_log_in(
    suite: str, passdbs: Mapping[str, str], words: set[str], agent: bytes, tmp_path: Path
) -> None:
    template, version = (DOVECOT_2_4, "2.4") if suite == "trixie" else (DOVECOT, "2.3")
    files = {
        "/etc/dovecot/dovecot.conf": template.format(services=SERVICES, passdbs=passdbs[version]),
        "/etc/dovecot/users": USERS,
        "/etc/hosts": "127.0.0.1 localhost cell.example\n",
    }
    with started(suite, files, agent, tmp_path) as host:
        ways = [(source, V6 if ":" in source else V4) for source in SOURCES]
        users = [(*way, 143, "imap", user) for way in ways for user in ("bound", "free")]
        proxied = [(*way, 10143, "proxy", "") for way in ways]
        seen = met(host, [*users, *proxied])
        inside = audited(host, 143, 10143)
    said = {ask: foretold(inside, ask) for ask in seen}
    assert {said[ask] for ask in users} <= words
    assert {said[ask] for ask in users} >= words - {"out"}
    for ask in (*users, *proxied):
        assert said[ask] in ("?", seen[ask]), ask
    assert {seen[ask] for ask in proxied} == {said[ask] for ask in proxied} == {"in", "out"}
    # Where it is said to hang on the user, it does.
    if "?" in words:
        assert {seen[ask] for ask in users if said[ask] == "?"} == {"in", "out"}
