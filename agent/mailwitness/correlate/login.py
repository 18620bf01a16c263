"""By which ways a password can cross a connection as it stands."""

from mailwitness.evidence.probe import Capabilities, Protocol

# Mechanisms that send the password, or a token as good as one, readable to all on the way:
# RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), RFC 7628 (OAUTHBEARER) and its forerunner.
_READABLE = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})


def readable_logins(protocol: Protocol, capabilities: Capabilities) -> tuple[str, ...]:
    """The offered ways to log in that show the password to whoever reads the connection."""
    ways = [f"AUTH {name}" for name in capabilities.mechanisms if name in _READABLE]
    # The commands of the protocols themselves, which stand beside SASL.
    if protocol == "imap" and not capabilities.says("LOGINDISABLED"):
        ways.append("LOGIN command")  # RFC 9051 §6.2.3: available unless LOGINDISABLED is said
    if protocol == "pop3" and capabilities.says("USER"):
        ways.append("USER command")  # RFC 2449 §6.3
    return tuple(ways)
