"""The mail services by their ports: what is spoken there, and where TLS begins."""

from typing import NamedTuple

from mailwitness.evidence.probe import Protocol, TlsMode


class Service(NamedTuple):
    """`name`: as in the IANA registry of service names and port numbers."""

    name: str
    protocol: Protocol
    tls: TlsMode


# RFC 8314 §3.3 (993, 995, 465), RFC 9051 (143), RFC 1939 (110), RFC 6409 (587), RFC 5321 (25).
SERVICES = {
    25: Service("smtp", "smtp", "starttls"),
    110: Service("pop3", "pop3", "starttls"),
    143: Service("imap", "imap", "starttls"),
    465: Service("submissions", "smtp", "implicit"),
    587: Service("submission", "smtp", "starttls"),
    993: Service("imaps", "imap", "implicit"),
    995: Service("pop3s", "pop3", "implicit"),
}
DEFAULT_PORTS = tuple(SERVICES)
