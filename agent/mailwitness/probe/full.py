"""All that can be negotiated with a port: what a brief look leaves out."""

import asyncio
from collections.abc import Mapping
from typing import Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Injection, Reach, Session, VersionName
from mailwitness.probe.allowance import Allowance
from mailwitness.probe.answer import Answer
from mailwitness.probe.chains import chains_by_key
from mailwitness.probe.channel import Channel, ChannelError, NotReachedError
from mailwitness.probe.enumeration import negotiation
from mailwitness.probe.features import features
from mailwitness.probe.injection import inject
from mailwitness.probe.questions import Questions


async def in_full(
    questions: Questions, brief: Session, answers: Mapping[VersionName, Answer]
) -> Session:
    """The `brief` session with the rest; `answers` are those to hellos of each version."""
    # So many questions have a time of their own: they shall not cost the answers before.
    questions.allowance = Allowance(questions.talks.limits.enumeration)
    negotiated, its_features, injected, chains = await asyncio.gather(
        negotiation(questions.ask, questions.ask_all, answers),
        features(questions.ask, answers),
        _injection(questions, brief),
        chains_by_key(questions, brief, answers),
    )
    return brief._replace(
        chains=(*brief.chains, *chains),
        negotiation=negotiated,
        features=its_features,
        injection=injected,
    )


async def _injection(questions: Questions, brief: Session) -> Union[Injection, Missing, None]:
    """A NOOP in one piece with STARTTLS: RFC 3207 §6 has it thrown away."""
    if brief.starttls is None:
        return None
    if isinstance(brief.inside_tls, Missing):  # then a failure now would prove nothing
        return brief.inside_tls

    async def talk(channel: Channel, _: Reach) -> Injection:
        greeting = await questions.dialogue.greeting(channel)
        offered = await questions.capabilities(channel, greeting)
        return await inject(questions.dialogue, channel, offered)

    try:
        return await questions.patiently(talk)
    except (ChannelError, NotReachedError) as error:
        return Missing(str(error))
