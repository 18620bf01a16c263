"""The instances of Postfix beside the default one, as postmulti(1) lists them."""

from dataclasses import dataclass
from typing import Union

from mailwitness.evidence.host import PostfixInstance
from mailwitness.evidence.missing import Missing
from mailwitness.host import command, postfix

_FIELDS = 4  # name, group, whether it is enabled, its directory; "-": it has none
_MAX_INSPECTED = 10  # each is a few runs of postconf


@dataclass(frozen=True)
class Found:
    """An instance, and what its settings ask of the host; None where it is not started."""

    instance: PostfixInstance
    settings: Union[postfix.Found, Missing, None]


def postfix_instances() -> Union[tuple[Found, ...], Missing, None]:
    """None: Postfix is not installed."""
    listed = command.run(("postmulti", "-l"))
    if isinstance(listed, command.NotInstalled):
        return None
    if isinstance(listed, Missing):
        return listed
    found: list[Found] = []
    for line in listed.splitlines()[1:]:  # the first is the default instance, postmulti(1)
        fields = line.split(maxsplit=_FIELDS - 1)
        if len(fields) < _FIELDS:
            return Missing(f"postmulti -l: a line of {len(fields)} fields: {line[:80]!r}")
        name, _, enabled, directory = fields
        its: Union[postfix.Found, Missing, None] = None
        if enabled == "y" and sum(each.instance.enabled for each in found) >= _MAX_INSPECTED:
            its = Missing(f"more than {_MAX_INSPECTED} instances: not looked into")
        elif enabled == "y":
            its = postfix.postfix(directory)
        found.append(
            Found(
                PostfixInstance(
                    name=None if name == "-" else name,
                    config_directory=directory,
                    enabled=enabled == "y",
                    postfix=its.postfix if isinstance(its, postfix.Found) else its,
                ),
                its,
            )
        )
    return tuple(found)
