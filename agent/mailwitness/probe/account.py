"""The test account of a host at all of its ports, one after the other."""

from typing import Optional, Union

from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Login, Observation, Trusted
from mailwitness.probe.allowance import Allowance
from mailwitness.probe.channel import ChannelError, NotReachedError, UntrustedError
from mailwitness.probe.conversations import Conversations, Endpoint
from mailwitness.probe.login import LOGIN_PROTOCOLS, Trust, log_in
from mailwitness.probe.targets import Account, Target

_RELAY = 25  # where servers deliver and nobody logs in


async def log_in_everywhere(
    talks: Conversations, target: Target, observations: tuple[Observation, ...]
) -> tuple[Observation, ...]:
    """The observations with what became of the logins.

    The first refusal of a protocol ends the attempts by it: a few more, and whoever looks is
    banned (fail2ban counts five in ten minutes).
    """
    assert target.account is not None
    name = next(iter(target.names), target.target)
    refused: dict[str, str] = {}  # by protocol, where
    found = []
    for seen in observations:
        login: Union[Login, Missing, None]
        if seen.protocol not in LOGIN_PROTOCOLS or seen.port == _RELAY:
            login = None
        elif isinstance(seen.session, Missing):
            login = seen.session
        elif seen.protocol in refused:
            login = Missing(f"not tried, since {refused[seen.protocol]} refused the account")
        else:
            login = await _at(talks, seen, name, target.account)
            if isinstance(login, Login) and not login.steps[0].accepted:
                refused[seen.protocol] = f"port {seen.port} of {seen.address}"
        found.append(seen._replace(login=login))
    return tuple(found)


async def _at(
    talks: Conversations, seen: Observation, name: str, account: Account
) -> Union[Login, Missing]:
    ways: tuple[Trusted, ...] = ("chain", "fingerprint") if account.certificates else ("chain",)
    endpoint = Endpoint(seen.address, seen.port, ())
    untrusted: Optional[UntrustedError] = None
    for way in ways:
        trust = Trust(name, way, account)
        try:
            async with talks.open(endpoint, Allowance(talks.limits.endpoint)) as (channel, _):
                return await log_in(channel, seen.protocol, seen.tls, trust, account)
        except UntrustedError as error:
            untrusted = error
        except (ChannelError, NotReachedError) as error:
            return Missing(f"no login came about: {error}")
        except Exception as error:  # noqa: BLE001 - and its message might show a secret
            return Missing(f"the login broke: {type(error).__name__}")
    return Missing(f"not tried, for {name} is not proven: {untrusted}")
