"""An nft rule in words close to nft's own, from its JSON: for a reader, not for nft."""

from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

# Of a longer set the rest is counted only.
MOST_ELEMENTS = 6
MOST_DEPTH = 12


def describe(expressions: list[Json]) -> str:
    """The rule in one line."""
    return " ".join(filter(None, (_statement(each) for each in expressions)))


def _statement(statement: Json) -> str:
    if not isinstance(statement, dict) or len(statement) != 1:
        return "…"
    ((name, body),) = statement.items()
    if name == "match" and isinstance(body, dict):
        return _match(body)
    if name == "mangle" and isinstance(body, dict):
        return f"{_value(body.get('key'))} set {_value(body.get('value'))}"
    if name in ("jump", "goto") and isinstance(body, dict):
        return f"{name} {body.get('target')}"
    if name == "vmap" and isinstance(body, dict):
        return f"{_value(body.get('key'))} vmap {_value(body.get('data'))}"
    if name in ("set", "map") and isinstance(body, dict):
        return f"{body.get('op')} {body.get(name)} {{ {_value(body.get('elem'))} }}"
    if name in ("dnat", "snat", "redirect") and isinstance(body, dict):
        port = f":{_value(body['port'])}" if "port" in body else ""
        return f"{name} to {_value(body['addr']) if 'addr' in body else ''}{port}"
    if name in ("counter", "log", "limit", "quota", "xt", "reject", "ct count"):
        return name
    return name if body is None else f"{name} {_value(body)}"


def _match(body: dict[str, Json]) -> str:
    operator = body.get("op")
    between = "" if operator in ("==", "in") else f"{operator} "
    return f"{_value(body.get('left'))} {between}{_value(body.get('right'))}"


def _value(value: Json, depth: int = 0) -> str:
    if depth > MOST_DEPTH:
        return "…"
    if isinstance(value, bool):
        return "exists" if value else "missing"
    if isinstance(value, list):
        return ",".join(_value(each, depth + 1) for each in value[:MOST_ELEMENTS])
    if not isinstance(value, dict):
        return str(value)
    if len(value) != 1:
        return " ".join(f"{name} {_value(each, depth + 1)}" for name, each in value.items())
    ((name, body),) = value.items()
    if isinstance(body, list):
        return _list(name, body, depth + 1)
    if not isinstance(body, dict):
        return f"{name} {_value(body, depth + 1)}"
    match name:
        case "payload" if "field" in body:
            return f"{body.get('protocol')} {body['field']}"
        case "meta" | "ct":
            return " ".join(filter(None, (name, str(body.get("dir", "")), str(body.get("key")))))
        case "prefix":
            return f"{body.get('addr')}/{body.get('len')}"
        case "elem":
            return _value(body.get("val"), depth + 1)
        case "map":
            return f"{_value(body.get('key'), depth + 1)} map {_value(body.get('data'), depth + 1)}"
        case "fib":
            flags = body.get("flags")
            names = flags if isinstance(flags, list) else [flags]
            return f"fib {' . '.join(map(str, names))} {body.get('result')}"
        case "jump" | "goto":
            return f"{name} {body.get('target')}"
        case _:
            inner = " ".join(_value(each, depth + 1) for each in body.values())
            return f"{name} {inner}"


def _list(name: str, values: list[Json], depth: int) -> str:
    shown = values[:MOST_ELEMENTS]
    match name:
        case "set":
            parts = [
                " : ".join(_verdict(part, depth) for part in each)
                if isinstance(each, list)
                else _value(each, depth)
                for each in shown
            ]
            more = f", and {len(values) - len(shown)} more" if len(values) > len(shown) else ""
            return f"{{ {', '.join(parts)}{more} }}"
        case "range":
            return "-".join(_value(each, depth) for each in shown)
        case "concat":
            return " . ".join(_value(each, depth) for each in shown)
        case _:
            return f" {name} ".join(_value(each, depth) for each in shown)


def _verdict(value: Json, depth: int) -> str:
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        return next(iter(value))
    return _value(value, depth)
