"""How long and how much the probe bears of a server, and how little the server of the probe."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Times in seconds, sizes in bytes. The defaults' reasons stand beside them."""

    connect: float = 5.0
    # postscreen holds the last line of its greeting back for 6 s, and a Postfix that cannot
    # resolve the client's name takes as long as its resolver.
    greeting: float = 20.0
    read: float = 10.0
    # Everything about one port, however slowly each answer comes, while a connection to it is
    # open: three SMTP ports that greet after 20 s take 60 s by eight connections at once.
    endpoint: float = 90.0
    # The same for all that can be negotiated: a hundred questions, eight at once.
    enumeration: float = 180.0
    line: int = 8192  # RFC 9051 §4 asks for 8,192; SMTP and POP3 need 512
    dialogue: int = 65536
    handshake: int = 262144  # a chain of certificates is some 10 KiB
    # Postfix answers 421 to the 51st connection of a client, fail2ban counts in aggressive mode.
    connections_per_host: int = 8
    connections: int = 64
    # After which a server that turned the probe away is asked again, doubled each time. In all:
    # Postfix counts connections by the minute (anvil_rate_time_unit).
    pause: float = 1.0
    paused: float = 90.0
    lingering: float = 0.1  # that a server may hold on to a connection that the client has closed


DEFAULT_LIMITS = Limits()
