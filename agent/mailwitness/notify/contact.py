"""Contacts as the inventory states them."""

from email.errors import HeaderParseError
from email.headerregistry import Address


def contacts(given: object) -> tuple[str, ...]:
    """The mail addresses of a list, each once.

    Raises:
        TypeError: it is no list.
        ValueError: something in it is no address; the message says what.
    """
    if not isinstance(given, (list, tuple)):
        raise TypeError("mailwitness_contacts: a list of mail addresses is expected")
    try:
        return tuple(dict.fromkeys(mail_address(str(each)) for each in given))
    except ValueError as error:
        raise ValueError(f"mailwitness_contacts: {error}") from None


def mail_address(text: str) -> str:
    """`text`, where it is one address and nothing else.

    Raises:
        ValueError: it is not.
    """
    try:
        found = Address(addr_spec=text)
    except (HeaderParseError, ValueError, IndexError):
        found = None
    # A second header or recipient must have no way in, and what is not ASCII needs SMTPUTF8.
    if found is None or not (found.username and found.domain and text.isascii()):
        raise ValueError(f"{text[:80]!a} is no mail address")
    return text
