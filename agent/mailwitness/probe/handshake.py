"""A real handshake by the local TLS library: to speak on inside, and for the chain of TLS 1.3."""

import ssl
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import ServedChain
from mailwitness.probe.answer import MAX_CERTIFICATES
from mailwitness.probe.channel import Channel, ChannelError, TlsChannel


async def shake_hands(channel: Channel, server_name: Optional[str]) -> TlsChannel:
    """TLS on the channel, with whatever the two ends have in common; nothing is verified here.

    Raises:
        ChannelError: the handshake failed.
    """
    try:
        tls = TlsChannel(channel, _context(), server_name)
    except ValueError:
        raise ChannelError(f"{server_name!a} is no name that a hello can ask for") from None
    await tls.handshake()
    return tls


def served_chain(tls: TlsChannel, server_name: Optional[str]) -> ServedChain:
    """The certificates of a real handshake; Python gives all of them from 3.10 on."""
    leaf = tls.tls.getpeercert(binary_form=True)
    if leaf is None:
        nothing = Missing("the suite that was agreed on has no certificate")
        return ServedChain(server_name, nothing, nothing)
    chain = _unverified_chain(tls.tls)
    if isinstance(chain, Missing):
        return ServedChain(server_name, ssl.DER_cert_to_PEM_cert(leaf), chain)
    return chain_of(server_name, chain)


def chain_of(server_name: Optional[str], chain: Iterable[bytes]) -> ServedChain:
    """A chain as served, from DER, the leaf first."""
    leaf, *rest = [ssl.DER_cert_to_PEM_cert(der) for der in chain][:MAX_CERTIFICATES]
    return ServedChain(server_name, leaf, tuple(rest))


def _unverified_chain(tls: ssl.SSLObject) -> Union[list[bytes], Missing]:
    public: Any = getattr(tls, "get_unverified_chain", None)  # from Python 3.13
    if public is not None:
        return list(public())
    inner: Any = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)  # from 3.10
    if inner is not None:
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner()]
    return Missing("this Python shows the leaf of a TLS 1.3 handshake alone (3.10 shows the chain)")


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """Everything that the library can still do: the aim is to see, not to be safe."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # As Debian and RHEL set them, the defaults refuse old servers.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context
