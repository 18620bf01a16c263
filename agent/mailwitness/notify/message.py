"""A letter as a mail: plain text, the same as HTML, and the pages of the hosts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from mailwitness.notify.letters import Letter
from mailwitness.report.html import host_page, one_host
from mailwitness.report.text import printable

# What mail servers take: Postfix's message_size_limit is 10,240,000 bytes by default, and an
# attachment grows by a third on its way.
_ATTACHED = 6_000_000  # bytes of pages


class LetterError(Exception):
    """A template cannot be used; the message says where it is wrong."""


class Writer:
    """Writes letters by the templates that ship, or by one's own of the same names."""

    def __init__(self, sender: str, templates: Path | None = None) -> None:
        shipped = PackageLoader(__package__ or "", "templates")
        loader: BaseLoader = shipped
        if templates:
            loader = ChoiceLoader([FileSystemLoader(templates), shipped])
        self._sender = sender
        self._templates = Environment(
            loader=loader,
            autoescape=select_autoescape(("html.j2",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # What a server says may neither rearrange the text nor steer a terminal.
            finalize=lambda value: printable(value, keep="\n") if type(value) is str else value,
        )

    def write(self, letter: Letter) -> EmailMessage:
        """The mail, ready to be sent.

        Raises:
            LetterError: a template is wrong.
        """
        pages = _pages(letter)
        values = {"letter": letter, "attached": pages}
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        message.set_content(self._rendered("letter.txt.j2", values))
        message.add_alternative(self._rendered("letter.html.j2", values), subtype="html")
        for name, page in pages.items():
            message.add_attachment(page, subtype="html", filename=name)
        return message

    def _rendered(self, name: str, values: Mapping[str, object]) -> str:
        try:
            return self._templates.get_template(name).render(values)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            place = f"{name} line {line}" if line else name
            raise LetterError(f"{place}: {error.message}") from None


def _pages(letter: Letter) -> dict[str, str]:
    """File names and pages of the hosts, as many as mail servers take."""
    pages: dict[str, str] = {}
    room = _ATTACHED
    for host in letter.changed:
        page = one_host(letter.report, host)
        room -= len(page.encode())
        if room < 0:
            break
        pages[Path(host_page(host["name"])).name] = page
    return pages
