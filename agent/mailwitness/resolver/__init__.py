"""What a listener will do, from its daemon's settings and the library beneath: no wire, no host."""

from mailwitness.resolver import dovecot, postfix

__all__ = ["dovecot", "postfix"]
