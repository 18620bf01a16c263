"""Records to JSON and back; decoding is strict and names the path of what does not fit."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import (
    Annotated,
    Any,
    Callable,
    ClassVar,
    Literal,
    NamedTuple,
    NoReturn,
    Optional,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from mailwitness.evidence.missing import Missing

# A host's evidence is tens of kilobytes; a packet filter with country lists of 100,000
# elements is some ten megabytes. What is larger than this is not evidence.
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024


_MAX_SHOWN = 80
_NUMBER = re.compile(r"[0-9]{1,9}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SURROGATE = re.compile("[\ud800-\udfff]")


class EvidenceError(ValueError):
    """A document that is not the evidence it should be; the message names the place in it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class Between(NamedTuple):
    """Bounds of a number, both inclusive, given as an annotation of its type."""

    low: float
    high: float


Port = Annotated[int, Between(1, 65535)]


class Document:
    """A record that stands alone in a file or on a wire, with its schema's name in it."""

    SCHEMA: ClassVar[str]


_D = TypeVar("_D", bound=Document)
_E = TypeVar("_E", bound=Document)


def dumps(document: Document) -> str:
    """One line of JSON, keys in the order of the fields: equal documents are equal bytes."""
    body = {"schema": document.SCHEMA, **encode(document)}
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def loads(
    text: Union[str, bytes], kind: type[_D], other: Optional[type[_E]] = None
) -> Union[_D, _E]:
    """The document in `text`, which must be of `kind`, or of the `other` one.

    Raises:
        EvidenceError: not JSON, too long, of another or newer schema, or not of its shape.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise EvidenceError("$", f"longer than {MAX_DOCUMENT_BYTES} bytes")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise EvidenceError("$", "nested too deeply") from None
    except ValueError as error:
        raise EvidenceError("$", f"not JSON: {error}") from None
    return document(value, kind, other)


def document(value: Any, kind: type[_D], other: Optional[type[_E]] = None) -> Union[_D, _E]:
    """The document that the JSON `value` stands for, which loses its schema; else as `loads`."""
    if not isinstance(value, dict):
        raise EvidenceError("$", f"an object is expected, not {_kind(value)}")
    schema = value.pop("schema", None)
    kinds: list[type[Union[_D, _E]]] = [kind] if other is None else [kind, other]
    for expected in kinds:
        if schema == expected.SCHEMA:
            found: Union[_D, _E] = decode(expected, value)
            return found
    raise EvidenceError("$.schema", _schema_problem(schema, [k.SCHEMA for k in kinds]))


def encode(value: Any) -> Any:
    """The JSON value of a record or of anything that a field of one may hold."""
    kind: Any = type(value)
    return _encoder(kind)(value)


def _is_record(kind: Any) -> bool:
    """A named tuple; or a dataclass, as documents are, and what keeps secrets out of its repr."""
    return is_dataclass(kind) or hasattr(kind, "_fields")


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else kind._fields


@cache
def _encoder(kind: Any) -> Callable[[Any], Any]:
    """What encodes values of the type: made once, as for decoding."""
    if issubclass(kind, Missing):  # as some reasons are of kinds of their own
        return lambda value: {"missing": value.reason}
    if _is_record(kind):
        names = _fields(kind)
        return lambda value: {name: encode(getattr(value, name)) for name in names}
    if issubclass(kind, tuple):
        return lambda value: [encode(item) for item in value]
    if issubclass(kind, Mapping):
        return lambda value: {encode(key): encode(item) for key, item in value.items()}
    return _sayable if issubclass(kind, str) else _itself


def _sayable(value: str) -> str:
    if not value.isascii() and _SURROGATE.search(value):
        # What Python makes of bytes in a file's name that are not UTF-8; no file can hold it.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def _itself(value: Any) -> Any:
    return value


def decode(kind: Any, value: Any, path: str = "$") -> Any:
    """The record of type `kind` that the JSON `value` stands for, every field checked.

    Raises:
        EvidenceError: with the path of the first thing that does not fit.
    """
    try:
        return _decoder(kind)(value)
    except _Misfit as wrong:
        raise EvidenceError(path + "".join(reversed(wrong.steps)), wrong.problem) from None


def prepare(kind: Any) -> None:
    """Make now what decodes the type and all within it, for whoever forks before it decodes."""
    _decoder(kind)


class _Misfit(Exception):  # noqa: N818 - becomes an EvidenceError where the path is whole
    """A value that does not fit; whoever it passes adds the step that led to it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []  # the innermost first


_Decoder = Callable[[Any], Any]


@cache
def _decoder(kind: Any) -> _Decoder:
    """What decodes values of the type: made once, for evidence has ten thousands of values."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(*arguments)
    if origin is Union:
        return _union(arguments)
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(_decoder(arguments[0]))
    if origin is dict:
        return _dict(_decoder(arguments[1]))
    if kind is Missing:
        return _missing
    if _is_record(kind):
        return _record(kind)
    if kind is float:
        return _float
    return _text if kind is str else partial(_expect, kind)


def _bounded(kind: Any, bounds: Between) -> _Decoder:
    base = _decoder(kind)

    def decoder(value: Any) -> Any:
        number = base(value)
        if not bounds.low <= number <= bounds.high:
            raise _Misfit(f"{number} is not between {bounds.low} and {bounds.high}")
        return number

    return decoder


def _union(kinds: tuple[Any, ...]) -> _Decoder:
    """Of one type, beside Missing or None or both."""
    (kind,) = (kind for kind in kinds if kind not in (Missing, type(None)))
    optional, missing, other = type(None) in kinds, Missing in kinds, _decoder(kind)

    def decoder(value: Any) -> Any:
        if value is None and optional:
            return None
        if missing and type(value) is dict and len(value) == 1 and "missing" in value:
            return _missing(value)
        return other(value)

    return decoder


def _literal(words: tuple[str, ...]) -> _Decoder:
    def decoder(value: Any) -> Any:
        if isinstance(value, str) and value in words:
            return value
        raise _Misfit(f"{_show(value)} is not one of {', '.join(words)}")

    return decoder


def _tuple(item: _Decoder) -> _Decoder:
    def decoder(value: Any) -> Any:
        if item is _text and type(value) is list and _all_plain(value):
            return tuple(value)
        found: list[Any] = []
        try:
            for each in _expect(list, value):
                found.append(item(each))  # noqa: PERF401 - how many there are says which is wrong
        except _Misfit as wrong:
            if type(value) is list:
                wrong.steps.append(f"[{len(found)}]")
            raise
        return tuple(found)

    return decoder


def _dict(item: _Decoder) -> _Decoder:
    def decoder(value: Any) -> Any:
        if item is _text and type(value) is dict and _all_plain((*value, *value.values())):
            return dict(value)
        found = {}
        for key, each in _expect(dict, value).items():
            _text(key)
            try:
                found[key] = item(each)
            except _Misfit as wrong:
                wrong.steps.append(f".{_step(key)}")
                raise
        return found

    return decoder


def _missing(value: Any) -> Missing:
    reason = _expect(dict, value).get("missing")
    try:
        return Missing(_text(reason))
    except _Misfit as wrong:
        wrong.steps.append(".missing")
        raise


def _record(kind: Any) -> _Decoder:
    types = get_type_hints(kind, include_extras=True)
    hints = {name: _decoder(types[name]) for name in _fields(kind)}
    parts = [(name, hint, _takes_text(types[name])) for name, hint in hints.items()]
    make = _maker(kind)

    def decoder(value: Any) -> Any:
        entries = _expect(dict, value)
        if entries.keys() != hints.keys():
            _wrong_fields(kind, entries, hints)
        found: list[Any] = []
        name = ""
        try:
            for name, hint, text in parts:
                each = entries[name]
                plain = text and type(each) is str and each.isascii()  # as nearly all are
                found.append(each if plain else hint(each))
        except _Misfit as wrong:
            wrong.steps.append(f".{name}")
            raise
        return make(found)

    return decoder


def _maker(kind: Any) -> Callable[[list[Any]], Any]:
    """What makes a record of the values of its fields."""
    if hasattr(kind, "_fields"):
        return partial(tuple.__new__, kind)  # to call a named tuple itself takes twice the time
    return lambda values: kind(*values)


def _takes_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Union and str in get_args(kind))


def _wrong_fields(kind: Any, entries: Iterable[str], hints: Iterable[str]) -> NoReturn:
    for name in hints:
        if name not in entries:
            raise _Misfit(f"{name} is not there")
    unknown = next(name for name in entries if name not in hints)
    raise _Misfit(f"{_show(unknown)} is not a field of {kind.__name__}")


def _float(value: Any) -> float:
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise _Misfit("a number too large") from None
    number: float = _expect(float, value)
    if not math.isfinite(number):  # what JSON makes of 1e999
        raise _Misfit("a number too large")
    return number


def _all_plain(values: Iterable[Any]) -> bool:
    """Whether they are all texts in ASCII, as nearly all are: looked at in one go."""
    try:
        return "".join(values).isascii()
    except TypeError:
        return False


def _text(value: Any) -> Any:
    if type(value) is str and value.isascii():  # as nearly all are
        return value
    if _SURROGATE.search(_expect(str, value)):
        raise _Misfit("a text that is not Unicode: half of a surrogate pair")
    return value


def _expect(kind: Any, value: Any) -> Any:
    # bool is an int in Python and not in JSON, hence type() and not isinstance().
    if type(value) is not kind:
        raise _Misfit(f"{kind.__name__} is expected, not {_kind(value)}")
    return value


def _schema_problem(schema: object, known: list[str]) -> str:
    if not isinstance(schema, str):
        return "no schema is named; this is not evidence of mailwitness"
    family, _, number = schema.rpartition("/")
    for name in known:
        known_family, _, known_number = name.rpartition("/")
        if family == known_family and _NUMBER.fullmatch(number) and int(number) > int(known_number):
            return f"{_show(schema)} is newer than {name}; upgrade mailwitness on the control node"
    return f"{_show(schema)} is not {' or '.join(known)}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _step(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else _show(key)


def _show(value: object) -> str:
    """For messages: quoted, ASCII only, and short, since the value may be hostile."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
