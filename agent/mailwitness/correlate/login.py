"""By which ways a password can cross a connection as it stands."""

from collections.abc import Iterator

from mailwitness.evidence.probe import Capabilities, Protocol

# Mechanisms that send the password, or a token as good as one, readable to all on the way:
# RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), RFC 7628 (OAUTHBEARER) and its forerunner.
_READABLE = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})
# Those that want a name and a password, whether they send it or prove that they know it:
# RFC 2195, RFC 2831; RFC 5802 and its successors all begin with SCRAM-.
_PASSWORD = frozenset({"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"})


def readable_logins(protocol: Protocol, capabilities: Capabilities) -> tuple[str, ...]:
    """The offered ways to log in that show the password to whoever reads the connection."""
    ways = [f"AUTH {name}" for name in capabilities.mechanisms if name in _READABLE]
    return (*ways, *_commands(protocol, capabilities))


def password_logins(protocol: Protocol, capabilities: Capabilities) -> tuple[str, ...]:
    """The offered ways to log in with a name and a password."""
    ways = [
        f"AUTH {name}"
        for name in capabilities.mechanisms
        if name in _PASSWORD or name.startswith("SCRAM-")
    ]
    return (*ways, *_commands(protocol, capabilities))


def _commands(protocol: Protocol, capabilities: Capabilities) -> Iterator[str]:
    """The commands of the protocols themselves, which stand beside SASL."""
    if protocol == "imap" and not capabilities.says("LOGINDISABLED"):
        yield "LOGIN command"  # RFC 9051 §6.2.3: available unless LOGINDISABLED is said
    if protocol == "pop3" and capabilities.says("USER"):
        yield "USER command"  # RFC 2449 §6.3
