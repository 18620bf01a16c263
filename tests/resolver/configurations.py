"""Random configurations of both daemons and of the TLS library beneath them, for one release."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.lab.certificates import OAKLEY_GROUP_2, Authority
from tests.lab.description import Certificate
from tests.resolver.cell import ADDRESSES, CLIENT

NAME = "a.lab.example"  # the server name of the filter blocks
PORTS = (25, 110, 143, 465, 587, 993, 995, 1143, 2525, 2528)
_CERTIFICATES: Mapping[str, Literal["rsa", "rsa-1024", "ec"]] = {
    "rsa": "rsa",
    "ec": "ec",
    "other": "rsa",
    "weak": "rsa-1024",
}

_CIPHER_LISTS = (
    "ALL:@SECLEVEL=0",
    "ALL:!aNULL:@SECLEVEL=1",
    "HIGH:!aNULL",
    "ECDHE+AESGCM",
    "kRSA:@SECLEVEL=0",
    "kRSA",
    "AES128-SHA:AES256-SHA",
    "DHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0",
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256",
    "ALL:!kRSA:!SHA1:!aNULL",
    "DEFAULT:@SECLEVEL=3",
    "CAMELLIA:ARIA:@SECLEVEL=1",
)
_LIBRARY = (
    "MinProtocol = TLSv1.3",
    "MinProtocol = TLSv1.2",
    "MinProtocol = TLSv1",
    "MaxProtocol = TLSv1.2",
    "MaxProtocol = TLSv1.1",
    "CipherString = DEFAULT:@SECLEVEL=0",
    "CipherString = DEFAULT:@SECLEVEL=1",
    "CipherString = DEFAULT:@SECLEVEL=3",
    "CipherString = HIGH:!kRSA:@SECLEVEL=2",
    "Protocol = -TLSv1.2",
    "Protocol = -TLSv1.3",
    "Options = ServerPreference",
)
_PROTOCOLS: tuple[str, ...] = (
    "",
    "!SSLv2, !SSLv3",
    "!SSLv2, !SSLv3, !TLSv1",
    "TLSv1.2",
    "TLSv1.2 TLSv1.3",
)
_PROTOCOLS += ("!SSLv3:!TLSv1:!TLSv1.1", "!TLSv1.3", "!sslv3, tlsv1, tlsv1.1", "!TLSv1.1")
_BOUNDS = (">=TLSv1", ">=TLSv1.2", ">=TLSv1.3", ">=TLSv1.1, <=TLSv1.2", "<=TLSv1.2")
INSTANCE = "/etc/postfix-out"
_OF_INSTANCE = """\
multi_instance_enable = yes
multi_instance_name = postfix-out
queue_directory = /var/spool/postfix-out
data_directory = /var/lib/postfix-out
"""
_OF_DEFAULT_INSTANCE = ("smtp", "submission", "465", "2525", f"{ADDRESSES[1]}:2526")
_NOT_OF_TLSPROXY = ("smtpd_tls_auth_only", "smtpd_tls_eecdh_grade")
_MECHANISMS = ("plain", "plain login", "login", "plain scram-sha-256", "plain anonymous")


@dataclass(frozen=True)
class Trial:
    """One host's configuration, as files."""

    suite: str
    number: str  # of the seed and the trial: enough to make it anew
    files: dict[str, bytes] = field(repr=False)


def trial(suite: str, seed: str, authority: Authority, scratch: Path) -> Trial:
    """The configuration of that seed."""
    chance = random.Random(f"{suite}/{seed}")
    files = _certificates(authority, scratch)
    files["/etc/dovecot/dovecot.conf"] = _dovecot(chance, suite).encode()
    files["/etc/ssl/mail/dh1024.pem"] = OAKLEY_GROUP_2.encode()
    files["/etc/dovecot/users"] = b"tester:{PLAIN}secret\n"
    files["/etc/postfix/main.cf"] = _main_cf(chance, suite).encode()
    files["/etc/postfix/master.cf"] = _master_cf(chance, suite).encode()
    files["/etc/postfix/sni"] = _sni(chance).encode()
    files["/etc/hosts"] = f"127.0.0.1 localhost\n{CLIENT} client\n".encode()
    files["/etc/resolv.conf"] = b"nameserver 127.0.0.1\n"
    if chance.random() < 0.3:
        files["/etc/postfix/main.cf"] += f"multi_instance_directories = {INSTANCE}\n".encode()
        files[f"{INSTANCE}/main.cf"] = (_OF_INSTANCE + _main_cf(chance, suite)).encode()
        files[f"{INSTANCE}/master.cf"] = _master_cf(chance, suite, ("2528",)).encode()
    if chance.random() < 0.6:
        files["/etc/ssl/openssl.cnf"] = _openssl(chance).encode()
    return Trial(suite, seed, files)


def _certificates(authority: Authority, scratch: Path) -> dict[str, bytes]:
    """The same for every trial of a folder: keys take long to make."""
    files: dict[str, bytes] = {}
    for name, kind in _CERTIFICATES.items():
        paths = (f"/etc/ssl/mail/{name}.pem", f"/etc/ssl/mail/{name}-key.pem")
        if not (scratch / paths[1].lstrip("/")).exists():
            authority.issue(certificate_of(name, kind, *paths), scratch)
        certificate, key = ((scratch / path.lstrip("/")).read_bytes() for path in paths)
        files |= {paths[0]: certificate, paths[1]: key}
        files[f"/etc/ssl/mail/{name}-both-key.pem"] = key + certificate
    return files


def certificate_of(
    name: str, kind: Literal["rsa", "rsa-1024", "ec"], path: str, key: str
) -> Certificate:
    return Certificate(
        path=path,
        key=key,
        names=(f"{name}.lab.example",),
        kind=kind,
        chain=True,
        self_signed=False,
        days=(-10, 80),
        after_boot=False,
    )


def _openssl(chance: random.Random) -> str:
    lines = chance.sample(_LIBRARY, chance.choice((1, 1, 2)))
    return "\n".join(
        (
            "openssl_conf = default_conf",
            "[default_conf]",
            "ssl_conf = ssl_sect",
            "[ssl_sect]",
            "system_default = system_default_sect",
            "[system_default_sect]",
            *lines,
            "",
        )
    )


def _dovecot(chance: random.Random, suite: str) -> str:
    new = suite == "trixie"
    lines = [
        "dovecot_config_version = 2.4.0",
        "dovecot_storage_version = 2.4.0",
        "mail_driver = maildir",
        "mail_path = /tmp/%{user}",
        "passdb passwd-file {",
        "  passwd_file_path = /etc/dovecot/users",
        "}",
        "userdb static {",
        "  fields {",
        "    uid = mail",
        "    gid = mail",
        "    home = /tmp",
        "  }",
        "}",
        "protocols {",
        "  imap = yes",
        "  pop3 = yes",
        "}",
    ]
    if not new:
        lines = [
            "mail_location = maildir:/tmp/%u",
            "passdb {",
            "  driver = passwd-file",
            "  args = /etc/dovecot/users",
            "}",
            "userdb {",
            "  driver = static",
            "  args = uid=mail gid=mail home=/tmp",
            "}",
            "protocols = imap pop3",
        ]
    lines += [f"listen = {', '.join(ADDRESSES)}"]
    lines += [f"ssl = {chance.choice(('yes', 'yes', 'required', 'required', 'no'))}"]
    lines += _of_tls(chance, suite, always=True)
    lines += [f"auth_mechanisms = {chance.choice(_MECHANISMS)}"]
    if chance.random() < 0.5:
        value = chance.choice(("yes", "no"))
        lines += [f"auth_allow_cleartext = {value}" if new else f"disable_plaintext_auth = {value}"]
    lines += _services(chance)
    # Up to 2.3 blocks of different kinds may not give the same setting, whatever they match.
    names = (NAME, "*.lab.example", f'"b.example {NAME.upper()}"', "*.example", "?.lab.example")
    by_name = f"local_name {chance.choice(names)}"
    filters = (f"local {ADDRESSES[1]}", f"remote {CLIENT}", by_name, by_name)
    for header in ("protocol imap", "protocol pop3", chance.choice(filters)):
        if chance.random() < 0.3:
            inner = _of_tls(chance, suite, always=header.startswith("local"))
            lines += [f"{header} {{", *(f"  {line}" for line in inner), "}"]
    return "\n".join((*lines, ""))


def _of_tls(chance: random.Random, suite: str, *, always: bool) -> list[str]:
    """Settings of TLS, as they stand at the top or in a block; `always`: with a certificate."""
    lines = []
    if always:
        lines += _certificate(chance, suite)
    versions = ["TLSv1", "TLSv1.1", "TLSv1.2", "ANY"]
    if suite != "bullseye":  # 2.3.13 does not know it
        versions += ["TLSv1.3"]
    if chance.random() < 0.6:
        lines += [f"ssl_min_protocol = {chance.choice(versions)}"]
    if chance.random() < 0.5:
        lines += [f"ssl_cipher_list = {chance.choice(_CIPHER_LISTS)}"]
    return lines


def _certificate(chance: random.Random, suite: str) -> list[str]:
    new = suite == "trixie"
    name = chance.choice(("rsa", "rsa", "rsa", "ec", "weak"))
    key = chance.choice((name,) * 9 + ("other",))
    names = ("ssl_server_cert_file", "ssl_server_key_file") if new else ("ssl_cert", "ssl_key")
    read = "" if new else "<"
    lines = [
        f"{names[0]} = {read}/etc/ssl/mail/{name}.pem",
        f"{names[1]} = {read}/etc/ssl/mail/{key}-key.pem",
    ]
    if name == "rsa" and chance.random() < 0.3:
        names = ("ssl_server_alt_cert_file", "ssl_server_alt_key_file")
        names = names if new else ("ssl_alt_cert", "ssl_alt_key")
        lines += [
            f"{names[0]} = {read}/etc/ssl/mail/ec.pem",
            f"{names[1]} = {read}/etc/ssl/mail/ec-key.pem",
        ]
    if chance.random() < 0.5:
        file = chance.choice(("/usr/share/dovecot/dh.pem",) * 4 + ("/etc/ssl/mail/dh1024.pem",))
        lines += [f"ssl_server_dh_file = {file}" if new else f"ssl_dh = <{file}"]
    return lines


def _services(chance: random.Random) -> Iterable[str]:
    yield "service imap-login {"
    if chance.random() < 0.3:
        ssl = chance.choice(("yes", "no"))
        yield f"  inet_listener extra {{\n    port = 1143\n    ssl = {ssl}\n  }}"
    if chance.random() < 0.2:
        yield "  inet_listener imap {\n    port = 0\n  }"
    yield "}"
    yield "service auth {"
    yield "  unix_listener /var/spool/postfix/private/auth {\n    mode = 0666\n  }"
    yield "}"


def _main_cf(chance: random.Random, suite: str) -> str:
    settings = {
        "compatibility_level": chance.choice(("0", "2")),
        "myhostname": "mail.lab.example",
        "mydestination": "localhost",
        "inet_interfaces": ", ".join(ADDRESSES),
        "inet_protocols": "ipv4",
        "maillog_file": "/var/log/mail.log",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": "/var/spool/postfix/private/auth",
        **_smtpd(chance, suite, share=0.5),
        **_files(chance),
        **_postscreen(chance, suite),
    }
    if chance.random() < 0.4:
        settings["tls_server_sni_maps"] = chance.choice(("hash", "texthash")) + ":/etc/postfix/sni"
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _smtpd(chance: random.Random, suite: str, share: float) -> dict[str, str]:
    protocols = _PROTOCOLS if suite == "bullseye" else (*_PROTOCOLS, *_BOUNDS)
    excluded = ("", "aNULL", "aNULL, MD5", "kRSA", "3DES RC4 aNULL", "SHA1", "EECDH")
    grades = ("medium", "high", "low", "export")
    choices = {
        "smtpd_tls_security_level": ("may", "may", "encrypt", "none", ""),
        "smtpd_use_tls": ("yes", "no"),
        "smtpd_enforce_tls": ("yes", "no"),
        "smtpd_tls_protocols": protocols,
        "smtpd_tls_mandatory_protocols": protocols,
        "smtpd_tls_ciphers": grades,
        "smtpd_tls_mandatory_ciphers": grades,
        "smtpd_tls_exclude_ciphers": excluded,
        "smtpd_tls_mandatory_exclude_ciphers": excluded,
        "smtpd_tls_auth_only": ("yes", "no"),
        "smtpd_sasl_auth_enable": ("yes", "yes", "no"),
        "smtpd_sasl_security_options": ("noanonymous", "noanonymous, noplaintext"),
        "smtpd_sasl_tls_security_options": ("noanonymous", "$smtpd_sasl_security_options"),
        "smtpd_tls_ask_ccert": ("yes", "no"),
        "smtpd_discard_ehlo_keywords": ("", "starttls", "auth, dsn", "chunking"),
        "tls_preempt_cipherlist": ("yes", "no"),
        "smtpd_tls_eecdh_grade": ("auto", "strong"),
    }
    rare = {"smtpd_discard_ehlo_keywords": 0.2, "smtpd_tls_ask_ccert": 0.2}
    return {
        name: chance.choice(values)
        for name, values in choices.items()
        if chance.random() < share * rare.get(name, 1.0)
    }


def _postscreen(chance: random.Random, suite: str) -> dict[str, str]:
    """Its own settings and tlsproxy's; without them both have smtpd's."""
    settings = {"postscreen_greet_wait": "1s"}
    for test in ("bare_newline", "non_smtp_command", "pipelining"):
        if chance.random() < 0.3:
            settings[f"postscreen_{test}_enable"] = "yes"
    if chance.random() < 0.5:
        of_smtpd = {**_smtpd(chance, suite, share=0.15), **_files(chance)}
        known = ("smtpd_tls_", "smtpd_use_tls", "smtpd_enforce_tls")
        settings |= {
            name.replace("smtpd_", "tlsproxy_"): value
            for name, value in of_smtpd.items()
            if name.startswith(known) and name not in _NOT_OF_TLSPROXY
        }
    if chance.random() < 0.3:
        settings["postscreen_tls_security_level"] = chance.choice(("may", "encrypt", "none"))
    return settings


def _sni(chance: random.Random) -> str:
    """A table of tls_server_sni_maps."""
    lines = [
        f"{name} /etc/ssl/mail/{chance.choice(('rsa', 'ec', 'other'))}-both-key.pem"
        for name in (NAME, ".lab.example", "b.example", ".example")
        if chance.random() < 0.5
    ]
    return "\n".join((*lines, ""))


def _files(chance: random.Random) -> dict[str, str]:
    folder = "/etc/ssl/mail"
    if chance.random() < 0.3:
        kinds = chance.choice((("rsa",), ("rsa", "ec")))
        return {
            "smtpd_tls_chain_files": " ".join(f"{folder}/{kind}-both-key.pem" for kind in kinds)
        }
    key = chance.choice(("rsa",) * 9 + ("other",))
    found = {
        "smtpd_tls_cert_file": f"{folder}/rsa.pem",
        "smtpd_tls_key_file": f"{folder}/{key}-key.pem",
    }
    if chance.random() < 0.3:
        found["smtpd_tls_eccert_file"] = f"{folder}/ec.pem"
        found["smtpd_tls_eckey_file"] = f"{folder}/ec-key.pem"
    if chance.random() < 0.1:
        found = {"smtpd_tls_cert_file": "none"}
    return found


def _master_cf(
    chance: random.Random, suite: str, services: Iterable[str] = _OF_DEFAULT_INSTANCE
) -> str:
    lines = []
    for service in services:
        settings = _smtpd(chance, suite, share=0.25)
        if service == "465":
            settings["smtpd_tls_wrappermode"] = "yes"
        behind = service == "smtp" and chance.random() < 0.4
        if behind:
            lines += ["smtp inet n - n - 1 postscreen", "smtpd pass - - n - - smtpd"]
        else:
            lines += [f"{service} inet n - n - - smtpd"]
        for name, value in settings.items():
            lines += [f"  -o {{ {name} = {value} }}"]
    lines += [
        "tlsproxy unix - - n - 0 tlsproxy",
        "dnsblog unix - - n - 0 dnsblog",
        "pickup unix n - n 60 1 pickup",
        "cleanup unix n - n - 0 cleanup",
        "qmgr unix n - n 300 1 qmgr",
        "tlsmgr unix - - n 1000? 1 tlsmgr",
        "rewrite unix - - n - - trivial-rewrite",
        "anvil unix - - n - 1 anvil",
        "proxymap unix - - n - - proxymap",
        "postlog unix-dgram n - n - 1 postlogd",
    ]
    return "\n".join((*lines, ""))
