"""Text that would do harm if it were more than shown, and evidence that says it everywhere."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.lab.audit import RECORDED

ATTACKS = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "escapes": "\x1b]0;owned\x07\x1b[2J",
    "bidi": "\u202egnp.exe",
    "quotes": "'\" onmouseover=alert(1) {{ 1234*9876 }} {% raw %}",
    "formula": '=HYPERLINK("http://127.0.0.1:1/","ok")',
    "blank": "\u00a0 =1+1",
    "full-width": "\uff1d1+1",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "markdown": "[x](javascript:alert(1)) ![y](http://127.0.0.1:1/) ``` @all # <b>",
    "ticks": "`x` ``y`` ````\n```\n# owned\n",
    "xml": "]]></failure><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;\ufffe\x00",
    "metrics": 'x"} 1\nowned{a="b"} 1\\',
    "long": "x" * 1_000_000,
}
_FREE = ("greeting", "proof", "detail", "kernel", "hostname", "name", "executable", "package")


def evidence(folder: Path, attack: str, *hosts: str) -> Path:
    """The recorded evidence in `folder`, with the attack in every free text of these hosts."""
    shutil.copytree(RECORDED, folder)
    for host in hosts:
        for file in (folder / host).iterdir():
            file.write_text(json.dumps(poison(json.loads(file.read_text()), attack)))
    return folder


def poison(value: Any, attack: str) -> Any:
    """Every free text of a document, replaced."""
    if isinstance(value, dict):
        if value.keys() == {"missing"}:
            return {"missing": attack}
        return {key: _poisoned(key, item, attack) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item, attack) for item in value]
    return value


def _poisoned(key: str, value: Any, attack: str) -> Any:
    if isinstance(value, str) and key in _FREE:
        return attack
    if key == "lines":
        return [*value, attack]
    if key == "settings" and all(isinstance(item, str) for item in value.values()):
        return {**value, "myhostname": attack}
    return poison(value, attack)
