"""The instances of Postfix beside the default one, as postmulti(1) lists them."""

from typing import Union

from mailwitness.evidence.host import PostfixInstance
from mailwitness.evidence.missing import Missing
from mailwitness.host import command

_FIELDS = 4  # name, group, whether it is enabled, its directory; "-": it has none


def postfix_instances() -> Union[tuple[PostfixInstance, ...], Missing, None]:
    """None: Postfix is not installed."""
    listed = command.run(("postmulti", "-l"))
    if isinstance(listed, command.NotInstalled):
        return None
    if isinstance(listed, Missing):
        return listed
    found = []
    for line in listed.splitlines()[1:]:  # the first is the default instance, postmulti(1)
        fields = line.split(maxsplit=_FIELDS - 1)
        if len(fields) < _FIELDS:
            return Missing(f"postmulti -l: a line of {len(fields)} fields: {line[:80]!r}")
        name, _, enabled, directory = fields
        found.append(PostfixInstance(None if name == "-" else name, directory, enabled == "y"))
    return tuple(found)
