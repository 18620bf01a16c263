"""What a listener will do, from its daemon's settings and the library beneath: no wire, no host."""

from mailwitness.resolver import dovecot, postfix, postscreen, server_name

__all__ = ["dovecot", "postfix", "postscreen", "server_name"]
