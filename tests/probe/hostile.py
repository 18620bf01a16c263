"""Servers that mean harm, or are not what they should be, as scripts."""

import struct

from tests.probe.scripted import GREETING, Peer, Script, converse

MEGABYTE = 1024 * 1024


def hangs_after_the_banner(peer: Peer) -> None:
    peer.send(GREETING["imap"])
    peer.hang()


def never_ends_its_banner(peer: Peer) -> None:
    peer.send(b"* OK ")
    while not peer.stopped.is_set():
        peer.send(b"x" * 65536)


def sends_lines_without_end(peer: Peer) -> None:
    peer.send(GREETING["imap"])
    peer.line()
    while not peer.stopped.is_set():
        peer.send(b"* CAPABILITY x\r\n" * 4096)


def sends_a_byte_at_a_time(peer: Peer) -> None:
    peer.send(b"* OK ")
    while peer.pause():
        peer.send(b"x")


def reaches_starttls(peer: Peer) -> None:
    peer.send(GREETING["imap"])
    peer.line()
    peer.send(b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n")
    peer.line()
    peer.send(b"a2 OK begin\r\n")


def sends_garbage_after_starttls(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    peer.send(b"\x00garbage\xff" * 1000)
    peer.hang()


def closes_after_starttls(peer: Peer) -> None:
    reaches_starttls(peer)


def answers_with_alerts_without_end(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    while not peer.stopped.is_set():
        peer.send(b"\x15\x03\x03\x00\x02\x01\x00" * 4096)


def answers_with_empty_records_without_end(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    while not peer.stopped.is_set():
        peer.send(b"\x16\x03\x03\x00\x00" * 4096)


def sends_a_certificate_of_100_megabytes(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    hello = b"\x03\x03" + b"R" * 32 + b"\x00\xc0\x2f\x00"
    peer.send(
        struct.pack("!BHHB", 22, 0x0303, 4 + len(hello), 2) + b"\x00\x00" + bytes([38]) + hello
    )
    size = 100 * MEGABYTE
    start = b"\x0b" + (size & 0xFFFFFF).to_bytes(3, "big") + (size & 0xFFFFFF).to_bytes(3, "big")
    chunk = b"\x16\x03\x03" + struct.pack("!H", 16384) + b"c" * 16384
    peer.send(b"\x16\x03\x03" + struct.pack("!H", len(start)) + start)
    for _ in range(size // 16384):
        if peer.stopped.is_set():
            return
        peer.send(chunk)


def resets(peer: Peer) -> None:
    peer.connection.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: close with a reset


HOSTILE: tuple[Script, ...] = (
    lambda _: None,
    resets,
    Peer.hang,
    hangs_after_the_banner,
    never_ends_its_banner,
    sends_lines_without_end,
    sends_a_byte_at_a_time,
    sends_garbage_after_starttls,
    closes_after_starttls,
    answers_with_alerts_without_end,
    answers_with_empty_records_without_end,
    sends_a_certificate_of_100_megabytes,
)
NAMES = ["closes_at_once", *(script.__name__ for script in HOSTILE[1:])]


ODD = b"\x1b[2J\x1b]0;x\x07\x00<script>alert(1)</script>\xff\xfe \xe2\x80\xae{{7*7}}%s"


def greets_oddly(peer: Peer) -> None:
    peer.send(b"220 " + ODD + b" ESMTP\r\n")
    converse(peer, "smtp")


def never_ends_its_greeting_of_many_lines(peer: Peer) -> None:
    while not peer.stopped.is_set():
        peer.send(b"220-wait\r\n" * 4096)


def never_ends_its_list(peer: Peer) -> None:
    peer.send(GREETING["pop3"])
    peer.line()
    peer.send(b"+OK\r\n")
    while not peer.stopped.is_set():
        peer.send(b"UIDL\r\n" * 4096)


def refuses_with_a_storm_of_alerts(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    while not peer.stopped.is_set():
        peer.send(b"\x15\x03\x03\x00\x02\x02\x28" * 4096)


def drips_its_answer_to_the_hello(peer: Peer) -> None:
    reaches_starttls(peer)
    peer.hello()
    peer.send(b"\x16\x03\x03\x40\x00\x02")
    while peer.pause():
        peer.send(b"\x00")


def speaks_http(peer: Peer) -> None:
    peer.line()
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def speaks_ssh(peer: Peer) -> None:
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.line()
