"""The certificates that a port serves, for each name and each type of key."""

import asyncio
from collections.abc import Mapping
from typing import Optional

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.names import is_address
from mailwitness.evidence.probe import Reach, ServedChain, Session, VersionName
from mailwitness.probe.answer import Alert, Answer, ServerHello, accepted_among
from mailwitness.probe.channel import Channel, ChannelError, NotReachedError
from mailwitness.probe.handshake import chain_of, served_chain, shake_hands
from mailwitness.probe.hello import everything, with_suites
from mailwitness.probe.questions import Questions

_BY_KEY = (
    ("TLS_ECDHE_ECDSA_", "TLS_ECDH_ECDSA_"),
    ("TLS_ECDHE_RSA_", "TLS_DHE_RSA_", "TLS_RSA_"),
)


async def chains_by_name(
    questions: Questions, answers: Mapping[VersionName, Answer], first: Optional[ServedChain]
) -> tuple[ServedChain, ...]:
    """The chain without a server name, and for each name the one that it brings.

    `first` is that of the handshake by the local library, which chose the version.
    """
    accepted = accepted_among(answers)
    if not accepted and first is None:
        return ()
    in_clear = [version for version in accepted if version != "TLSv1.3"]
    version = in_clear[-1] if in_clear else None
    names = tuple(dict.fromkeys(questions.endpoint.names))
    # A client that was told an address names no server and so gets the chain for none.
    asked = [name for name in names if not is_address(name)]
    default, *named = await asyncio.gather(
        _unnamed(questions, version, accepted, first),
        *(_chain(questions, version, name) for name in asked),
    )
    by_name = dict(zip(asked, named))
    return (
        default,
        *(by_name.get(name, default._replace(server_name=name)) for name in names),
    )


async def chains_by_key(
    questions: Questions, brief: Session, answers: Mapping[VersionName, Answer]
) -> tuple[ServedChain, ...]:
    """What is served beside the chains known already, to clients of one type of key alone."""
    older = [version for version in accepted_among(answers) if version != "TLSv1.3"]
    if not older:
        return ()
    names = dict.fromkeys(
        None if chain.server_name is None or is_address(chain.server_name) else chain.server_name
        for chain in brief.chains
    )
    found = await asyncio.gather(
        *(
            questions.ask(with_suites(everything(older[-1], name), *suites))
            for name in names
            for suites in _BY_KEY
        )
    )
    asked = [name for name in names for _ in _BY_KEY]
    chains = [
        chain_of(name, answer.certificates)
        for name, answer in zip(asked, found)
        if isinstance(answer, ServerHello) and answer.certificates
    ]
    return tuple(chain for chain in dict.fromkeys(chains) if chain not in brief.chains)


async def _unnamed(
    questions: Questions,
    version: Optional[VersionName],
    accepted: Mapping[VersionName, ServerHello],
    first: Optional[ServedChain],
) -> ServedChain:
    """From what was answered already, as far as a chain came with it."""
    if version is None:
        return first or await _chain(questions, None, None)
    if accepted[version].certificates:
        return chain_of(None, accepted[version].certificates)
    chain = await _chain(questions, version, None)
    return first if isinstance(chain.leaf, Missing) and first is not None else chain


async def _chain(
    questions: Questions, version: Optional[VersionName], server_name: Optional[str]
) -> ServedChain:
    """In clear by `version`; by a real handshake where only TLS 1.3 is left."""
    if version is None:
        return await _chain_of_handshake(questions, server_name)
    answer = await questions.ask(everything(version, server_name, anonymous=False))
    if isinstance(answer, ServerHello) and answer.certificates:
        return chain_of(server_name, answer.certificates)
    said = answer.proof if isinstance(answer, (ServerHello, Alert)) else str(answer)
    nothing = Missing(f"no certificate came: {said}")
    return ServedChain(server_name, nothing, nothing)


async def _chain_of_handshake(questions: Questions, server_name: Optional[str]) -> ServedChain:
    async def talk(channel: Channel, _: Reach) -> ServedChain:
        await questions.to_tls(channel)
        tls = await shake_hands(channel, server_name)
        chain = served_chain(tls, server_name)
        await questions.leave(tls)
        return chain

    try:
        return await questions.patiently(talk)
    except (ChannelError, NotReachedError) as error:
        nothing = Missing(str(error))
        return ServedChain(server_name, nothing, nothing)
