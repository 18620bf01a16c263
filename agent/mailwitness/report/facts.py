"""What each witness says of a port, fact by fact, and where they disagree."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

Json = dict[str, Any]

_DIGEST = 16  # digits of a certificate's SHA-256 that tell it from any other in a report


class Cell(NamedTuple):
    """What one witness says of one fact.

    `claims`: what may be compared; witnesses agree where all that claim anything share a claim.
    `unknown`: the lines are the reason why it is not known.
    """

    lines: tuple[str, ...] = ()
    claims: frozenset[str] = frozenset()
    unknown: bool = False


class Fact(NamedTuple):
    """A row: the fact and a cell for each column."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        claims = [cell.claims for cell in self.cells if cell.claims]
        return bool(claims) and not frozenset.intersection(*claims)


_LINES = attrgetter("lines")


@dataclass(frozen=True)
class Testimony:
    """The witnesses of an endpoint, side by side. Vantages that saw the same share a column."""

    columns: tuple[str, ...]
    facts: tuple[Fact, ...]

    @property
    def differing(self) -> list[str]:
        """The facts on which they do not agree."""
        return [fact.name for fact in self.facts if fact.differs]


def testimony(endpoint: Json) -> Testimony:
    """Of an endpoint of report.json."""
    own = _handshake(endpoint["running"])
    # Where vantages were told the same, it is looked at once.
    told: dict[tuple[int, str | None], tuple[Cell, ...]] = {}
    for seen in (own, *endpoint["outside"]):
        which = _which(seen)
        if which not in told:
            told[which] = _cells(seen)
    columns = [
        ("configured", (_configured(endpoint), *_set(endpoint["configured"]))),
        ("running", (_running(endpoint), *_from_within(told[_which(own)]))),
        ("filtered", (_filtered(endpoint), *_UNHEARD)),
    ]
    vantages: dict[tuple[Cell, ...], list[str]] = {}
    for seen in endpoint["outside"]:
        column = (_reached(seen, endpoint["filtered"]), *told[_which(seen)])
        vantages.setdefault(column, []).append(_vantage(seen))
    columns += ((", ".join(names), column) for column, names in vantages.items())
    titles, cells = zip(*columns, strict=True)
    facts = map(Fact, ("answers", *_NAMES), zip(*cells, strict=True))
    return Testimony(titles, tuple(fact for fact in facts if any(map(_LINES, fact.cells))))


def _which(seen: Json) -> tuple[int, str | None]:
    """What conversations have in common in which the same was said."""
    return id(seen.get("session", seen)), seen.get("reach")


def _set(setting: Json) -> Iterator[Cell]:
    """What the configuration says of what is heard in conversations."""
    return (configured(setting) for _, configured, _ in _OF_SESSIONS)


def _cells(seen: Json) -> tuple[Cell, ...]:
    """What is heard in a conversation."""
    told = _told(seen)
    if isinstance(told, Cell):
        return (told,) * len(_OF_SESSIONS)
    return tuple(of_session(told) for _, _, of_session in _OF_SESSIONS)


def _from_within(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """What the host hears from itself."""
    # Dovecot takes a connection from its own address for secured, whatever crosses it:
    # https://doc.dovecot.org/2.3/settings/core/#core_setting-disable_plaintext_auth
    at = _LOGIN_BEFORE
    return (*cells[:at], cells[at]._replace(claims=frozenset()), *cells[at + 1 :])


def _vantage(seen: Json) -> str:
    return f"{seen['vantage']} to {seen['address']}" if "address" in seen else str(seen["vantage"])


def _unknown(missing: Json) -> Cell:
    return Cell((missing["missing"],), unknown=True)


def _listens(answer: bool) -> frozenset[str]:  # noqa: FBT001
    return frozenset(("yes" if answer else "no",))


def _configured(endpoint: Json) -> Cell:
    setting = endpoint["configured"]
    if "missing" in setting:
        return _unknown(setting)
    if not setting["listener"]:
        return Cell(("no listener",), _listens(answer=False))
    return Cell((f"{setting['product']}, {setting['source']}",), _listens(answer=True))


def _running(endpoint: Json) -> Cell:
    running = endpoint["running"]
    if "missing" in running:
        return _unknown(running)
    led = [] if "missing" in running["beyond"] else running["beyond"]
    held = [
        *(_process(socket) for socket in running["sockets"]),
        *(f"{_process(socket)}, at {socket['address']} port {socket['port']}" for socket in led),
    ]
    if not held:
        return Cell(("nothing listens",), _listens(answer=False))
    return Cell(tuple(dict.fromkeys(held)), _listens(answer=True))


def _process(socket: Json) -> str:
    process = socket["process"]
    return (
        "process not known" if "missing" in process else f"{process['name']}, pid {process['pid']}"
    )


def _filtered(endpoint: Json) -> Cell:
    filtered = endpoint["filtered"]
    if "missing" in filtered:
        return _unknown(filtered)
    return Cell(tuple(f"{way['address']}: admits {way['admits']}" for way in filtered["ways"]))


def _reached(seen: Json, filtered: Json) -> Cell:
    if "missing" in seen:
        return _unknown(seen)
    lines = (seen["reach"] if seen["reach"] == "open" else f"{seen['reach']}: {seen['detail']}",)
    # Whether a host that admits some admits this one, its own findings say; that a port that is
    # closed to most is closed to a vantage is no disagreement.
    ways = filtered.get("ways", ())
    comparable = seen["reach"] == "open" or all(way["admits"] == "everyone" for way in ways)
    return Cell(lines, _listens(seen["reach"] == "open") if comparable else frozenset())


def _handshake(running: Json) -> Json:
    if "missing" in running:
        return {}
    handshake: Json = running["handshake"]
    return handshake if running["sockets"] else {}


def _told(seen: Json) -> Json | Cell:
    """The session; of a conversation without one its cell, for the first row has said why."""
    session: Json = seen.get("session", {"missing": seen.get("missing", "")})
    if "missing" not in session:
        return session
    return _unknown(session) if seen.get("reach") == "open" else Cell()


def _versions(session: Json) -> Cell:
    if any(isinstance(answer["accepted"], dict) for answer in session["versions"]):
        lines = tuple(_version(answer) for answer in session["versions"] if answer["accepted"])
        return Cell(lines)
    accepted = tuple(answer["version"] for answer in session["versions"] if answer["accepted"])
    return Cell(accepted or ("none",), frozenset((" ".join(accepted) or "none",)))


def _version(answer: Json) -> str:
    accepted = answer["accepted"]
    said = f" not known: {accepted['missing']}" if isinstance(accepted, dict) else ""
    return f"{answer['version']}{said}"


def _starttls(session: Json) -> Cell:
    upgrade = session["starttls"]
    if upgrade is None:
        return Cell()
    return Cell((upgrade["state"],), frozenset((upgrade["state"],)))


def _certificate(session: Json) -> Cell:
    for chain in session["certificates"]:
        if chain["server_name"] is None:
            leaf = chain["leaf"]
            if "missing" in leaf:
                return _unknown(leaf)
            return Cell(tuple(_described(leaf)), frozenset((leaf["sha256"],)))
    return Cell()


def _described(leaf: Json) -> Iterator[str]:
    yield leaf["subject"]
    yield f"to {leaf['not_after'][:10]}"
    yield f"SHA-256 {leaf['sha256'][:_DIGEST]}…"


def _login_before(session: Json) -> Cell:
    return _logins(session["before_tls"])


def _login_inside(session: Json) -> Cell:
    return _logins(session["inside_tls"])


def _logins(lines: Any) -> Cell:
    if lines is None:
        return Cell()
    return _unknown(lines) if isinstance(lines, dict) else _said(tuple(lines))


@lru_cache(maxsize=256)  # the servers of a fleet say much the same
def _said(lines: tuple[str, ...]) -> Cell:
    words = ("AUTH", "SASL", "LOGIN", "USER")
    said = tuple(line for line in lines if line.upper().startswith(words) and "REF" not in line)
    return Cell(said or ("none offered",), frozenset((" ".join(said) or "none",)))


def _settings(setting: Json, *words: str) -> Cell:
    settings = setting.get("settings", {})
    found = [
        f"{name} = {value}"
        for name in _named(tuple(settings), words)
        if isinstance(value := settings[name], str) and value
    ]
    return Cell(tuple(found))


@lru_cache(maxsize=256)  # the releases of a fleet have few sets of settings
def _named(names: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if any(word in name for word in words))


def _set_versions(setting: Json) -> Cell:
    return _settings(setting, "min_protocol", "tls_protocols", "mandatory_protocols")


def _set_tls(setting: Json) -> Cell:
    tls = setting.get("tls", "implicit")
    if isinstance(tls, dict):
        return _unknown(tls)
    return Cell() if tls == "implicit" else Cell((tls,))


def _set_certificate(setting: Json) -> Cell:
    lines: list[str] = []
    claims: set[str] = set()
    for file in setting.get("certificates", ()):
        lines.append(file["path"])
        leaf = file["certificate"]
        if "missing" in leaf:
            lines.append(leaf["missing"])
        else:
            lines += _described(leaf)
            claims.add(leaf["sha256"])
    return Cell(tuple(lines), frozenset(claims))


def _set_logins(setting: Json) -> Cell:
    return _settings(setting, "plaintext", "cleartext", "tls_auth_only")


def _set_mechanisms(setting: Json) -> Cell:
    return _settings(setting, "auth_mechanisms", "sasl_auth_enable")


_OF_SESSIONS: tuple[tuple[str, Callable[[Json], Cell], Callable[[Json], Cell]], ...] = (
    ("STARTTLS", _set_tls, _starttls),
    ("TLS versions", _set_versions, _versions),
    ("certificate", _set_certificate, _certificate),
    ("login before TLS", _set_logins, _login_before),
    ("login inside TLS", _set_mechanisms, _login_inside),
)
_NAMES = tuple(name for name, _, _ in _OF_SESSIONS)
_LOGIN_BEFORE = _NAMES.index("login before TLS")
_UNHEARD = (Cell(),) * len(_NAMES)
